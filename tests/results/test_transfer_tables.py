"""Tables 11 and 12 from records, some of which are missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.results.conftest import STATE
from vggsuite.errors import UserError
from vggsuite.files import save_arrays
from vggsuite.results import rendering
from vggsuite.results.record import SCORES_FILE, Transfer, write_transfer
from vggsuite.results.rendering import Report
from vggsuite.results.transfer_points import collect_transfers, points_of, targets_of, words_of
from vggsuite.results.transfer_tables import make_transfer_report

GOLDEN = Path(__file__).parent / "golden_transfer"


def write(runs: Path, target: str, experiment: str, scores: list[float], **changes: Any) -> Path:
    """The record of a transfer with these scores, of a split each."""
    spread = {"sd": float(np.std(scores, ddof=1))} if len(scores) > 1 else {"sd": None, "interval": [20.0, 40.0]}
    content: dict[str, Any] = {
        "experiment": experiment,
        "variant": "",
        "typed": "",
        "seed": 0,
        "command": f"python src/transfer.py experiment={experiment} data={target}",
        "nets": ["D"],
        "of": [],
        "settings": {"source": "digits"},
        "data": {
            "name": target,
            "fingerprint": "f",
            "num_images": 100,
            "num_classes": 2,
            "splits": {"keep_per_class": None},
        },
        "metric": "mean_class_recall" if target == "letters" else "average_precision",
        "splits": [{"score": score, "num_train": 30, "num_test": 15} for score in scores],
        "metrics": {"mean": float(np.mean(scores)), **spread},
        "cost": {},
        "environment": STATE,
    }
    record = Transfer(**(content | changes))
    folder = runs / record.name
    folder.mkdir(parents=True)
    write_transfer(record, folder)
    return folder


def table(number: int, runs: Path, **chosen: Any) -> Report:
    transfers = collect_transfers(runs, source="digits", variant="")
    settings: dict[str, Any] = {"source": "digits", "variant": "", "targets": None, "confidence": 0.95}
    return make_transfer_report(number, transfers, **(settings | chosen))


def row_of(report: Report, grid: int, *first: str) -> list[str]:
    (found,) = (list(cells) for cells in report.grids[grid].cells if tuple(cells[: len(first)]) == first)
    return found


@pytest.mark.parametrize(("number", "count"), [(11, 13), (12, 5)])
def test_without_results_there_are_dashes_and_the_papers_figures(number: int, count: int, tmp_path: Path) -> None:
    report = table(number, tmp_path)
    assert len(report.grids[0].cells) == count
    assert all(cells[-1] == "-" for grid in report.grids for cells in grid.cells)
    assert "no results by nets trained on digits" in report.heading


def test_the_papers_figures_are_as_it_printed_them(tmp_path: Path) -> None:
    assert row_of(table(11, tmp_path), 0, "VGG Net-D & Net-E")[1:5] == ["89.7", "89.3", "92.7 +- 0.5", "86.2 +- 0.3"]
    assert row_of(table(11, tmp_path), 0, "Wei et al., 2014")[1:3] == ["81.5, 85.2*", "81.7, 90.3*"]
    assert row_of(table(12, tmp_path), 0, "Oquab et al., 2014")[1] == "70.2*"


def test_the_papers_differences_stand_beside_ours(tmp_path: Path) -> None:
    report = table(11, tmp_path, source="imagenet", targets=["caltech101"])
    assert row_of(report, 2, "caltech101", "depth helps: E against D")[2] == "+0.5"
    assert row_of(report, 2, "caltech101", "depth helps: D against A")[2] == "-"


def test_splits_and_images_have_their_spread(tmp_path: Path) -> None:
    write(tmp_path, "letters", "table11/d", [50.0, 52.0, 54.0])
    write(tmp_path, "letters_voc", "table11/d", [30.0])
    assert row_of(table(11, tmp_path), 0, "VGG Net-D (16 layers)")[-2:] == ["52.0 +- 2.0", "30.0 [20.0, 40.0]"]


def test_several_seeds_are_one_figure(tmp_path: Path) -> None:
    for seed in (0, 1):
        write(tmp_path, "letters", "table11/d", [50.0 + seed, 52.0 + seed], seed=seed)
    assert row_of(table(11, tmp_path), 0, "VGG Net-D (16 layers)")[-2] == "51.5 +- 0.7 (2 seeds)"


def test_a_claim_is_paired_by_split(tmp_path: Path) -> None:
    write(tmp_path, "letters", "table11/d", [50.0, 60.0, 71.0])
    write(tmp_path, "letters", "table11/random", [30.0, 40.0, 50.0])
    write(tmp_path, "letters", "table11/a", [40.0, 62.0])
    claims = [row_of(table(11, tmp_path), 2, "letters", text)[3:] for text in CLAIMED]
    assert claims[0][0] == "+20.3"
    assert claims[0][2:] == ["holds", "corrected t over 3 splits"]
    assert claims[1][2:] == ["not resolved", "corrected t over 2 splits"]  # of those that both have
    assert claims[2] == ["-", "-", "-", "-"]


CLAIMED = (
    "training helps: D against random weights",
    "depth helps: D against A",
    "depth helps: E against D",
)


def test_a_claim_about_one_split_is_paired_by_image(tmp_path: Path) -> None:
    targets = np.where(np.arange(40) % 2, 1, -1).astype(np.int8)[:, None]
    rng = np.random.default_rng(0)
    for experiment, noise in (("image", 5.0), ("image_and_box", 0.1)):
        folder = write(tmp_path, "letters_action", f"table12/{experiment}", [50.0 + (noise < 1) * 40])
        scores = targets + noise * rng.standard_normal((40, 1))
        save_arrays(folder / SCORES_FILE, targets=targets, test_0=np.arange(40), scores_0=scores)
    claim = row_of(table(12, tmp_path), 1, "letters_action", "the box helps")
    assert claim[3] == "+40.0"
    assert claim[5:] == ["holds", "bootstrap over 40 images"]


def test_curves_are_of_the_images_that_were_kept(tmp_path: Path) -> None:
    data = {"name": "letters", "fingerprint": "f", "num_images": 100, "num_classes": 2, "splits": {"keep_per_class": 5}}
    write(tmp_path, "letters", "table11/d", [20.0, 22.0], typed="+data.splits.keep_per_class-5", data=data)
    write(tmp_path, "letters", "table11/d", [50.0, 52.0])
    write(tmp_path, "letters", "table11/d", [99.0, 99.0], typed="+relu-false")  # asked for beside the table
    assert row_of(table(11, tmp_path), 1, "letters", "Net-D, linear SVM")[2:] == ["21.0 +- 1.4", "-", "51.0 +- 1.4"]


def test_other_sources_and_variants_are_other_tables(tmp_path: Path) -> None:
    write(tmp_path, "letters", "table11/d", [50.0], settings={"source": "folder"})
    write(tmp_path, "letters", "table11/e", [50.0], variant="+recipe.epochs-1")
    assert not collect_transfers(tmp_path, source="digits", variant="")
    assert len(collect_transfers(tmp_path, source="digits", variant="+recipe.epochs-1")) == 1


def test_the_files_are_as_they_were(tmp_path: Path) -> None:
    write(tmp_path, "letters", "table11/d", [50.0, 52.0, 54.0])
    write(tmp_path, "letters", "table11/e", [51.0, 52.5, 56.0])
    folder = tmp_path / "tables"
    rendering.save(table(11, tmp_path), folder)
    for file in sorted(folder.iterdir()):
        assert file.read_text() == (GOLDEN / file.name).read_text(), file.name
    assert len(list(folder.iterdir())) == 5


def test_targets_of_neither_table_are_refused() -> None:
    assert targets_of(11, "imagenet", ["caltech101"]) == ["caltech101"]
    assert targets_of(12, "imagenet", ["caltech101"]) == []
    with pytest.raises(UserError, match="allowed with data=digits: letters, letters_voc, letters_action"):
        targets_of(11, "digits", ["caltech101"])


def test_what_is_typed_names_a_source_that_is_not_the_data_sets_own() -> None:
    (point, *_) = points_of(11, "digits", ["letters"])
    assert words_of(point, "digits") == [f"experiment={point.experiment}", "data=letters"]
    assert words_of(point._replace(few=5), "birds")[2:] == ["source=birds", "data.splits.keep_per_class=5"]
