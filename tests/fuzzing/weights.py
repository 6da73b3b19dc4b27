"""Checkpoints, the states of interrupted runs, and published weights in all their forms."""

import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from tests.fuzzing.mutations import mutated, odd_state
from tests.fuzzing.settings import of_run
from tests.fuzzing.target import Target
from tests.models.test_weights import write_caffemodel, write_caffemodel_of_today, write_keras
from vggsuite.finished_run import load_checkpoint
from vggsuite.models.state import num_classes, require_fit
from vggsuite.models.vgg import VGG
from vggsuite.models.weights import PREPROCESSINGS, load_weights, taking_rgb
from vggsuite.training.resuming import LAST, division, saved_state
from vggsuite.training.resuming import StateKeeper as Keeper

FACTORS: dict[str, Any] = {"depth": 11, "width": 1 / 64, "crop": 32, "num_pools": 3}
OF_KERAS: dict[str, Any] = {"depth": 11, "width": 1 / 64}


@cache
def net(of_keras: bool = False) -> VGG:
    torch.manual_seed(0)
    return VGG(**(OF_KERAS if of_keras else FACTORS), num_classes=3)


def written(write: Any, *, of_keras: bool = False) -> bytes:
    """A file of weights, as somebody else's program writes it."""
    with tempfile.TemporaryDirectory() as folder:
        write(net(of_keras), Path(folder) / "file")
        return (Path(folder) / "file").read_bytes()


def state_dict() -> dict[str, Any]:
    return dict(net().state_dict())


def a_checkpoint() -> dict[str, Any]:
    return {"epoch": 1, "global_step": 8, "state_dict": {f"net.{name}": value for name, value in state_dict().items()}}


def a_state() -> dict[str, Any]:
    began = {"started": "2026-01-01T00:00:00+00:00", "origin": {}, "images": "a digest", "seconds": 2.5}
    history = began | {"division": division(of_run()[0].trainer)}
    return a_checkpoint() | {"callbacks": {Keeper.__name__: history}}


def converted() -> dict[str, Any]:
    own = {"name": "mine", "state_dict": state_dict(), "preprocessing": dict(PREPROCESSINGS["oxford"])}
    return own | {"figures": [{"top1": 30.0, "method": "dense", "scales": [256], "source": "me"}]}


def check_fit(state: Any, *, of_keras: bool = False) -> None:
    """Weights that are not refused are those of a net."""
    outline = VGG(**(OF_KERAS if of_keras else FACTORS), num_classes=3)
    if num_classes(state, outline.last_name) == 3:
        require_fit(outline, state, "weights")
        outline.load_state_dict(state, strict=False)


def run_folder(home: Path) -> None:
    (home / "checkpoints").mkdir()
    (home / "config.yaml").write_bytes(of_run()[1])


def check_checkpoint(data: bytes, home: Path) -> None:
    (home / "checkpoints/best.ckpt").write_bytes(data)
    found = load_checkpoint(home)
    assert isinstance(found.epoch, int)
    check_fit(found.weights)


def check_state(data: bytes, home: Path) -> None:
    (home / LAST).write_bytes(data)
    state = saved_state(of_run()[0], home)
    assert state is not None
    assert state.num_steps >= 0
    assert state.history.wall_seconds >= 0
    assert isinstance(state.history.as_state()["started"], str)


def check_published(data: bytes, home: Path, *, ending: str, of_keras: bool = False) -> None:
    file = home / f"mine{ending}"
    file.write_bytes(data)
    found = load_weights(str(file), net(of_keras), "paper" if ending == ".pth" else None)
    check_fit(found.state, of_keras=of_keras)
    assert len(found.sha256()) == 64
    assert set(taking_rgb(found, net(of_keras)).preprocessing) <= {"mean", "std"}


CAFFE = [written(write) for write in (write_caffemodel, write_caffemodel_of_today)]
KERAS = [written(write_keras, of_keras=True)]

TARGETS = [
    Target("checkpoint", odd_state([a_checkpoint()]), check_checkpoint, run_folder, 3),
    Target("state", odd_state([a_state()]), check_state, run_folder, 2),
    Target("pth", odd_state([state_dict()]), partial(check_published, ending=".pth"), share=2),
    Target("converted", odd_state([converted()]), partial(check_published, ending=".pt"), share=2),
    Target("caffemodel", mutated(CAFFE), partial(check_published, ending=".caffemodel"), share=2),
    Target("h5", mutated(KERAS), partial(check_published, ending=".h5", of_keras=True), share=1),
]
