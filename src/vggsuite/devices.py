"""What the machine has, and what a run or an evaluation may ask of it."""

import os
from typing import Any

import torch
from joblib import cpu_count

from vggsuite.errors import UserError
from vggsuite.protocol import Precision


def uses_gpu(trainer: dict[str, Any]) -> bool:
    """Whether these trainer settings train on CUDA devices: `auto` does where there is one."""
    return trainer["accelerator"] == "gpu" or (trainer["accelerator"] == "auto" and torch.cuda.is_available())


def check_devices(trainer: dict[str, Any]) -> None:
    """Check what `trainer` asks of the machine.

    Raises:
        UserError: for more devices than there are, and for what is no number of them.
    """
    if trainer["accelerator"] not in ("auto", "cpu", "gpu"):
        raise UserError(f"trainer.accelerator={trainer['accelerator']} is not supported; allowed: auto, cpu, gpu.")
    for name in ("devices", "num_nodes", "accumulate_grad_batches"):
        if type(trainer[name]) is not int or trainer[name] < 1:
            raise UserError(f"trainer.{name}={trainer[name]} is no count; allowed: 1 or more (trainer.{name}=1).")
    devices = trainer["devices"]
    kind, available = ("GPU", torch.cuda.device_count()) if uses_gpu(trainer) else ("CPU core", os.cpu_count() or 1)
    if devices > available:
        raise UserError(
            f"trainer.devices={devices} asks for more than the {available} {kind}(s) of this machine; allowed: up to "
            f"that many{', or trainer=cpu' if kind == 'GPU' else ''} (trainer.devices={max(1, available)})."
        )


def torch_devices(trainer: dict[str, Any]) -> list[torch.device]:
    """The devices that `trainer` asks for, of this machine."""
    if uses_gpu(trainer):
        return [torch.device("cuda", index) for index in range(trainer["devices"])]
    return [torch.device("cpu")] * trainer["devices"]


def chosen_workers(asked: int | None, trainer: dict[str, Any]) -> int:
    """How many processes read images for each device, unless `asked` says: for a GPU, its share of the cores but one;
    for the CPU, which computes longer than it reads, one, or none where a single core has to do both."""
    if asked is not None:
        return asked
    if not uses_gpu(trainer):
        return int(torch.get_num_threads() > 1)
    of_tasks = int(os.environ.get("SLURM_CPUS_PER_TASK", 0)) * int(os.environ.get("SLURM_NTASKS_PER_NODE", 1))
    return max(1, (of_tasks or cpu_count()) // trainer["devices"] - 1)


def chosen_precision(asked: Precision, *, gpu: bool) -> Precision:
    """fp32 or bf16; `auto` is bf16 where the hardware multiplies it natively, which is where it pays."""
    if asked != Precision.auto:
        return asked
    if gpu:
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))
    return Precision.bf16 if native else Precision.fp32
