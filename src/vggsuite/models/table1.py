"""Table 1 as data: the kernel sizes of every net. Needs no torch, so that a config is checked at once."""

from vggsuite.errors import UserError

WIDTHS = (64, 128, 256, 512, 512)  # output channels of the five blocks
FC_WIDTH = 4096

# Weight layers -> the kernel sizes of each block's convolutions. 8 is the shallow net of section 4.1: B with each pair
# of 3x3 replaced by one 5x5.
KERNELS: dict[int, tuple[tuple[int, ...], ...]] = {
    8: ((5,), (5,), (5,), (5,), (5,)),
    11: ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    13: ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    16: ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    19: ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}


def block_kernels(depth: int, *, conv1x1: bool = False) -> tuple[tuple[int, ...], ...]:
    """Kernel sizes of the five blocks; with `conv1x1` the last one of blocks 3 to 5 is 1, as in net C.

    Raises:
        UserError: for a depth that no net has, and for 1x1 layers where a block has no third convolution.
    """
    if depth not in KERNELS:
        raise UserError(f"model.depth={depth} is no net of ours; allowed: {', '.join(map(str, KERNELS))}.")
    blocks = KERNELS[depth]
    if not conv1x1:
        return blocks
    if depth < 16:
        raise UserError(
            f"model.conv1x1=true has no place in model.depth={depth}, whose blocks have no third convolution; allowed "
            "with it: model.depth=16 (net C) or model.depth=19."
        )
    return *blocks[:2], *((*block[:-1], 1) for block in blocks[2:])
