"""Hydra finds its launchers in the namespace `hydra_plugins`; this one is chosen by hydra/launcher=processes."""

from .launcher import ProcessLauncher

__all__ = ["ProcessLauncher"]
