"""On what a run was made: hardware, package versions, git state, peak memory."""

import os
import platform
import resource
import subprocess
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vggsuite.config import PROJECT_ROOT

PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "hydra-core",
    "numpy",
    "pillow",
    "simplejpeg",
    "scikit-learn",
    "vggsuite",
)


def hardware(*, gpu: bool) -> dict[str, Any]:
    """This machine, with its GPU if it is used."""
    return {
        "machine": platform.machine(),
        "processor": torch.cpu.get_capabilities().get("cpu_name") or platform.processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if gpu else None,
    }


def environment(started: datetime, *, gpu: bool) -> dict[str, Any]:
    """Hardware, versions and git state of this process, and when what it records has `started` (UTC)."""
    return {
        "hardware": hardware(gpu=gpu),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "git_commit": git("rev-parse", "HEAD", root=PROJECT_ROOT),
        "git_dirty": bool(git("status", "--porcelain", root=PROJECT_ROOT)),
        "started": started.isoformat(timespec="seconds"),
    }


def git(*arguments: str, root: Path) -> str | None:
    """What a git command prints, None where the project is no git checkout or there is no git."""
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None


def peak_memory(gpu: bool) -> dict[str, Any]:
    """The largest memory in use so far: of the GPU's allocator, or the resident set of this process."""
    if gpu:
        return {"peak_memory_bytes": torch.cuda.max_memory_allocated(), "peak_memory_of": "GPU allocator"}
    unit = 1 if platform.system() == "Darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"peak_memory_bytes": peak, "peak_memory_of": "process, since its start"}
