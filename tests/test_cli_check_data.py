"""check_data.py as a person types it, and the commands that leave out what its report names."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY, MakeTree, assert_refused, call_command, run_command

pytestmark = pytest.mark.slow


@pytest.fixture
def words(make_tree: MakeTree, tmp_path: Path) -> list[str]:
    """A small training on a tree of which one training image is cut off and one validation image is none."""
    root = make_tree(images=9, ending="JPEG")
    cut = root / "cat/cat_000.JPEG"
    cut.write_bytes(cut.read_bytes()[:-200])
    (root / "owl/owl_008.JPEG").write_bytes(b"It is no image.")
    return [*TINY, f"data.root={root}", f"paths.runs={tmp_path / 'runs'}"]


def of_data(words: list[str]) -> list[str]:
    return [word for word in words if word.startswith("data")]


def record(runs: Path, name: str) -> Any:
    (file,) = runs.glob(f"**/{name}")
    return json.loads(file.read_text())


def test_a_training_goes_by_the_report_from_its_record_to_its_table(words: list[str], tmp_path: Path) -> None:
    refused = call_command("train.py", *words, "experiment=table3/a")
    assert_refused(refused, "cannot be read as an image")
    report = tmp_path / "checked.json"
    result = run_command("check_data.py", *of_data(words), f"output={report}", "num_workers=2", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1].endswith(f"data.skip={report}")
    assert set(tmp_path.iterdir()) == {report, tmp_path / "images", tmp_path / "runs"}

    skip = f"data.skip={report}"
    trained = call_command("train.py", *words, "experiment=table3/a", skip)
    assert trained.returncode == 0, trained.stderr
    run = record(tmp_path / "runs", "result.json")
    skipped = run["data"]["skipped"]
    assert skipped == {"report": skipped["report"], "train": 1, "val": 1}
    assert run["metrics"]["num_images"] == 8

    (folder,) = (file.parent for file in (tmp_path / "runs").glob("**/result.json"))
    evaluated = call_command("evaluate.py", f"run={folder}", "protocol=centre_crop", "trainer=cpu")
    assert evaluated.returncode == 0, evaluated.stderr
    evaluation = record(folder / "evaluations", "centre_crop*/evaluation.json")
    assert evaluation["data"]["skipped"] == {"report": skipped["report"], "val": 1}
    without = call_command("evaluate.py", f"run={folder}", "data.skip=null", "protocol=centre_crop", "trainer=cpu")
    assert_refused(without, "holds other validation images than those that")

    typed = " ".join(f'"{word}"' for word in [*TINY[1:], skip] if not word.startswith("data.num_workers"))
    places = (f"paths.runs={tmp_path / 'runs'}", f"output={tmp_path / 'tables'}")
    table = call_command("table.py", "data=folder", f"overrides='{typed}'", *places)
    assert table.returncode == 0, table.stderr
    assert (
        f"Images of folder were left out by a report of check_data.py ({skipped['report'][:8]}): 1 train, 1 val."
        in (table.stdout)
    )


def test_a_pack_is_made_of_what_the_report_leaves(words: list[str], tmp_path: Path) -> None:
    report = tmp_path / "checked.json"
    assert call_command("check_data.py", *of_data(words), f"output={report}", "num_workers=0").returncode == 0
    packed = call_command("pack.py", *of_data(words), f"data.skip={report}", f"output={tmp_path / 'pack'}")
    assert packed.returncode == 0, packed.stderr
    again = (f"data.root={tmp_path / 'pack'}", f"output={tmp_path / 'again.json'}", "num_workers=0")
    assert call_command("check_data.py", *of_data(words), *again).returncode == 0
    found = json.loads((tmp_path / "again.json").read_text())
    assert (found["images"], found["problems"]) == ({"train": 17, "val": 8}, [])


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("smallest=0", "smallest=0 is out of range; allowed: 1 or more pixels"),
        ("num_workers=-1", "num_workers=-1 is out of range"),
        ("output=report", "output=report is out of range; allowed: the path of a JSON file"),
        ("skip=[blurred]", "skip"),
        ("data.skip=a.json", "data.skip=a.json is out of range; allowed: null"),
        ("data=folder data.root=/nowhere", "/nowhere is no folder"),
    ],
)
def test_a_check_that_cannot_be_is_refused(override: str, told: str) -> None:
    assert_refused(call_command("check_data.py", *override.split()), told)


def test_a_training_is_refused_a_report_that_is_none(words: list[str]) -> None:
    assert_refused(
        call_command("train.py", *words, "data.skip=/nowhere.json"), "data.skip=/nowhere.json cannot be read"
    )
    assert_refused(call_command("train.py", *words, "data.skip="), "data.skip= is out of range")
