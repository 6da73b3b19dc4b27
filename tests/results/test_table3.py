"""Table 3 as a function of records: which runs are in it, its rows, its claims and its files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vggsuite.errors import UserError
from vggsuite.results import claims, report, table3
from vggsuite.results.paper import paper
from vggsuite.results.record import find_records, read_record

MakeRun = Callable[..., Path]
GOLDEN = Path(__file__).parent / "golden"


def select(runs: Path, **changes: str) -> dict[str, table3.Runs]:
    return dict(table3.select(find_records(runs), **({"data": "digits", "variant": ""} | changes)))


def test_the_experiments_are_those_with_a_config_file() -> None:
    experiments = {row.experiment for row in table3.rows({})}
    folder = Path(__file__).parents[2] / "conf/experiment"
    assert experiments == {str(file.relative_to(folder).with_suffix("")) for file in folder.glob("table3/*.yaml")}
    assert {claim.ours for claim in claims.CLAIMS} | {claim.other for claim in claims.CLAIMS} <= experiments


def test_without_runs_there_are_dashes_and_the_papers_figures() -> None:
    rows = table3.rows({})
    assert len(rows) == 12
    assert [row.paper_top1 for row in rows] == [row["top1"] for row in paper()["table_3_single_scale"]["rows"]]
    assert all(report.row_cells(row)[5:] == ["-"] * 7 for row in rows)
    assert all(finding.verdict == "-" for finding in claims.findings({}, 0.95))


def test_a_row_is_the_mean_and_deviation_over_seeds(make_run: MakeRun) -> None:
    make_run("table3/a", range(20), seed=0)
    runs = make_run("table3/a", range(24), seed=1).parents[3]
    row = table3.rows(select(runs))[0]
    assert (row.top1, row.top1_sd, row.num_seeds) == (11.0, pytest.approx(2**0.5), 2)
    assert report.row_cells(row)[7] == "11.00 +- 1.41"


def test_other_data_other_variants_and_other_experiments_stay_out(make_run: MakeRun) -> None:
    make_run("vgg_a-single")
    make_run("table3/a", variant="+recipe.epochs-1")
    runs = make_run("table3/a", data={"name": "folder", "fingerprint": "f"}).parents[3]
    assert select(runs) == {}
    assert list(select(runs, variant="+recipe.epochs-1")) == ["table3/a"]
    assert list(select(runs, data="folder")) == ["table3/a"]


def test_runs_on_different_images_are_not_put_into_one_table(make_run: MakeRun) -> None:
    make_run("table3/a")
    runs = make_run("table3/b", data={"name": "digits", "fingerprint": "other", "num_test": 200}).parents[3]
    with pytest.raises(UserError, match="evaluated on different images"):
        select(runs)


@pytest.mark.parametrize(
    ("ours", "other", "verdict"),
    [
        (range(5), range(30), "agrees"),
        (range(30), range(5), "disagrees"),
        (range(20), range(21), "not resolved"),
    ],
)
def test_a_claim_that_something_helps(ours: range, other: range, verdict: str, make_run: MakeRun) -> None:
    make_run("table3/c", other)
    runs = make_run("table3/d", ours).parents[3]
    finding = next(f for f in claims.findings(select(runs), 0.95) if "3x3 beats 1x1" in f.claim.text)
    assert finding.verdict == verdict
    assert finding.paper == -1.1
    assert finding.ours is not None
    assert finding.ours.value == pytest.approx((len(ours) - len(other)) / 2)
    assert finding.ours.method == "bootstrap over 200 images"


@pytest.mark.parametrize(("lrn", "verdict"), [(range(40), "agrees"), (range(2), "disagrees")])
def test_the_claim_that_lrn_does_not_help(lrn: range, verdict: str, make_run: MakeRun) -> None:
    make_run("table3/a", range(20))
    runs = make_run("table3/a_lrn", lrn).parents[3]
    assert claims.findings(select(runs), 0.95)[0].verdict == verdict


def test_several_seeds_are_compared_over_seeds_those_in_common(make_run: MakeRun) -> None:
    for seed, (a, b) in enumerate([(20, 10), (22, 11), (24, 15)]):
        make_run("table3/a", range(a), seed=seed)
        make_run("table3/b", range(b), seed=seed)
    runs = make_run("table3/b", range(100), seed=7).parents[3]
    finding = claims.findings(select(runs), 0.95)[1]
    assert finding.ours is not None
    assert finding.ours.method == "t over 3 seeds"
    assert finding.ours.value == pytest.approx(-5.0)


@pytest.mark.parametrize("name", ["table3.md", "table3.tex", "table3.csv", "table3_claims.csv"])
def test_the_files_are_the_golden_ones(name: str, make_run: MakeRun, tmp_path: Path) -> None:
    """After a change of the layout: look at what the test prints, then save that."""
    make_run("table3/a", range(20))
    make_run("table3/a_lrn", range(26))
    make_run("table3/d_multi", range(4), train_scale=[37, 73])
    runs = make_run("table3/d_384", range(16), train_scale=[55, 55]).parents[3]
    made = report.make_report("digits", select(runs), variant="", others=["digits/other/seed_0"], confidence=0.95)
    report.save(made, tmp_path / "out")
    text = (tmp_path / "out" / name).read_text()
    assert text == (GOLDEN / name).read_text()


def test_the_heading_says_which_images_they_are(make_run: MakeRun) -> None:
    assert "NOT ImageNet" in report.heading("digits", "", select(make_run("table3/a").parents[3]))
    assert "no runs on imagenet" in report.heading("imagenet", "", {})


def test_records_survive_writing_and_reading(make_run: MakeRun) -> None:
    folder = make_run("table3/a")
    record = read_record(folder)
    assert record.metrics == {"top1_error": 10.0, "top5_error": 1.0, "num_images": 200}
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_record_of_another_version_is_refused(make_run: MakeRun) -> None:
    folder = make_run("table3/a")
    file = folder / "result.json"
    file.write_text(file.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(UserError, match="schema version 99"):
        read_record(folder)


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (42.4, "42 s"), (185, "3 min 05 s"), (3720, "1 h 02 min")])
def test_durations(seconds: float | None, text: str) -> None:
    assert report.duration(seconds) == text
