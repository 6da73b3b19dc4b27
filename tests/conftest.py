"""Small real inputs for the tests: images, trees of them, and the command line."""

import io
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from vggsuite import cli
from vggsuite.composing import register
from vggsuite.config import Decoder
from vggsuite.data.datasets import TrainingViews
from vggsuite.data.samples import Samples
from vggsuite.data.scale import Scale

ROOT = Path(__file__).resolve().parents[1]

MakeTree = Callable[..., Path]

# A net that trains in a second, on the images of `make_tree`.
TINY = (
    *("data=folder", "data.crop=32", "data.num_workers=0", "data.val_fraction=0.34", "data.held_out=0.3"),
    *("model.width=0.02", "model.num_pools=3", "recipe.epochs=1", "recipe.batch_size=4", "trainer=cpu"),
)


@pytest.fixture(autouse=True)
def started_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not take themselves for what SLURM or torchrun started, whose jobs they might queue again, nor for an
    offline run of W&B's, which leaves its mode in the environment."""
    for name in os.environ:
        if name.startswith(("SLURM_", "TORCHELASTIC_", "LOCAL_", "WANDB_")) or name in (
            "RANK",
            "WORLD_SIZE",
            "NODE_RANK",
        ):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def one_store_of_schemas() -> Iterator[None]:
    """Hydra copies all schemas for each config that it composes, though it only reads them: some 0.1 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConfigStore, "__deepcopy__", lambda store, memo: store, raising=False)
        yield


@pytest.fixture
def hydra_for_tests() -> Iterator[None]:
    """Hydra composes configs from conf/ within a test."""
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


@pytest.fixture
def picture() -> Image.Image:
    """A smooth picture of 120 x 90 pixels, in which every place differs."""
    return smooth_picture(120, 90)


def smooth_picture(width: int, height: int, level: int = 128) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 * x / width, 255 * y / height, np.full_like(x, level)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Write a tree of class folders with images of 40 x 48 pixels whose blue level tells the class; PNG files, which
    lose nothing, unless by another ending."""

    def make(
        *parts: str, classes: tuple[str, ...] = ("cat", "dog", "owl"), images: int = 6, ending: str = "png"
    ) -> Path:
        folder = tmp_path.joinpath("images", *parts)
        for label, name in enumerate(classes):
            (folder / name).mkdir(parents=True)
            for number in range(images):
                picture = smooth_picture(40, 48 + number, level=(80 * label + number) % 256)
                picture.save(folder / name / f"{name}_{number:03d}.{ending}")
        return tmp_path / "images"

    return make


def training_views(samples: Samples, *, seed: int = 0) -> TrainingViews:
    """Crops of 32 pixels, S jittered."""
    scale, decoder = Scale(36, 60), Decoder.turbo
    return TrainingViews(samples, scale=scale, crop=32, flip=True, colour_std=0.1, seed=seed, decoder=decoder)


def run_command(script: str, *arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an entry point as a person would, without colours or a terminal."""
    return subprocess.run(
        [sys.executable, str(ROOT / "src" / script), *arguments],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


def call_command(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an entry point within this process, which spares the seconds of its start."""
    command = [str(ROOT / "src" / script), *arguments]
    output, errors, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(output), redirect_stderr(errors), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        patch.setattr(cli, "told", [])
        patch.setenv(cli.FULL_ERROR, "0")
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as end:
            code = int(str(end.code))
        finally:
            GlobalHydra.instance().clear()
    return subprocess.CompletedProcess(command, code, output.getvalue(), errors.getvalue())


def assert_refused(result: subprocess.CompletedProcess[str], told: str) -> None:
    """One sentence that contains `told`, on standard error, and an exit code that is not 0."""
    lines = [line for line in result.stderr.splitlines() if line]
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert told in lines[0]
