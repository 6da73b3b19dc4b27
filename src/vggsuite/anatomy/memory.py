"""How much memory a training step takes, simulated: every tensor is made and freed in turn, and none has content."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from warnings import catch_warnings, filterwarnings

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from vggsuite.config import RecipeConfig
from vggsuite.errors import UserError
from vggsuite.models.net import ConvNet
from vggsuite.protocol import Precision

FEW = 32  # images, of which the memory that one more takes is told
UNITS = {"MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class Step:
    """A training step of a net by a recipe.

    Attributes:
        make: makes the net.
        side: of a square image, in pixels.
        recipe: whose momentum, precision and checkpointing count.
    """

    make: Callable[[], ConvNet]
    side: int
    recipe: RecipeConfig

    def peak(self, batch_size: int, precision: Precision) -> int:
        """The most bytes that tensors take at any time of a step: weights, gradients, momentum, and of the images all
        that the backward pass needs. cuDNN's workspaces are not among them."""
        with FakeTensorMode(), catch_warnings():
            filterwarnings("ignore", "Module is None")  # the tracker's, of what is computed once more
            net = self.make().train()
            net.checkpoint_activations = self.recipe.checkpoint_activations
            optimizer = torch.optim.SGD(net.parameters(), self.recipe.lr, self.recipe.momentum)
            tracker = MemTracker()
            tracker.track_external(net, optimizer)
            with tracker:
                for _ in range(2):  # momentum is there from the first step's end
                    images = torch.empty(batch_size, 3, self.side, self.side)
                    with torch.autocast("cpu", torch.bfloat16, enabled=precision == Precision.bf16):
                        scores = net(images)
                        loss = net.loss(scores, torch.zeros(batch_size, dtype=torch.int64))
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    tracker.reset_mod_stats()
            (found,) = tracker.get_tracker_snapshot("peak").values()
            return int(found["Total"])

    def largest_batch(self, memory: float, precision: Precision) -> int:
        """The most images of which a step fits into `memory` bytes; 0 where not even one does."""
        peak = cache(partial(self.peak, precision=precision))
        if peak(1) > memory:
            return 0
        of_one_more = (peak(FEW) - peak(1)) / (FEW - 1)  # nearly as much as any further one takes
        guess, step = 1 + int((memory - peak(1)) / of_one_more), 1
        fits, too_many = 1, math.inf
        while too_many - fits > 1:
            guess = int(min(max(guess, fits + 1), too_many - 1))
            if peak(guess) <= memory:
                fits, guess = guess, guess + step
            else:
                too_many, guess = guess, guess - step
            step *= 2
        return fits


def parse_memory(text: str) -> int:
    """Bytes, from "80GB" or "24GiB".

    Raises:
        UserError: for anything else.
    """
    number, unit = text.rstrip("BbIiGgMm"), text.lstrip("0123456789. ").upper()
    try:
        size = float(number) * UNITS[unit]
    except (ValueError, KeyError) as error:
        raise UserError(f"memory={text} is no size; allowed: a number and GB, GiB, MB or MiB (memory=80GB).") from error
    if not 0 < size < float("inf"):
        raise UserError(f"memory={text} is no size above 0 (memory=80GB).")
    return int(size)
