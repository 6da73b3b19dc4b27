"""In which format a large data set is best packed: python benchmarks/storage.py

The suite's shards, read at positions, beside loose files and what others pack: the same shards as a stream of the
webdataset library, LitData's chunks, and MosaicML's MDS. All formats hold the same images and labels, about 64 MB in a
file, the default of the last two; every library is used as its documentation has it for a local folder.

Writing, until the disk has it, and reading are timed in rounds of shuffled order, each time in a process of its own; a
ratio is the median of the rounds' ratios [lowest, highest]. Our shards are written for both of their readers: how far
these two differ is noise. Reading gives all encoded images once, shuffled, in batches of 64, and decodes none. With a
warm page cache it is a process's second epoch that is timed; with a cold one its first, the files having been dropped
from the system's page cache. That forgets neither where files lie, which flatters loose files, nor what the host of a
virtual machine remembers.

What an epoch takes, and how well it is shuffled, is found with small records in place of images, as many to a file, for
it depends on numbers alone. Of the records packed class by class and in random order (ours is only ever packed so), the
mean number of classes in a batch is told as a share of what a perfect shuffle gives.
"""

import argparse
import functools
import gc
import importlib
import math
import multiprocessing
import os
import resource
import shutil
import socket
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from torch.utils.data import DataLoader, Dataset

from measure import arguments_parser, ratio, report, rounds, setting, table
from photographs import write_jpegs
from vggsuite.data.datasets import EpochBatches, Position
from vggsuite.data.pack import as_it_is
from vggsuite.data.packed import read_split, shard_file, write_index, write_shard
from vggsuite.data.samples import Files, Samples

BATCH, SEED, NUM_CLASSES = 64, 0, 100
PER_FILE = 600  # of 110 kB: 66 MB
WINDOW = 5_000  # images that ours shuffles at a time: a tenth of the default, of a data set that is smaller, too
BUFFER = 1_000  # as in webdataset's documentation
LOOSE = "loose files"
Batches = Iterable[Sequence[tuple[int, bytes]]]  # images with their numbers
Found = TypeVar("Found")


class Encoded(Dataset[tuple[int, bytes]]):
    """The encoded images of `samples`, at positions that `EpochBatches` draws."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __getitem__(self, position: Position) -> tuple[int, bytes]:
        return position[1], as_it_is(self.samples, position[1])


def at_positions(samples: Samples, workers: int) -> Batches:
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    size = BATCH * ranks
    order = EpochBatches(samples.shards(), batch_size=size, seed=SEED, window=WINDOW, rank=rank, num_devices=ranks)
    return DataLoader(Encoded(samples), batch_sampler=order, num_workers=workers, collate_fn=list)


def write_files(folder: Path, samples: Samples, order: np.ndarray) -> None:
    for index in order:
        (folder / samples.store.name(index)).write_bytes(as_it_is(samples, index))


def read_files(folder: Path, workers: int) -> Batches:
    return at_positions(found_in(folder), workers)


def write_shards(folder: Path, samples: Samples, order: np.ndarray) -> None:
    parts = np.split(order, range(PER_FILE, len(order), PER_FILE))
    files = [shard_file(folder, "train", number) for number in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        write_shard(file, part, samples, as_it_is)
    write_index(folder, "train", samples, files)


def read_shards(folder: Path, workers: int) -> Batches:
    return at_positions(read_split(folder, "train"), workers)


def read_stream(folder: Path, workers: int) -> Batches:
    from webdataset import WebDataset, split_by_node

    files = sorted(map(str, folder.glob("*.tar")))
    shards = WebDataset(files, shardshuffle=len(files), detshuffle=True, seed=SEED, nodesplitter=split_by_node)
    images = shards.shuffle(BUFFER, seed=SEED).to_tuple("__key__", "jpeg").map_tuple(int)
    return DataLoader(images, BATCH, num_workers=workers, collate_fn=list)


def record(samples: Samples, index: int) -> dict[str, Any]:
    return {"number": int(index), "label": int(samples.labels[index]), "image": as_it_is(samples, index)}


def pairs(records: Iterable[dict[str, Any]]) -> list[tuple[int, bytes]]:
    """Numbers and images; copied, for LitData gives a view of a mapped file, of which nothing has been read yet."""
    return [(record["number"], bytes(record["image"])) for record in records]


def write_chunks(folder: Path, samples: Samples, order: np.ndarray) -> None:
    from litdata import optimize

    work = functools.partial(record, samples)
    how: dict[str, Any] = {"num_workers": 1, "start_method": "fork", "keep_data_ordered": True, "verbose": False}
    optimize(work, order.tolist(), str(folder), chunk_size=PER_FILE, **how)


def read_chunks(folder: Path, workers: int) -> Batches:
    from litdata import StreamingDataLoader, StreamingDataset

    # batch_decode=0 is what LitData chooses for images it decodes itself; for bytes it would take ten times as long
    dataset = StreamingDataset(str(folder), shuffle=True, seed=SEED, batch_decode=0)
    return StreamingDataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=pairs)


def write_mds(folder: Path, samples: Samples, order: np.ndarray) -> None:
    from streaming import MDSWriter

    size = sum(samples.num_bytes()) / len(samples) + 30  # number, label, and where all lies
    columns = {"number": "int", "label": "int", "image": "bytes"}
    with MDSWriter(out=str(folder), columns=columns, size_limit=int(size * PER_FILE)) as writer:
        for index in order:
            writer.write(record(samples, index))


def read_mds(folder: Path, workers: int) -> Batches:
    from streaming import StreamingDataset

    dataset = StreamingDataset(local=str(folder), shuffle=True, shuffle_seed=SEED, batch_size=BATCH)
    return DataLoader(dataset, BATCH, num_workers=workers, collate_fn=pairs)


class Format(NamedTuple):
    """How images are put into a folder in a given order, and read by as many workers of the rank that the environment
    names; `package` is the module that it takes."""

    package: str
    write: Callable[[Path, Samples, np.ndarray], None]
    read: Callable[[Path, int], Batches]


FORMATS = {
    LOOSE: Format("vggsuite", write_files, read_files),
    "ours": Format("vggsuite", write_shards, read_shards),
    "ours, by webdataset": Format("webdataset", write_shards, read_stream),
    "litdata": Format("litdata", write_chunks, read_chunks),
    "mosaicml-streaming": Format("streaming", write_mds, read_mds),
}


def installed() -> dict[str, Format]:
    return {name: form for name, form in FORMATS.items() if find_spec(form.package)}


def table_of(rows: dict[str, tuple[str, ...]], headers: Sequence[str]) -> str:
    """A row for every format, also for one that cannot be measured here."""
    lacking = {name: (f"{form.package} is missing",) for name, form in FORMATS.items() if name not in rows}
    return table([(name, *(rows | lacking)[name]) for name in FORMATS], ("format", *headers))


def apart(work: Callable[[], Found], ranks: int = 1) -> list[Found]:
    """What `work` returns in new processes, one for each rank, which find nothing that another left in memory."""
    context = multiprocessing.get_context("fork")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        shared = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1]), "NNODES": "1"}
    shared |= {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
    shared["PYTHONWARNINGS"] = "ignore:resource_tracker"  # which tidies up after MosaicML's library

    def be(rank: int, answer: Connection) -> None:
        os.environ.update(shared | dict.fromkeys(("RANK", "LOCAL_RANK", "GLOBAL_RANK"), str(rank)))
        answer.send(work())

    answers = []
    for rank in range(ranks):
        receiver, sender = context.Pipe(duplex=False)
        context.Process(target=be, args=(rank, sender)).start()
        sender.close()
        answers.append(receiver)
    found = [answer.recv() for answer in answers]
    for process in multiprocessing.active_children():
        process.join()
    return found


def found_in(folder: Path) -> Samples:
    """The images in `folder`, labelled by the order of their names."""
    names = sorted(file.name for file in folder.iterdir())
    return Samples.all_of(Files(folder, names), [number * NUM_CLASSES // len(names) for number in range(len(names))])


def write_records(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06d}.jpeg").write_bytes(b"%d" % number)


def drawn(count: int) -> np.ndarray:
    """A random order, as `pack.py` packs in."""
    return np.random.default_rng(SEED).permutation(count)


def clocks() -> np.ndarray:
    """Seconds of wall time, and the process's own with those of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return np.array([time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in used)])


def write(form: Format, folder: Path, samples: Samples, order: np.ndarray) -> np.ndarray:
    """What it takes for an image, as `clocks` tells it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def work() -> np.ndarray:
        os.sync()
        before = clocks()
        form.write(folder, samples, order)
        os.sync()
        return (clocks() - before) / len(samples)

    return apart(work)[0]


def read(form: Format, folder: Path, *, cold: bool) -> np.ndarray:
    """What it takes for an image, as `clocks` tells it."""
    if cold:
        os.sync()
        for file in folder.iterdir():
            with file.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def work() -> np.ndarray:
        batches = form.read(folder, 0)
        if not cold:
            sum(map(len, batches))
        before = clocks()
        count = sum(map(len, batches))
        return (clocks() - before) / count

    return apart(work)[0]


def speed_table(measure: Callable[[Format, Path], np.ndarray], home: Path, count: int) -> str:
    """`measure` of every format, in rounds."""
    taken: dict[str, list[np.ndarray]] = {name: [] for name in installed()}

    def call(name: str) -> float:
        taken[name].append(measure(FORMATS[name], home / name))
        return float(taken[name][-1][0])

    wall = rounds({name: functools.partial(call, name) for name in taken}, count)
    own = {name: [float(each[1]) for each in taken[name][1:]] for name in taken}  # the first is not counted
    rate, cpu = ({name: statistics.median(times[name]) for name in taken} for times in (wall, own))
    rows: dict[str, tuple[str, ...]] = {
        name: (f"{1 / rate[name]:.0f}", ratio(wall, name, LOOSE), f"{1e6 * cpu[name]:.0f}", ratio(own, name, LOOSE))
        for name in taken
    }
    return table_of(rows, ("images/s", "x loose files", "CPU us an image", "x loose files"))


def sizes(samples: Samples, home: Path) -> str:
    """What `write` has left, the file system's blocks and all."""
    blocks = {name: sum(file.stat().st_blocks for file in (home / name).iterdir()) for name in installed()}
    shares = (f"{name} {512 * count / sum(samples.num_bytes()):.3f}" for name, count in blocks.items())
    return f"Disk space over the images' bytes: {', '.join(shares)}."


def numbers(form: Format, folder: Path, workers: int, ranks: int = 1) -> list[list[list[int]]]:
    """The numbers of the images in every batch of every rank."""
    return apart(lambda: [[number for number, _ in batch] for batch in form.read(folder, workers)], ranks)


def variety(batches: list[list[int]], labels: np.ndarray) -> float:
    """The mean number of classes in a full batch as a share of what it would be in a perfect shuffle."""
    found = statistics.mean(len(set(labels[batch])) for batch in batches if len(batch) == BATCH)
    total = len(labels)
    absent = (math.comb(total - size, BATCH) / math.comb(total, BATCH) for size in np.bincount(labels).tolist())
    return found / sum(1 - share for share in absent)


def order_table(records: Samples, home: Path) -> str:
    """What an epoch takes, and in which order."""
    rows: dict[str, tuple[str, ...]] = {}
    for name, form in installed().items():
        shares = []
        for order in (np.arange(len(records)), drawn(len(records))):
            write(form, home / name, records, order)
            (alone,), (batches,) = (numbers(form, home / name, workers) for workers in (1, 2))
            shares.append(f"{variety(batches, records.labels):.2f}")
        ranks = [list(chain(*own)) for own in numbers(form, home / name, workers=2, ranks=2)]
        seen = Counter(chain(*ranks))
        once = sum(times == 1 for times in seen.values())
        counts = (once, len(seen) - once, len(records) - len(seen), " and ".join(str(len(rank)) for rank in ranks))
        rows[name] = (*map(str, counts), *shares, "yes" if batches == alone else "no")
    seen_by = ("seen once", "more often", "never", "by the ranks")
    shuffled = ("classes in a batch: packed by class", "in random order", "same for 1 and 2 workers")
    return table_of(rows, seen_by + shuffled)


def main() -> None:
    parser = arguments_parser(__doc__, rounds=5)
    parser.add_argument("--images", type=int, default=2000)
    # by default a prime, which is no multiple of anything; webdataset refuses fewer files than workers
    parser.add_argument("--records", type=int, default=20_011, help=f"at least {4 * PER_FILE}")
    arguments = parser.parse_args()
    os.environ["LITDATA_DISABLE_VERSION_CHECK"] = "1"  # it asks the network
    for form in installed().values():
        importlib.import_module(form.package)  # once, not in every process,
    gc.freeze()  # nor is what was imported gone through by the collector of each
    with tempfile.TemporaryDirectory() as home:
        tempfile.tempdir = home  # for what the libraries leave behind
        run(arguments, Path(home))


def run(arguments: argparse.Namespace, home: Path) -> None:
    write_jpegs(home / "images", arguments.images)
    write_records(home / "records", arguments.records)
    images, records = found_in(home / "images"), found_in(home / "records")
    size = sum(images.num_bytes()) / len(images) / 1e3
    writing = functools.partial(write, samples=images, order=drawn(len(images)))
    speed = functools.partial(speed_table, home=home / "packed", count=arguments.rounds)
    peers = ("webdataset", "litdata", "mosaicml-streaming")
    parts = {
        f"# Storage of {len(images)} JPEGs of {size:.0f} kB on average": lambda: setting(packages=peers),
        "## Writing": lambda: f"{speed(writing)}\n\n{sizes(images, home / 'packed')}",
        "## Reading, warm page cache": lambda: speed(functools.partial(read, cold=False)),
        "## Reading, cold page cache": lambda: speed(functools.partial(read, cold=True)),
        f"## An epoch of {len(records)} records by 2 ranks of 2 workers, and its order by 1 rank": (
            lambda: order_table(records, home / "order")
        ),
    }
    report(parts, arguments.save)


if __name__ == "__main__":
    main()
