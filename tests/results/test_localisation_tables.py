"""Tables 8 to 10 from records, some of which are missing."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.results.conftest import STATE
from vggsuite.errors import UserError
from vggsuite.files import save_arrays
from vggsuite.results import rendering
from vggsuite.results.localisation_claims import CLAIMS, MEAN_BOX, PAPER
from vggsuite.results.localisation_points import TESTED, TRAINED, collect_localisations
from vggsuite.results.localisation_records import (
    BOXES_FILE,
    LOCALISER_FILE,
    Localisation,
    Localiser,
    write_localisation,
)
from vggsuite.results.localisation_tables import make_localisation_report
from vggsuite.results.paper import paper
from vggsuite.results.rendering import Report


def errors(wrong: dict[str, np.ndarray]) -> dict[str, Any]:
    found: dict[str, Any] = {"num_images": 200, "confidence": 0.95}
    for name, of_images in wrong.items():
        error = 100 * float(of_images.mean())
        found |= {f"{name}_error": error, f"{name}_interval": [error - 3, error + 3]}
    return found


OF_IMAGES: dict[str, Any] = {
    "name": "digits",
    "num_classes": 10,
    "fingerprint": "f" * 64,
    "boxes": "b",
    "counts": {"images_without": 0},
}


def write(runs: Path, experiment: str, num_wrong: int, *, seed: int = 0, **changes: Any) -> None:
    """A test of 200 images of which so many are wrong, and 150 by the mean box; for Table 8 in its training."""
    wrong = np.arange(200) < num_wrong
    by_name = {
        **dict.fromkeys(("gt_class", "top1", "top5"), wrong),
        **dict.fromkeys(("mean_box_gt_class", "mean_box_top1", "mean_box_top5"), np.arange(200) < 150),
    }
    place = runs / f"digits/{experiment}/seed_{seed}"
    folder = place / "localisations/ground_truth-55" if experiment in TRAINED else place
    folder.mkdir(parents=True)
    content: dict[str, Any] = {
        "name": str(folder.relative_to(runs)),
        "of": [{"scales": [55]}],
        "protocol": "dense",
        "settings": {},
        "labels": {},
        "command": f"python src/localise.py evaluate experiment={experiment}",
        "data": OF_IMAGES,
        "metrics": errors(by_name),
        "cost": {},
        "environment": STATE,
    }
    write_localisation(Localisation(**(content | changes)), folder)
    save_arrays(folder / BOXES_FILE, **{f"wrong_{name}": of_images for name, of_images in by_name.items()})
    if experiment in TRAINED:
        write_training(place, seed)


def write_training(place: Path, seed: int) -> None:
    """The record of the training that a test ended."""
    record: dict[str, Any] = {field: {} for field in Localiser.__dataclass_fields__}
    record |= dict.fromkeys(("experiment", "variant", "command", "regression", "finetune"), "")
    record |= {
        "schema_version": 2,
        "seed": seed,
        "train_scale": [55, 55],
        "environment": STATE,
        "data": OF_IMAGES,
        "test": {"folder": "localisations/ground_truth-55"},
        "init": {"run": "digits/table3/a/seed_0", "sha256": "0"},
        "selection": {"by": "held_out"},
        "boxes": {"mean_box": [0.0] * 4},
    }
    (place / LOCALISER_FILE).write_text(json.dumps(asdict(Localiser(**record))))


def table(number: int, runs: Path) -> Report:
    found = collect_localisations(runs, data="digits", variant="")
    return make_localisation_report(number, found, data="digits", variant="", confidence=0.95)


def row_of(report: Report, grid: int, *first: str) -> list[str]:
    (found,) = (list(cells) for cells in report.grids[grid].cells if tuple(cells[: len(first)]) == first)
    return found


@pytest.mark.parametrize(("number", "count"), [(8, 4), (9, 8), (10, 5)])
def test_without_results_there_are_dashes_and_the_papers_figures(number: int, count: int, tmp_path: Path) -> None:
    report = table(number, tmp_path)
    assert len(report.grids[0].cells) == count
    assert all(cells[-1] == "-" for grid in report.grids for cells in grid.cells)
    assert "no results on digits" in report.heading


def test_the_papers_figures_are_as_it_printed_them(tmp_path: Path) -> None:
    assert row_of(table(8, tmp_path), 0, "1st and 2nd FC", "PCR")[2] == "34.3"
    assert row_of(table(9, tmp_path), 0, "384", "384", "map")[3:5] == ["28.2", "26.7"]
    assert row_of(table(9, tmp_path), 0, "384", "384", "crops")[3:5] == ["-", "-"]
    assert row_of(table(10, tmp_path), 0, "OverFeat (Sermanet et al., 2014)")[1:3] == ["30.0", "29.9"]
    assert row_of(table(9, tmp_path), 1, "fusion beats its best net")[1] == "-0.6"
    rows = paper()["table_9_localisation"]["rows"]
    assert [PAPER[f"table9/{name}"][2] for name in ("s256", "s384", "s384_two", "fusion")] == list(range(len(rows)))


def test_one_run_has_intervals_over_images(tmp_path: Path) -> None:
    for experiment, num_wrong in (("table8/scr_fc", 60), ("table8/pcr_fc", 40), ("table8/pcr_all", 38)):
        write(tmp_path, experiment, num_wrong)
    report = table(8, tmp_path)
    assert row_of(report, 0, "all", "PCR")[3:] == ["55", "19.00 [16.0, 22.0]", "75.00 [72.0, 78.0]", "1"]
    better = row_of(report, 1, "a box for each class beats one for all: PCR against SCR, FC layers")
    assert better[1:3] == ["-2.1", "-10.00"]
    assert better[4] == "holds"
    assert row_of(report, 1, "all layers beat the FC layers alone: PCR")[4] == "not resolved"
    beats = row_of(report, 1, "the net beats the mean box: PCR, all layers")
    assert beats[1:3] == ["-", "-56.00"]
    assert beats[4] == "holds"
    assert len(report.sources) == 3


def test_several_seeds_have_deviations(tmp_path: Path) -> None:
    for seed, (first, second) in enumerate([(60, 40), (66, 42), (58, 44)]):
        write(tmp_path, "table9/s384", first, seed=seed)
        write(tmp_path, "table9/s384_two", second, seed=seed)
    report = table(9, tmp_path)
    assert row_of(report, 0, "384", "384", "map")[6] == "30.67 +- 2.08"
    claim = row_of(report, 1, "two scales beat one: S = 384")
    assert claim[2] == "-9.67"
    assert claim[5] == "t over 3 seeds"


def test_tests_of_other_images_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path, "table9/s256", 60)
    write(tmp_path, "table9/s384", 40, data=OF_IMAGES | {"boxes": "others"})
    with pytest.raises(UserError, match="were tested on different images or boxes"):
        table(9, tmp_path)


def test_every_claim_is_of_experiments_that_there_are() -> None:
    for claims in CLAIMS.values():
        for claim in claims:
            assert {claim.ours, claim.other} <= {*TRAINED, *TESTED, MEAN_BOX}


def test_a_report_is_saved_in_all_its_forms(tmp_path: Path) -> None:
    write(tmp_path, "table9/fusion", 30)
    report = table(10, tmp_path)
    files = {file.name for file in rendering.save(report, tmp_path / "tables")}
    assert files == {"table10.md", "table10.tex", "table10.csv"}
    assert row_of(report, 0, "VGG")[3:] == ["55", "15.00 [12.0, 18.0]", "1"]
    assert "evaluate experiment=table9/fusion" in (tmp_path / "tables/table10.md").read_text()
