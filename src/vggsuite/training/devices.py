"""What the machine has, and what a run may ask of it."""

import inspect
import os
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_only

from vggsuite.config import Precision, TrainConfig
from vggsuite.errors import UserError

PRECISIONS: dict[Precision, Literal["32-true", "bf16-mixed"]] = {
    Precision.fp32: "32-true",
    Precision.bf16: "bf16-mixed",
}


# Arguments of Lightning's Trainer that a run sets itself, and the setting to use instead.
SET_BY_RUN = {
    "max_epochs": "recipe.epochs",
    "precision": "recipe.precision",
    "logger": "logger=csv|tensorboard|wandb",
    "callbacks": "no setting",
    "default_root_dir": "paths.runs",
    "check_val_every_n_epoch": "no setting",
    "val_check_interval": "no setting",
    "fast_dev_run": "recipe.epochs=1",
    "enable_progress_bar": "no setting",
    "enable_model_summary": "no setting",
    "num_sanity_val_steps": "no setting",
    "use_distributed_sampler": "no setting",
}


def check_trainer_arguments(trainer: dict[str, Any]) -> None:
    """Refuse what Lightning's Trainer does not take, and what a run sets itself.

    Raises:
        UserError: naming the argument.
    """
    allowed = [name for name in inspect.signature(L.Trainer).parameters if name not in SET_BY_RUN]
    for name in trainer:
        if name in SET_BY_RUN:
            raise UserError(f"trainer.{name} is set by the suite; use instead: {SET_BY_RUN[name]}.")
        if name not in allowed:
            raise UserError(f"trainer.{name} is no argument of Lightning's Trainer; allowed: {', '.join(allowed)}.")


def is_first_process() -> bool:
    """Whether this is the process of the first device, which alone writes and prints."""
    return not getattr(rank_zero_only, "rank", 0)


def uses_gpu(trainer: dict[str, Any]) -> bool:
    """Whether these trainer settings train on CUDA devices: `auto` does where there is one."""
    return trainer["accelerator"] == "gpu" or (trainer["accelerator"] == "auto" and torch.cuda.is_available())


def check_devices(config: TrainConfig, *, multirun: bool) -> None:
    """Check what a run asks of the machine.

    Raises:
        UserError: for more than there are, for several in a multirun's one process, and for a batch that they cannot
            share.
    """
    trainer = config.trainer
    check_trainer_arguments(trainer)
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
    if devices > 1 and multirun:
        raise UserError(
            f"trainer.devices={devices} cannot be combined with a --multirun in one process; allowed: "
            "trainer.devices=1, or hydra/launcher=processes, which gives each job a process of its own."
        )
    parts = devices * trainer["num_nodes"] * trainer["accumulate_grad_batches"]
    if config.recipe.batch_size % parts:
        raise UserError(
            f"recipe.batch_size={config.recipe.batch_size} is the global batch and cannot be split evenly into {parts} "
            f"parts (devices x nodes x accumulated steps); allowed: a multiple of {parts}."
        )


def chosen_precision(config: TrainConfig) -> Precision:
    """fp32 or bf16 for the run; `auto` is bf16 where the hardware multiplies it natively, which is where it pays."""
    if config.recipe.precision != Precision.auto:
        return config.recipe.precision
    if uses_gpu(config.trainer):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))
    return Precision.bf16 if native else Precision.fp32
