"""Handlers of signals, for a while."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


def heeded(signums: Iterable[signal.Signals]) -> list[signal.Signals]:
    """Those of the signals that this process was not told to ignore, as by nohup."""
    return [signum for signum in signums if signal.getsignal(signum) != signal.SIG_IGN]


@contextmanager
def handling(signums: Iterable[signal.Signals], handler: Handler) -> Iterator[dict[signal.Signals, Any]]:
    """Let `handler` handle those signals that are heeded, within the context; give the handlers that there were before.
    For the main thread."""
    before = {signum: signal.signal(signum, handler) for signum in heeded(signums)}
    try:
        yield before
    finally:
        for signum, handler_before in before.items():
            signal.signal(signum, handler_before)
