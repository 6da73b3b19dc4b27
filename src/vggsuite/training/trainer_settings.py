"""What a run may ask of Lightning's Trainer."""

import inspect
import os
from typing import Any, Literal

import lightning as L
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

from vggsuite.devices import check_devices, uses_gpu
from vggsuite.errors import UserError
from vggsuite.protocol import Precision

PRECISIONS: dict[Precision, Literal["32-true", "bf16-mixed"]] = {
    Precision.fp32: "32-true",
    Precision.bf16: "bf16-mixed",
}

# Arguments of Lightning's Trainer that a run sets itself, and the setting to use instead.
SET_BY_RUN = {
    "max_epochs": "recipe.epochs",
    "precision": "recipe.precision",
    **dict.fromkeys(("max_steps", "min_steps", "max_time", "min_epochs"), "recipe.epochs"),
    **dict.fromkeys(("barebones", "enable_checkpointing"), "no setting"),
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


def check_trainer(trainer: dict[str, Any], *, batch_size: int, multirun: bool) -> None:
    """Check what `trainer` asks of Lightning and of the machine, and that a training batch can be split over it.

    Raises:
        UserError: for the first thing that cannot be.
    """
    check_arguments(trainer)
    check_devices(trainer)
    check_processes(trainer)
    check_batch(batch_size, trainer, multirun=multirun)


def check_arguments(trainer: dict[str, Any]) -> None:
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
    if trainer.get("log_every_n_steps", 1) < 1:
        raise UserError(f"trainer.log_every_n_steps={trainer['log_every_n_steps']} is no count; allowed: 1 or more.")


def check_processes(trainer: dict[str, Any]) -> None:
    """Check that there will be one process for each device, and that they can do what is asked of them together.

    Raises:
        UserError: where torchrun or SLURM started others, and for what takes GPUs.
    """
    if not uses_gpu(trainer):
        for name, value in (("strategy", "fsdp"), ("sync_batchnorm", True)):
            if trainer.get(name) == value:
                told = str(value).lower()
                raise UserError(f"trainer.{name}={told} needs GPUs, and this run is on the CPU; leave it out.")
    asked = trainer["num_nodes"], trainer["devices"]
    for starter, found, options in (
        ("torchrun", of_torchrun(), "--nnodes={} --nproc-per-node={}"),
        ("SLURM", of_slurm(), "srun --nodes={} --ntasks-per-node={}"),
    ):
        if found and found != asked:
            raise UserError(
                f"{starter} started {found[1]} process(es) on each of {found[0]} node(s), and trainer.num_nodes="
                f"{asked[0]} trainer.devices={asked[1]} want others; type {options.format(*asked)}, or "
                f"trainer.num_nodes={found[0]} trainer.devices={found[1]}."
            )


def of_torchrun() -> tuple[int, int] | None:
    """The nodes, and processes on each, that torchrun started, if it did."""
    if not TorchElasticEnvironment.detect():
        return None
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ["WORLD_SIZE"]) // local, local


def of_slurm() -> tuple[int, int] | None:
    """The nodes, and tasks on each, of the SLURM job step that this process is of, if it is of one."""
    if not SLURMEnvironment.detect():
        return None
    nodes = int(os.environ.get("SLURM_NNODES", 1))
    return nodes, int(os.environ["SLURM_NTASKS"]) // nodes


def check_batch(batch_size: int, trainer: dict[str, Any], *, multirun: bool) -> None:
    """Check that a training batch can be split over what `trainer` asks for.

    Raises:
        UserError: for several devices in a multirun's one process, and for a batch that they cannot share.
    """
    if trainer["devices"] > 1 and multirun:
        raise UserError(
            f"trainer.devices={trainer['devices']} cannot be combined with a --multirun in one process; allowed: "
            "trainer.devices=1, or hydra/launcher=local, which gives each job a process of its own."
        )
    parts = trainer["devices"] * trainer["num_nodes"] * trainer["accumulate_grad_batches"]
    if batch_size % parts:
        raise UserError(
            f"recipe.batch_size={batch_size} is the global batch and cannot be split evenly into {parts} "
            f"parts (devices x nodes x accumulated steps); allowed: a multiple of {parts}."
        )
