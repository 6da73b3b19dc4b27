"""Hydra finds its launchers in the namespace `hydra_plugins`; these are chosen by hydra/launcher=local|slurm."""

from .local import LocalLauncher
from .slurm import SlurmLauncher

__all__ = ["LocalLauncher", "SlurmLauncher"]
