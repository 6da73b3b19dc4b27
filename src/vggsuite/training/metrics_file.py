"""`metrics.csv`: everything that a run logs, a row for each time it logs."""

import csv
import io
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from vggsuite.files import naming_damaged, write_atomically
from vggsuite.training.processes import is_first_process

SAVE_SECONDS = 10.0  # at most so often, beside every time that the run's state is saved


class MetricsFile(Logger):
    """Keeps the rows in a file that is whole whenever the process ends. (Lightning's CSVLogger deletes what it finds,
    and rewrites the file in place when a new column comes.)

    Args:
        file: where to.
        num_steps: the rows there of the first so many steps are kept, others are not.

    Raises:
        UserError: where they cannot be read: a state is never saved before them.
    """

    def __init__(self, file: Path, *, num_steps: int = 0) -> None:
        super().__init__()
        self.file = file
        self.rows: list[dict[str, Any]] = []
        self.saved = time.monotonic()
        if num_steps and is_first_process():
            remedy = "begin the run afresh with resume=never"
            with naming_damaged(file, remedy), file.open(newline="", encoding="utf-8") as stream:
                found = list(csv.DictReader(stream))
                if any(None in row for row in found):
                    raise ValueError("it has a line of more cells than its first")
                kept = (row for row in found if 0 <= int(row["step"]) < num_steps)
                self.rows = [{key: value for key, value in row.items() if value} for row in kept]

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """They are in the run's config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        values = {key: value.item() if isinstance(value, Tensor) else value for key, value in metrics.items()}
        self.rows.append(values | {"step": len(self.rows) if step is None else step})
        if time.monotonic() - self.saved > SAVE_SECONDS:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        columns = sorted({key for row in self.rows for key in row})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=columns)
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.file, text.getvalue())
        self.saved = time.monotonic()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        with nullcontext() if status == "success" else suppress(OSError):  # else there is another error to be told
            self.save()
