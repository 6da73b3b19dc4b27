"""Packing a data set; an interrupted packing goes on where it was."""

import functools
import io
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count, delayed
from PIL import Image
from tqdm import tqdm

from vggsuite.data.config import PackConfig
from vggsuite.data.find import find_images
from vggsuite.data.images import decode, naming_unreadable
from vggsuite.data.jpeg import MAX_SIDE
from vggsuite.data.layouts import ImageSet, digest
from vggsuite.data.packed import Plan, is_complete, is_pack, read_plan, shard_file, write_index, write_shard
from vggsuite.data.samples import Samples
from vggsuite.data.views import rescaled_size
from vggsuite.errors import UserError
from vggsuite.files import exclusive

SEED = 20140904  # of the order in the shards


def pack(config: PackConfig) -> None:
    """Pack both splits of the data set of `config` into its output folder, each in a random order of its own, so that
    every shard is a sample of all classes.

    Raises:
        UserError: for a source that training would refuse or that is a pack, an image that cannot be re-encoded, and a
            folder that holds another pack or cannot be written.
    """
    folder = Path(config.output).expanduser()
    check_places(Path(config.data.root).expanduser(), folder)
    source = find_images(config.data)
    plan = make_plan(config, source)
    with exclusive(folder), told_where(folder):
        if is_pack(folder) and read_plan(folder) != plan:
            raise UserError(f"output={folder} holds a pack of other images or settings; type output=<another folder>.")
        plan.save(folder)
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()
        for split, samples in (("train", source.train), ("val", source.val)):
            pack_split(config, folder, split, samples)
    root = shlex.quote(f"data.root={folder}")
    print(f"{config.data.name} is packed; train on it with: data={config.data.name} {root}")


def check_places(root: Path, output: Path) -> None:
    """Make sure that the pack becomes no part of what is packed.

    Raises:
        UserError: where it would, and for a pack of a pack.
    """
    if is_pack(root):
        raise UserError(f"data.root={root} is a pack already; type the folder of the files themselves.")
    if output == Path() or output.resolve().is_relative_to(root.resolve()):
        raise UserError(f"output={output} is the folder of the images or in it (data.root={root}); type another.")


@contextmanager
def told_where(folder: Path) -> Iterator[None]:
    """Turn what the disk says into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"output={folder} cannot be written ({error.strerror}); mend that and repeat the command, or type "
            "output=<another folder>."
        ) from error


def make_plan(config: PackConfig, source: ImageSet) -> Plan:
    """What `config` makes of `source`."""
    return Plan(
        classes=source.classes,
        fingerprint=digest([source.train_fingerprint(), source.fingerprint()]),
        images_per_shard=config.images_per_shard,
        smallest_side=config.smallest_side,
        quality=config.quality,
    )


def pack_split(config: PackConfig, folder: Path, split: str, samples: Samples) -> None:
    """Write the shards that a split lacks, then its index."""
    order = np.random.default_rng(SEED).permutation(len(samples))
    parts = np.split(order, range(config.images_per_shard, len(order), config.images_per_shard))
    files = [shard_file(folder, split, number) for number in range(len(parts))]
    there = [
        is_complete(file, verify=config.verify)
        for file in tqdm(files, desc=f"checking {split}", unit="shard", disable=None, leave=False)
    ]
    todo = [(file, part) for file, part, done in zip(files, parts, there, strict=True) if not done]
    print(f"{split}: {len(files) - len(todo)} of {len(files)} shards are there", flush=True)
    side = config.smallest_side if split == "train" else None
    encode = functools.partial(re_encoded, side=side, quality=config.quality) if side else as_it_is
    jobs = (delayed(write_shard)(file, part, samples, encode) for file, part in todo)
    with tqdm(total=sum(len(part) for _, part in todo), desc=split, unit="image", disable=None) as bar:
        written = Parallel(config.num_threads or cpu_count(), prefer="threads", return_as="generator")(jobs)
        for (_, part), _ in zip(todo, written, strict=True):
            bar.update(len(part))
    if todo or config.verify or not (folder / f"{split}.npz").is_file():
        write_index(folder, split, samples, files)


def as_it_is(samples: Samples, index: int) -> bytes:
    """The encoded image, whatever it is.

    Raises:
        UserError: naming a file that cannot be read.
    """
    with naming_unreadable(samples.location(index)), samples.open(index) as file:
        return file.read()


def re_encoded(samples: Samples, index: int, *, side: int, quality: int) -> bytes:
    """The image as a JPEG whose smallest side is `side`, or as it is if it is not larger, or too long for a JPEG.

    Raises:
        UserError: naming an image that cannot be read.
    """
    size = samples.size(index)
    if min(size) <= side or max(rescaled_size(*size, side)) > MAX_SIDE:
        return as_it_is(samples, index)
    result = io.BytesIO()
    with naming_unreadable(samples.location(index)), samples.open(index) as file:
        image = decode(file)
        image.resize(rescaled_size(*image.size, side), Image.Resampling.LANCZOS).save(result, "JPEG", quality=quality)
    return result.getvalue()
