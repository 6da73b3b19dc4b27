"""Table 1 as data: the kernel sizes of every VGG net. Needs no torch, so that a config is checked at once."""

from itertools import groupby

from vggsuite.errors import UserError

WIDTHS = (64, 128, 256, 512, 512)  # output channels of the five blocks
FC_WIDTH = 4096
LARGEST_KERNELS = (3, 5, 7)

# Weight layers -> the number of convolutions of each block, of 3x3. Beyond 19 they are ours: the last three blocks grow
# as from D to E, of 56 all of them.
NUM_CONVOLUTIONS: dict[int, tuple[int, ...]] = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
    25: (2, 2, 6, 6, 6),
    34: (2, 2, 9, 9, 9),
    56: (4, 4, 15, 15, 15),
}
# Weight layers -> the kernel sizes of each block's convolutions. 8 is the shallow net of section 4.1: B with each pair
# of 3x3 replaced by one 5x5.
KERNELS: dict[int, tuple[tuple[int, ...], ...]] = {
    8: ((5,), (5,), (5,), (5,), (5,)),
    **{depth: tuple((3,) * number for number in numbers) for depth, numbers in NUM_CONVOLUTIONS.items()},
}


def block_kernels(depth: int, *, conv1x1: bool = False, kernel: int = 3) -> tuple[tuple[int, ...], ...]:
    """Kernel sizes of the five blocks.

    Args:
        depth: a key of `KERNELS`.
        conv1x1: the last one of blocks 3 to 5 is 1, as in net C.
        kernel: the largest; each stack of 3x3 is replaced by one of as few convolutions as see the same square of the
            map (section 2.3): two by a 5x5, three by a 7x7.

    Raises:
        UserError: for a depth that no net has, and for what has no place in it.
    """
    if depth not in KERNELS:
        raise UserError(f"model.depth={depth} is no VGG net of ours; allowed: {', '.join(map(str, KERNELS))}.")
    blocks = KERNELS[depth]
    if conv1x1 and depth < 16:
        raise UserError(
            f"model.conv1x1=true has no place in model.depth={depth}, whose blocks have no third convolution; allowed "
            "with it: model.depth=16 (net C) or more."
        )
    if kernel not in LARGEST_KERNELS or (kernel > 3 and depth == 8):
        raise UserError(
            f"model.kernel={kernel} has no place in model.depth={depth}; allowed: 3, 5 or 7, of a net of 3x3 layers."
        )
    if conv1x1:
        blocks = *blocks[:2], *((*block[:-1], 1) for block in blocks[2:])
    return tuple(merged(block, kernel) for block in blocks)


def merged(kernels: tuple[int, ...], largest: int) -> tuple[int, ...]:
    """The kernels of a block, its stacks of 3x3 replaced by ones of at most `largest` that see as much."""
    found: list[int] = []
    for size, stack in groupby(kernels):
        if size != 3:
            found += stack
            continue
        left = 2 * len(list(stack))  # a k x k convolution widens what is seen by k - 1
        while left:
            found.append(1 + min(left, largest - 1))
            left -= found[-1] - 1
    return tuple(found)
