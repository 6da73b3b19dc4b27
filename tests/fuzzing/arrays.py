"""Arrays that runs leave for others: posteriors, shards, descriptors, boxes, candidates, scores, a pack's index."""

from pathlib import Path

import numpy as np

from tests.fuzzing.mutations import odd_npz
from tests.fuzzing.target import Target
from vggsuite.data.packed import index_file, is_complete, read_split, shard_file, write_index
from vggsuite.data.samples import Files, Samples
from vggsuite.evaluation.inference import collect, saved_images
from vggsuite.localisation.answers import LAYOUT, load_answers
from vggsuite.localisation.candidates import load_candidates
from vggsuite.results.predictions import load_posteriors, load_ranks, load_truth
from vggsuite.results.transfer_claims import load_scores
from vggsuite.transfer.descriptors import gather, saved_keys

NAMES = np.array(["cat/cat_000.png", "cat/cat_001.png", "dog/dog_000.png"])
LABELS = np.array([0, 0, 1])
POSTERIORS: dict[str, np.ndarray] = {
    "names": NAMES,
    "labels": LABELS,
    "classes": np.array(["cat", "dog"]),
    "ranks": np.array([0, 1, 0]),
    "log_posteriors": np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])).astype(np.float16),
}
SHARDS: list[dict[str, np.ndarray]] = [
    {"indices": np.arange(3), "vectors": np.ones((3, 4), np.float32)},
    {"indices": np.array([2, 0, 1]), "vectors": np.ones((3, 4), np.float32)},
]
DESCRIPTORS: dict[str, np.ndarray] = {"keys": np.array(["a", "b", "c"]), "descriptors": np.ones((3, 5), np.float32)}
BOXES: dict[str, np.ndarray] = {
    "names": NAMES,
    "labels": LABELS,
    "truth": np.full((3, 2, 4), np.nan),
    "classes": np.array([[0], [0], [1]]),
    "edges": np.ones((3, 1, 4)),
    "overlaps": np.zeros((3, 1)),
    "mean_overlaps": np.zeros(3),
}
CANDIDATES: dict[str, np.ndarray] = {
    "counts": np.array([2, 1]),
    "edges": np.ones((3, 2, 4), np.float32),
    "scores": np.ones((3, 2), np.float32),
}
SCORES: dict[str, np.ndarray] = {
    "scores_0": np.ones((2, 2), np.float32),
    "test_0": np.array([0, 2]),
    "targets": np.array([[1, -1], [1, -1], [-1, 1]], np.int8),
    "classes": np.array(["cat", "dog"]),
}
SHARD_BYTES = 3000
INDEX: dict[str, np.ndarray] = {
    "names": np.frombuffer("\0".join(NAMES).encode(), np.uint8),
    "labels": LABELS,
    "num_bytes": np.array([SHARD_BYTES]),
    "shard": np.zeros(3, np.int64),
    "offset": np.array([512, 1536, 2048]),
    "size": np.array([100, 200, 300]),
}
OF_SHARD: dict[str, np.ndarray] = {
    "entries": np.arange(3),
    "offset": INDEX["offset"],
    "size": INDEX["size"],
    "num_bytes": np.array(SHARD_BYTES),
    "sha256": np.array("0" * 64),
}


def check_posteriors(data: bytes, home: Path) -> None:
    (home / "posteriors.npz").write_bytes(data)
    truth = load_truth(home)
    assert len(truth.names) == len(truth.labels)
    assert load_ranks(home).ndim == 1
    posteriors = load_posteriors(home)
    assert posteriors.dtype == np.float32
    assert posteriors.ndim == 2


def check_shard(data: bytes, home: Path) -> None:
    (home / "shard_00000000.npz").write_bytes(data)
    saved_images(home)
    assert len(collect(home, 3)) == 3


def check_descriptors(data: bytes, home: Path) -> None:
    """A part beside a good one, of two other images."""
    (home / "part_b.npz").write_bytes(data)
    keys = [key for key in "abcde" if key in saved_keys(home)]
    found = gather(home, keys)
    assert found.shape == (len(keys), 5)
    assert found.dtype == np.float32


def good_part(home: Path) -> None:
    np.savez(home / "part_a.npz", keys=np.array(["d", "e"]), descriptors=np.ones((2, 5), np.float32))


def check_boxes(data: bytes, home: Path) -> None:
    (home / "boxes.npz").write_bytes(data)
    found = load_answers(home)
    assert found.edges.shape == (len(found.names), found.classes.shape[1], 4)
    assert set(vars(found)) == set(LAYOUT)


def check_candidates(data: bytes, home: Path) -> None:
    (home / "candidates.npz").write_bytes(data)
    for own in load_candidates(home):
        assert own.edges.shape == (*own.scores.shape, 4)
        assert own.scores.dtype == np.float64


def check_scores(data: bytes, home: Path) -> None:
    (home / "scores.npz").write_bytes(data)
    scores, targets = load_scores(home / "scores.npz")
    assert scores.shape == targets.shape


def pack(home: Path) -> None:
    """A pack's only shard, and the images that were packed."""
    shard_file(home, "val", 0).write_bytes(b"\x00" * SHARD_BYTES)
    (home / "out").mkdir()
    shard_file(home / "out", "val", 0).write_bytes(b"\x00" * SHARD_BYTES)


def check_index(data: bytes, home: Path) -> None:
    """Whatever is read of a pack lies in its shards."""
    (home / "val.npz").write_bytes(data)
    samples = read_split(home, "val")
    assert len(samples.names()) == len(samples) == len(samples.num_bytes())
    for index, size in enumerate(samples.num_bytes()):
        with samples.open(index) as file:
            assert len(file.read()) == size


def check_beside_shard(data: bytes, home: Path) -> None:
    """What lies beside a shard says whether it is complete, and becomes the index of the split."""
    file = shard_file(home / "out", "val", 0)
    index_file(file).write_bytes(data)
    assert is_complete(file, verify=False) in (True, False)
    write_index(home / "out", "val", Samples.all_of(Files(home, list(NAMES)), LABELS), [file])
    read_split(home / "out", "val")


def target(name: str, seed: object, check: object, **others: object) -> Target:
    seeds = seed if isinstance(seed, list) else [seed]
    return Target(name, odd_npz(seeds), check, **others)  # type: ignore[arg-type]


TARGETS = [
    target("posteriors", POSTERIORS, check_posteriors, share=2),
    target("shard", SHARDS, check_shard, share=2),
    target("descriptors", DESCRIPTORS, check_descriptors, prepare=good_part, share=2),
    target("boxes", BOXES, check_boxes, share=2),
    target("candidates", CANDIDATES, check_candidates, share=2),
    target("scores", SCORES, check_scores, share=2),
    target("index", INDEX, check_index, prepare=pack, share=2),
    target("beside_shard", OF_SHARD, check_beside_shard, prepare=pack, share=1),
]
