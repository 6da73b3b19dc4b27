"""The processes of a run on several devices."""

from typing import Any

import torch.distributed
from lightning.pytorch.utilities import rank_zero_only


def is_first_process() -> bool:
    """Whether this is the process of the first device, which alone writes and prints."""
    return not getattr(rank_zero_only, "rank", 0)


def of_all_processes(value: Any) -> list[Any]:
    """`value` of every process, in their order. All of them must call this."""
    if not torch.distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def of_this_process(values: list[Any]) -> Any:
    """Of what `of_all_processes` gave, what is this one's."""
    return values[torch.distributed.get_rank() if torch.distributed.is_initialized() else 0]
