"""Checking a data set: every image is read once, and a report tells what is wrong."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from joblib import cpu_count

from vggsuite.config import MULTI_LABEL, DataConfig
from vggsuite.data.check_report import Checked, make_report, num_left_out, summary
from vggsuite.data.config import CheckDataConfig
from vggsuite.data.find import TREES
from vggsuite.data.parts import Part, find_parts
from vggsuite.data.reading import Seen, read_all
from vggsuite.errors import UserError
from vggsuite.files import write_atomically
from vggsuite.naming import quoted, repeat_command


def check_data(config: CheckDataConfig, typed: Sequence[str]) -> None:
    """Read every image of the data set of `config`, write the report, and print what is in it.

    Args:
        config: checked.
        typed: the command line.

    Raises:
        UserError: where nothing is found, the report cannot be written, or a process is ended from outside.
    """
    file = Path(config.output).expanduser().absolute()
    started, clock = datetime.now(UTC), time.perf_counter()
    parts = find_parts(replace(config.data, expected={}))
    with told_where(config.output):
        file.parent.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=file.parent).close()  # better now than after hours of reading
    checked = [Checked(part, seen_of(part, config)) for part in parts]
    report = make_report(checked, config, command=repeat_command("check_data.py", typed), started=started)
    seconds = time.perf_counter() - clock
    with told_where(config.output):
        write_atomically(file, json.dumps(report, indent=1) + "\n")
    print(f"{summary(report, seconds=seconds)}\nreport: {file}")
    if any(num_left_out(report).values()):
        print(f"leave them out with: {next_command(file, config.data, typed)}")


def seen_of(part: Part, config: CheckDataConfig) -> Seen:
    """What is found of the images of a part."""
    return read_all(
        part.samples,
        f"reading {part.name}",
        smallest=config.smallest,
        by_ending=part.by_ending,
        num_workers=cpu_count() if config.num_workers is None else config.num_workers,
    )


@contextmanager
def told_where(output: str) -> Iterator[None]:
    """Turn what the disk says into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"output={output} cannot be written ({error.strerror}); type output=<another file>.") from error


def next_command(report: Path, data: DataConfig, typed: Sequence[str]) -> str:
    """The command that leaves out what the report says: of a training, or of a transfer where nets are not trained on
    such images."""
    same = [word for word in typed if word.startswith(("data=", "data.")) and not word.startswith("data.skip=")]
    skip = f"data.skip={report if is_plain(str(report)) else quoted(str(report))}"
    if data.layout in MULTI_LABEL or data.layout in TREES:
        return repeat_command("transfer.py", [*same, "nets=[d]", skip])
    return repeat_command("train.py", [*same, skip])


def is_plain(path: str) -> bool:
    """Whether Hydra's command line takes a path without quotes."""
    return all(letter.isalnum() or letter in "/._-" for letter in path)
