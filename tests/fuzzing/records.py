"""Records of runs, evaluations, transfers and localisation, in JSON, and a pack's plan."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.fuzzing.mutations import text
from tests.fuzzing.target import Target
from tests.results.conftest import DENSE, IMAGES, STATE, make_record, metrics
from vggsuite.data.packed import Plan, read_plan
from vggsuite.evaluation.members import parts_of
from vggsuite.results.collection import collect, outdated
from vggsuite.results.localisation_points import collect_localisations
from vggsuite.results.localisation_records import (
    LOCALISATION_FILE,
    LOCALISER_FILE,
    Localisation,
    read_localisation,
    read_localiser,
)
from vggsuite.results.predictions import PREDICTIONS_FILE
from vggsuite.results.record import (
    EVALUATION_FILE,
    RECORD_FILE,
    TRANSFER_FILE,
    Evaluation,
    Transfer,
    current_evaluation,
    evaluation_folder,
    read_transfer,
)
from vggsuite.results.report import make_report
from vggsuite.results.summary import localisation_summary, summary, transfer_summary
from vggsuite.results.transfer_points import collect_transfers

RUN = "digits/table3/a/seed_0"
JSON_TOKENS = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"NaN", b"-Infinity", b"1e999", b"\\ud83d", b"[" * 2000),
    b'"schema_version": 2, ',
    b'"metrics": {}, ',
)
WEIGHTS = {"run": RUN, "started": str(STATE["started"]), "sha256": "0"}


def in_json(record: Any) -> bytes:
    return json.dumps(asdict(record), indent=1).encode()


RECORD = make_record("table3/a")
EVALUATION = Evaluation(
    name=f"{RUN}/evaluations/{DENSE.name}",
    of=[WEIGHTS],
    protocol=asdict(DENSE),
    members=[],
    command="python src/evaluate.py",
    data=IMAGES,
    metrics=metrics(range(20)),
    published=[],
    cost={},
    environment=STATE,
)
MEAN = Evaluation(**(asdict(EVALUATION) | {"members": [{"name": f"{RUN}/evaluations/part", "started": "then"}]}))
TRANSFER = Transfer(
    experiment="table11/d",
    variant="",
    typed="",
    seed=0,
    command="python src/transfer.py",
    nets=["D"],
    of=[WEIGHTS],
    settings={"source": "digits"},
    data=IMAGES | {"name": "letters", "num_images": 100, "splits": {"number": 2, "keep_per_class": None}},
    metric="mean_class_recall",
    splits=[{"score": 50.0, "num_train": 30, "num_test": 15}, {"score": 52.0, "num_train": 30, "num_test": 15}],
    metrics={"mean": 51.0, "sd": 1.4},
    cost={},
    environment=STATE,
)
LOCALISATION = Localisation(
    name="digits/table9/s256/seed_0",
    of=[WEIGHTS | {"scales": [37]}],
    protocol="dense",
    settings={},
    labels={},
    command="python src/localise.py",
    data=IMAGES | {"boxes": "b", "split": "val", "counts": {"images_without": 0}},
    metrics={
        "num_images": 200,
        "confidence": 0.95,
        **{f"{box}{name}_error": 20.0 for box in ("", "mean_box_") for name in ("gt_class", "top1", "top5")},
        **{f"{box}{name}_interval": [1.0, 30.0] for box in ("", "mean_box_") for name in ("gt_class", "top1", "top5")},
    },
    cost={},
    environment=STATE,
)
OF_BOXES = {
    "regression": "pcr",
    "finetune": "all",
    "boxes": {"mean_box": [0.1] * 4},
    "selection": {"by": "held_out"},
    "test": {"folder": "localisations/dense-37"},
    "init": {"run": RUN, "sha256": "0"},
}
LOCALISER = json.dumps(asdict(make_record("table8/pcr_all")) | OF_BOXES, indent=1).encode()
PLAN = Plan(["cat", "dog"], "0123", images_per_shard=4, smallest_side=None, quality=90)


def a_run(home: Path) -> None:
    """A run with its evaluation."""
    place = evaluation_folder(home / RUN, DENSE)
    place.mkdir(parents=True)
    (home / RUN / RECORD_FILE).write_bytes(in_json(RECORD))
    (place / EVALUATION_FILE).write_bytes(in_json(EVALUATION))
    (place / PREDICTIONS_FILE).touch()
    for folder in ("letters/table11/d/seed_0", "digits/table9/s256/seed_0", "digits/table8/pcr_all/seed_0"):
        (home / folder).mkdir(parents=True)


def print_tables(home: Path) -> None:
    """The tables of what there is."""
    found = collect(home, data="digits", variant="")
    assert all(isinstance(sentence, str) for sentence in outdated(found.results))
    for number in (3, 4):
        assert make_report(number, found, 0.95).grids


def check_record(data: bytes, home: Path) -> None:
    (home / RUN / RECORD_FILE).write_bytes(data)
    print_tables(home)


def check_evaluation(data: bytes, home: Path) -> None:
    place = evaluation_folder(home / RUN, DENSE)
    (place / EVALUATION_FILE).write_bytes(data)
    found = current_evaluation(place, WEIGHTS, {"fingerprint": str(IMAGES["fingerprint"])})
    assert parts_of(place) is not None
    if found:
        assert found.name in summary(found)
    print_tables(home)


def check_transfer(data: bytes, home: Path) -> None:
    folder = home / "letters/table11/d/seed_0"
    (folder / TRANSFER_FILE).write_bytes(data)
    assert transfer_summary(read_transfer(folder))
    collect_transfers(home, source="digits", variant="")


def check_localisation(data: bytes, home: Path) -> None:
    folder = home / "digits/table9/s256/seed_0"
    (folder / LOCALISATION_FILE).write_bytes(data)
    assert localisation_summary(read_localisation(folder))
    collect_localisations(home, data="digits", variant="")


def check_localiser(data: bytes, home: Path) -> None:
    folder = home / "digits/table8/pcr_all/seed_0"
    (folder / LOCALISER_FILE).write_bytes(data)
    assert read_localiser(folder).test["folder"]
    collect_localisations(home, data="digits", variant="")


def check_plan(data: bytes, home: Path) -> None:
    (home / "pack.json").write_bytes(data)
    found = read_plan(home)
    assert all(isinstance(name, str) for name in found.classes)
    assert isinstance(found.images_per_shard, int)


TARGETS = [
    Target("record", text([in_json(RECORD)], JSON_TOKENS), check_record, a_run, 3),
    Target("evaluation", text([in_json(EVALUATION), in_json(MEAN)], JSON_TOKENS), check_evaluation, a_run, 3),
    Target("transfer", text([in_json(TRANSFER)], JSON_TOKENS), check_transfer, a_run, 2),
    Target("localisation", text([in_json(LOCALISATION)], JSON_TOKENS), check_localisation, a_run, 2),
    Target("localiser", text([LOCALISER], JSON_TOKENS), check_localiser, a_run, 2),
    Target("plan", text([in_json(PLAN)], JSON_TOKENS), check_plan, share=2),
]
