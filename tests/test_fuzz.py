"""Damaged files end in a right result or a sentence; `python tests/fuzz.py` tries many more."""

from pathlib import Path

import numpy as np
import pytest

from tests.fuzzing import arrays, records, texts, weights
from tests.fuzzing.harness import run_cases
from tests.fuzzing.judging import Finding, judged
from tests.fuzzing.mutations import npz, saved
from tests.fuzzing.target import Target
from tests.fuzzing.targets import TARGETS
from vggsuite.errors import UserError

SLOW_TARGETS = {"sweep": 3, "words": 3}  # which compose a config in each case
CASES = 20
# What was found and mended: the target, the file, and what is told of it now.
FOUND = [
    ("xml", b'<?xml version="1.0" encoding="none"?><annotation/>', "is no PASCAL-VOC annotation (unknown encoding"),
    ("voc_xml", texts.XMLS[1].replace(b"<xmin>1<", b"<xmin>inf<"), "tells no box of object 1"),
    ("voc_xml", texts.XMLS[1].replace(b"<xmin>1<", b"<xmin>1e300<"), "tells no box of object 1"),
    ("voc_list", b"2010_\xff 1 1\n", "jumping_train.txt is damaged ('utf-8' codec"),
    ("voc_list", b"\n", "jumping_train.txt lists no images; unpack the archive anew"),
    ("voc_list", b"2010_1 " + b"9" * 5000 + b" 1\n", "has a line '2010_1 999"),
    ("csv", b"Image,PredictionString\ncat_000,cat 1 2 3 4\n", "LOC_val_solution.csv cannot be read in line 2"),
    ("csv", b"ImageId,PredictionString\ncat_000,\xe4\n", "LOC_val_solution.csv cannot be read in line 1"),
    ("csv", b"ImageId,PredictionString\ncat_000,\n", "LOC_val_solution.csv cannot be read in line 2"),
    ("csv", b"PredictionString,ImageId\ncat 1 2 3 4\n", "LOC_val_solution.csv cannot be read in line 2"),
    ("csv", b'ImageId,PredictionString\n"cat\n000",cat 1 2 3 4\n', "LOC_val_solution.csv cannot be read in line 3"),
    ("csv", b"ImageId,PredictionString\n../cat_000,cat 1 2 3 4\n", "LOC_val_solution.csv cannot be read in line 2"),
    ("metrics", b"epoch,loss\n0,1\n", "metrics.csv is damaged (it lacks 'step')"),
    ("metrics", b"epoch,step\n0,1,2,3\n", "metrics.csv is damaged (it has a line of more cells than its first)"),
    ("metrics", b"epoch,step\n0,\xac\n", "metrics.csv is damaged ('utf-8' codec"),
    ("classes", b"ch\xeane\n", "classes.txt is damaged ('utf-8' codec"),
    ("config", b"a: [", "config.yaml is damaged (while parsing"),
    ("config", b"data:\n  name: ${oc.env:HOME}\n", "config.yaml has '${oc.env:HOME}', which a run's own"),
    ("config", b"data: &a {name: x}\nmodel: *a\n", "config.yaml is damaged (it has an alias)"),
    ("words", b"model=1", "a setting that names a file of conf/ takes a word"),
    (
        "record",
        records.in_json(records.RECORD).replace(b'"crop"', b'"crops"'),
        "is damaged (data.crop: Field required)",
    ),
    ("record", records.in_json(records.RECORD).replace(b'"flip": false', b'"flip": []'), "is damaged (test.flip: "),
    ("evaluation", records.in_json(records.MEAN), "part is missing, a part of"),
    ("evaluation", records.in_json(records.MEAN).replace(b"/part", b"/dense-37"), "names itself as a part"),
    ("transfer", records.in_json(records.TRANSFER).replace(b'"table11/d"', b'"~/d"'), "is damaged (experiment: "),
    ("localiser", records.LOCALISER.replace(b"dense-37", b"[" * 300), "is damaged (test.folder: "),
    ("words", b"=\r", "=\\r cannot be read; allowed: <setting>=<value>"),
    ("words", b"seed=" + b"9" * 5000, "a number has more digits than can be read"),
    ("plan", b"{}", "pack.json is damaged (it lacks 'version')"),
    ("posteriors", npz(arrays.POSTERIORS | {"labels": np.zeros(2, int)}), "is damaged (its labels are of type int64"),
    ("shard", b"", "shard_00000000.npz is damaged (No data left in file); remove it"),
    ("shard", npz({"indices": np.arange(3)}), "shard_00000000.npz is damaged (it lacks "),
    ("shard", npz(arrays.SHARDS[0] | {"indices": np.arange(1, 4)}), "hold 3 of 3 images, or others"),
    ("descriptors", npz(arrays.DESCRIPTORS)[:-100], "part_b.npz is damaged"),
    ("descriptors", npz(arrays.DESCRIPTORS | {"descriptors": np.ones((3, 4))}), "descriptors are of 4 numbers, others"),
    ("candidates", npz(arrays.CANDIDATES | {"counts": np.array([2, 2])}), "its counts are of 4 places, and it has 3"),
    ("scores", npz(arrays.SCORES | {"test_0": np.array([0, 9])}), "scores.npz is damaged (index 9 is out of bounds"),
    ("index", npz(arrays.INDEX | {"offset": np.array([0, 0, 2900])}), "has an image that is not inside its shard"),
    ("index", npz(arrays.INDEX | {"shard": np.array([0, 0, 1])}), "has an image in a shard that is not there"),
    ("beside_shard", npz(arrays.OF_SHARD | {"entries": np.array([0, 1, 9])}), "its entries are not those of 3 images"),
    ("checkpoint", saved(weights.a_checkpoint() | {"epoch": float("nan")}), "best.ckpt is damaged (cannot convert"),
    ("checkpoint", saved({"epoch": 1, "state_dict": {"net.a": None}}), "best.ckpt is damaged ('a' is no plain tensor)"),
    ("state", saved(weights.a_state() | {"global_step": -1}), "last.ckpt is damaged (Input should be greater"),
    ("converted", saved(weights.converted() | {"preprocessing": None}), "mine.pt is damaged (preprocessing: "),
]


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    tally = run_cases(TARGETS[name], 0, SLOW_TARGETS.get(name, CASES), tmp_path, lambda finding: None)
    assert not tally.findings, "\n".join(finding.trace for finding in tally.findings.values())
    assert tally.right > 0  # the first case is a good file


@pytest.mark.parametrize(("name", "data", "told"), FOUND, ids=[f"{name}: {told}" for name, _, told in FOUND])
def test_what_was_found_is_told(name: str, data: bytes, told: str, tmp_path: Path) -> None:
    TARGETS[name].prepare(tmp_path)
    outcome = judged(TARGETS[name], data, tmp_path)
    assert isinstance(outcome, UserError), outcome
    assert told in str(outcome)


def fails(data: bytes, home: Path) -> None:
    raise LookupError("a defect")


def says_two_things(data: bytes, home: Path) -> None:
    raise UserError("one\ntwo")


@pytest.mark.parametrize(("check", "what"), [(fails, "LookupError: a defect"), (says_two_things, "of no one line")])
def test_a_defect_is_a_finding(check: object, what: str, tmp_path: Path) -> None:
    target = Target("defect", TARGETS["xml"].cases, check)  # type: ignore[arg-type]
    outcome = judged(target, b"data", tmp_path)
    assert isinstance(outcome, Finding)
    assert what in outcome.what
    assert "Traceback" in outcome.trace
