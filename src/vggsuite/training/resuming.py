"""The whole state of a run, saved as it goes and when it is told to stop, from which the same command goes on."""

import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NamedTuple

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint
from pydantic import Field, NonNegativeInt
from typing_extensions import TypedDict  # as pydantic asks for below Python 3.12

from vggsuite.config import Resume, TrainConfig
from vggsuite.errors import UserError
from vggsuite.files import DAMAGE, naming_damaged, replacing
from vggsuite.results.run_folder import CHECKPOINT, refuse_other_settings
from vggsuite.signals import heeded
from vggsuite.training.interrupting import STOPPING, Interrupted, was_requeued
from vggsuite.training.processes import of_all_processes, of_this_process
from vggsuite.typed import typed

LAST = CHECKPOINT.with_name("last.ckpt")
BEFORE = CHECKPOINT.with_name("before_last.ckpt")
CHECK_EVERY = 10  # steps, where several processes have to agree, which costs them a wait


class WholeFiles(TorchCheckpointIO):
    """Checkpoint files that are whole whenever the process ends. (Lightning's own are written elsewhere first, and torn
    by a kill where that is another file system.) The state that a new one replaces is kept, for the case that a disk
    does not keep what it was given."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file, keeping=file.with_name(BEFORE.name) if file.name == LAST.name else None) as stream:
            torch.save(checkpoint, stream)


class BestWeights(ModelCheckpoint):
    """Keeps the weights of the epoch with the lowest `watched` error. A run's folder may be moved while it is
    interrupted; Lightning's class would then forget which epoch was the best.

    Args:
        file: where to.
        watched: the logged error.
    """

    def __init__(self, file: Path, *, watched: str) -> None:
        super().__init__(
            file.parent, filename=file.stem, monitor=watched, save_weights_only=True, enable_version_counter=False
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        here = {name: self.as_here(state_dict[name]) for name in paths}
        scores = {self.as_here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(state_dict | here | {"dirpath": self.dirpath, "best_k_models": scores})

    def as_here(self, path: str) -> str:
        """Where the file that was at `path` is now."""
        assert self.dirpath is not None
        return str(Path(self.dirpath, Path(path).name)) if path else path


class RandomStates(Callback):
    """Draws of every process of its own (Lightning gives all of them one seed), which go on where they were."""

    def __init__(self) -> None:
        self.restored: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
        return {"by_process": of_all_processes({"cpu": torch.get_rng_state(), "cuda": cuda})}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.restored = state_dict

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.restored:
            states = of_this_process(self.restored["by_process"])
            torch.set_rng_state(states["cpu"])
            if states["cuda"] is not None and torch.cuda.is_available():
                torch.cuda.set_rng_state(states["cuda"])
        elif trainer.global_rank:
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)


@dataclass
class History:
    """What a run has to know of its earlier parts, if it was interrupted.

    Attributes:
        started: when the first part did (UTC).
        origin: what the record tells of the weights that it began with.
        division: into how many devices and pieces a batch is divided.
        images: the fingerprint of the training images.
        seconds: how long the earlier parts took.
        began: when this part did, by the monotonic clock.
    """

    started: datetime
    origin: dict[str, Any]
    division: list[int]
    images: str
    seconds: float = 0.0
    began: float = field(default_factory=time.monotonic, compare=False)

    @property
    def wall_seconds(self) -> float:
        """How long all parts took until now."""
        return self.seconds + time.monotonic() - self.began

    def as_state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        now = {"started": self.started.isoformat(), "seconds": self.wall_seconds}
        return {"origin": self.origin, "division": self.division, "images": self.images} | now


class State(TypedDict):
    """What a checkpoint holds of a `History`."""

    started: str
    origin: dict[str, Any]
    division: Annotated[list[int], Field(min_length=2, max_length=2)]
    images: str
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SavedState(NamedTuple):
    """The state of an interrupted run: its file, after how many steps it was saved, the run's history, and the file of
    a later state, if there is one that is torn."""

    file: Path
    num_steps: int
    history: History
    torn: Path | None


def saved_state(config: TrainConfig, folder: Path) -> SavedState | None:
    """The state from which the run in `folder` goes on, the last that is whole; None where it begins.

    Raises:
        UserError: where it was interrupted with other settings, or no state is whole.
    """
    afresh = (config.rerun or config.resume == Resume.never) and not was_requeued(os.environ)
    found = [] if afresh else [folder / state for state in (LAST, BEFORE) if (folder / state).is_file()]
    if not found:
        return None
    refuse_other_settings(config, folder, "an interrupted", "resume=never")
    whole = next((file for file in found if is_whole(file)), None)
    num_steps, history = read_state(whole or found[0])  # which says what is wrong, if torch sees it
    if not whole:
        raise UserError(f"{found[0]} is damaged (its checksum is wrong); begin the run afresh with resume=never.")
    if history.division != division(config.trainer):
        devices, pieces = history.division
        raise UserError(
            f"{folder} holds a run that was interrupted on {devices} device(s) with batches in {pieces} piece(s); go "
            f"on so (trainer.devices, trainer.num_nodes, trainer.accumulate_grad_batches), or begin afresh with "
            "resume=never."
        )
    return SavedState(whole, num_steps, history, torn=found[0] if whole != found[0] else None)


def is_whole(file: Path) -> bool:
    """Whether a file of torch's, a zip archive, holds every byte that was written."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except DAMAGE:
        return False


def read_state(file: Path) -> tuple[int, History]:
    """After how many steps the state in `file` was saved, and the run's history.

    Raises:
        UserError: where it is torn, or of another kind.
    """
    with naming_damaged(file, "begin the run afresh with resume=never"):
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        state = typed(State, content["callbacks"][StateKeeper.__name__])
        started = datetime.fromisoformat(state["started"])
        history = History(started, state["origin"], state["division"], state["images"], state["seconds"])
        return typed(NonNegativeInt, content["global_step"]), history


def division(trainer: dict[str, Any]) -> list[int]:
    """Into how many devices and pieces a batch is divided."""
    return [trainer["devices"] * trainer["num_nodes"], trainer["accumulate_grad_batches"]]


class StateKeeper(Checkpoint):
    """Saves the state of a run every so many minutes, at the beginning of every epoch, at the end, and when a signal
    tells the run to stop, which then ends with `Interrupted`; a second signal ends it at once.

    The end of an epoch is no time to save: Lightning applies the learning-rate rule after its last hook. All processes
    of a run stop after the same step. A `Checkpoint`, so that it comes after the callbacks whose state it saves.

    Args:
        file: where to.
        minutes: see above.
        history: saved with the state.
        check: called before; raises an error if the state is not to be saved.
    """

    def __init__(self, file: Path, *, minutes: float, history: History, check: Callable[[L.Trainer], None]) -> None:
        self.file, self.seconds, self.history, self.check = file, 60 * minutes, history, check
        self.saved = time.monotonic()
        self.signum: int | None = None

    def state_dict(self) -> dict[str, Any]:
        return self.history.as_state()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the signals over from Lightning, which restores the handlers that were there before."""
        self.saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for signum in heeded(STOPPING):
                signal.signal(signum, self.note)

    def note(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal: stop after this step, or, while the net is validated, after the next."""
        if self.signum is not None and signum in (signal.SIGTERM, signal.SIGINT):
            raise SystemExit(128 + signum)
        self.signum = signum

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, piece = divmod(batch_idx + 1, trainer.accumulate_grad_batches)
        begins = step == 1 and trainer.current_epoch > 0
        together = trainer.world_size == 1 or step % CHECK_EVERY == 0 or begins
        if not piece and together and batch_idx + 1 < trainer.num_training_batches:
            self.save_if_due(trainer, due=begins or time.monotonic() - self.saved > self.seconds)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.save_if_due(trainer, due=True)

    def save_if_due(self, trainer: L.Trainer, *, due: bool) -> None:
        """Save the state if it is due, or if any process was told to stop; and stop in that case."""
        agree = trainer.strategy.reduce_boolean_decision
        if agree(due or self.signum is not None, all=False):
            self.check(trainer)
            for logger in trainer.loggers:
                logger.save()  # what was logged until now is not logged again
            trainer.save_checkpoint(self.file)
            self.saved = time.monotonic()
            if agree(self.signum is not None, all=False):
                raise Interrupted(self.signum or signal.SIGTERM)
