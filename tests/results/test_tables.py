"""Tables as functions of records: which results are in them, their rows, claims and files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.results.conftest import DENSE, IMAGES, STATE, make_record, write_learnt
from vggsuite.errors import UserError
from vggsuite.protocol import Method, Protocol
from vggsuite.results import claims, degradation, family, rendering, report, tables
from vggsuite.results.collection import Collection, collect, outdated
from vggsuite.results.experiments import DEGRADATION, FAMILY, experiments_of
from vggsuite.results.record import read_record

MakeRun = Callable[..., Path]
MakeEvaluation = Callable[..., Path]
GOLDEN = Path(__file__).parent / "golden"


def collected(runs: Path, **changes: str) -> Collection:
    return collect(runs, **({"data": "digits", "variant": ""} | changes))


def nothing(data: str = "digits") -> Collection:
    return Collection(data, "", {}, [])


def test_the_experiments_are_those_with_a_config_file() -> None:
    experiments = {row.experiment for number in (3, 4, 5, 6) for row in tables.rows(number, {})}
    folder = Path(__file__).parents[2] / "conf/experiment"
    assert experiments == {str(file.relative_to(folder).with_suffix("")) for file in folder.glob("table[3-6]/*.yaml")}
    beside = {str(file.relative_to(folder).with_suffix("")) for file in folder.glob("table7/*.yaml")}
    assert {row.experiment for row in tables.rows(7, {})} <= experiments | beside | {None}
    for claim in (claim for of_table in claims.CLAIMS.values() for claim in of_table):
        assert {claim.ours, claim.other} <= experiments
    for group, own in ((FAMILY, family.CLAIMS), (DEGRADATION, degradation.CLAIMS)):
        found = {str(file.relative_to(folder).with_suffix("")) for file in folder.glob(f"{group}/*.yaml")}
        assert found == set(experiments_of(group))
        assert {name for claim in own for name in (claim.ours, claim.other)} <= found


@pytest.mark.parametrize(("number", "count"), [(3, 12), (4, 10), (5, 6), (6, 4), (7, 15)])
def test_without_results_there_are_dashes_and_the_papers_figures(number: int, count: int) -> None:
    made = report.make_report(number, nothing(), 0.95)
    rows = tables.rows(number, {})
    assert len(rows) == len(made.grids[0].cells) == count
    for row in rows:
        cells = report.row_cells(row, report.OUR_HEADINGS[number])
        assert set(cells[len(row.printed) + len(row.paper) :]) == {"-"}
    assert all(finding.verdict == "-" for finding in claims.findings(claims.CLAIMS[number], {}, 0.95))
    assert "no results on digits" in made.heading


def test_a_row_is_the_mean_and_deviation_over_seeds(make_run: MakeRun) -> None:
    make_run("table3/a", range(20), seed=0)
    runs = make_run("table3/a", range(24), seed=1).parents[3]
    ours = tables.rows(3, collected(runs).results)[0].ours
    assert ours is not None
    assert (ours.top1.mean, ours.top1.sd, ours.num_seeds) == (11.0, pytest.approx(2**0.5), 2)
    assert report.our_cells(ours)["our top-1"] == "11.00 +- 1.41"


def test_a_single_result_has_its_interval(make_run: MakeRun) -> None:
    ours = tables.rows(3, collected(make_run("table3/a", range(20)).parents[3]).results)[0].ours
    assert ours is not None
    assert report.our_cells(ours)["our top-1"] == "10.00 [9.0, 12.0]"


def test_tables_4_to_7_show_evaluations_and_fusions(make_run: MakeRun, make_evaluation: MakeEvaluation) -> None:
    """A row finds the evaluation of its own run by its own protocol, and no other."""
    run = make_run("table3/e_multi", train_scale=[37, 73])
    runs = run.parents[3]
    several = (37, 55, 73)
    make_evaluation(run, Protocol(Method.dense, several, flip=False), range(10))
    make_evaluation(run, Protocol(Method.both, several, flip=False), range(8))
    make_evaluation(run, Protocol(Method.multi_crop, several, flip=True), range(6))  # another protocol
    make_evaluation(run, Protocol(Method.dense, (37, 55), flip=False), range(6))  # other scales
    make_evaluation(runs / "digits/table6/both/seed_0", None, range(4))
    results = collected(runs).results
    means = {
        (number, row.experiment): row.ours.top1.mean
        for number in (4, 5, 6, 7)
        for row in tables.rows(number, results)
        if row.ours
    }
    assert means == {
        (4, "table4/e_multi"): 5,
        (5, "table5/e_dense"): 5,
        (5, "table5/e_both"): 4,
        (6, "table6/both"): 2,
        (7, "table5/e_both"): 4,
        (7, "table6/both"): 2,
    }
    (finding,) = (f for f in claims.findings(claims.CLAIMS[6], results, 0.95) if f.ours)
    assert finding.claim.text == "D and E together beat E, both"
    assert (finding.paper, finding.ours and finding.ours.value) == (-0.7, -2.0)


def test_a_result_of_an_earlier_run_is_told(make_run: MakeRun, make_evaluation: MakeEvaluation) -> None:
    run = make_run("table3/d", environment=STATE | {"started": "later"})
    make_run("table3/d_384", init={"run": "digits/table3/d/seed_0", "started": "earlier"})
    fusion = {"run": "digits/table3/d/seed_0", "started": "earlier", "sha256": "0"}
    make_evaluation(run.parents[2] / "table6/dense/seed_0", None, range(4), of=[fusion])
    told = outdated(collected(run.parents[3]).results)
    assert [sentence.partition(" ")[0] for sentence in told if "d_384" in sentence or "table6" in sentence] == [
        "digits/table3/d_384/seed_0",
        "digits/table6/dense/seed_0",
    ]


def test_images_that_were_left_out_are_told(make_run: MakeRun) -> None:
    skipped = {"report": "0123456789abcdef", "train": 1_200, "val": 3}
    data = make_record("table3/a").data
    folder = make_run("table3/a", data=data | {"skipped": skipped})
    make_run("table3/b", data=data | {"skipped": None})
    told = "Images of digits were left out by a report of check_data.py (01234567): 1,200 train, 3 val."
    assert list(report.make_report(3, collected(folder.parents[3]), 0.95).remarks).count(told) == 1


def test_other_data_other_variants_and_other_experiments_stay_out(make_run: MakeRun) -> None:
    make_run("vgg_a-single")
    make_run("table3/a", variant="+recipe.epochs-1")
    runs = make_run("table3/a", data=IMAGES | {"name": "folder", "train_fingerprint": "f", "crop": 32}).parents[3]
    assert collected(runs).results == {}
    assert list(collected(runs, variant="+recipe.epochs-1").results) == ["table3/a"]
    assert list(collected(runs, data="folder").results) == ["table3/a"]
    assert len(collected(runs).others) == 2


@pytest.mark.parametrize(("key", "told"), [("fingerprint", "evaluated"), ("train_fingerprint", "trained")])
def test_results_on_different_images_are_not_put_into_one_table(key: str, told: str, make_run: MakeRun) -> None:
    data = IMAGES | {"train_fingerprint": "f", "crop": 32}
    make_run("table3/a", data=data)
    runs = make_run("table3/b", data=data | {key: "other"}).parents[3]
    with pytest.raises(UserError, match=f"were {told} on different images"):
        collected(runs)


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
    finding = next(
        f for f in claims.findings(claims.CLAIMS[3], collected(runs).results, 0.95) if "3x3 beats" in f.claim.text
    )
    assert finding.verdict == verdict
    assert finding.paper == -1.1
    assert finding.ours is not None
    assert finding.ours.value == pytest.approx((len(ours) - len(other)) / 2)
    assert finding.ours.method == "bootstrap over 200 images"


@pytest.mark.parametrize(("lrn", "verdict"), [(range(40), "agrees"), (range(2), "disagrees")])
def test_the_claim_that_lrn_does_not_help(lrn: range, verdict: str, make_run: MakeRun) -> None:
    make_run("table3/a", range(20))
    runs = make_run("table3/a_lrn", lrn).parents[3]
    assert claims.findings(claims.CLAIMS[3], collected(runs).results, 0.95)[0].verdict == verdict


def test_several_seeds_are_compared_over_seeds_those_in_common(make_run: MakeRun) -> None:
    for seed, (a, b) in enumerate([(20, 10), (22, 11), (24, 15)]):
        make_run("table3/a", range(a), seed=seed)
        make_run("table3/b", range(b), seed=seed)
    runs = make_run("table3/b", range(100), seed=7).parents[3]
    finding = claims.findings(claims.CLAIMS[3], collected(runs).results, 0.95)[1]
    assert finding.ours is not None
    assert finding.ours.method == "t over 3 seeds"
    assert finding.ours.value == pytest.approx(-5.0)


GOLDEN_FILES = sorted(file.name for file in GOLDEN.iterdir())


@pytest.fixture
def golden_runs(make_run: MakeRun, make_evaluation: MakeEvaluation) -> Path:
    """Runs for some rows of every table."""
    make_run("table3/a", range(20))
    make_run("table3/a_lrn", range(26))
    make_run("other", variant="+recipe.lr-1")
    make_run("table3/d_384", range(16), train_scale=[55, 55])
    run = make_run("table3/d_multi", range(4), train_scale=[37, 73])
    for method, wrong in ((Method.dense, 3), (Method.multi_crop, 6)):
        make_evaluation(run, Protocol(method, (37, 55, 73), flip=False), range(wrong))
    runs = run.parents[3]
    for seed in (0, 1):
        make_evaluation(runs / f"digits/table6/dense/seed_{seed}", None, range(2 + seed))
    sizes = {"family": "resnet", "depth": 34, "parameters": 1_340_000, "multiply_adds": 71_600_000}
    cost = {"wall_seconds": 300.0, "images_per_second": 210.4}
    make_run("family/resnet34", range(10), model=sizes, cost=cost)
    make_run("family/plain34", range(30), model=sizes, cost=cost)
    for kind, depth, wrong, learnt in (("plain", 19, 12, 4), ("plain", 56, 40, 30), ("shortcut", 56, 8, 1)):
        write_learnt(runs, f"degradation/{kind}_{depth}", range(wrong), range(learnt))
    return runs


def write_golden(runs: Path, folder: Path) -> None:
    """To renew the golden files: call this on `golden_runs` and look at every difference."""
    for number in report.TITLES:
        rendering.save(report.make_report(number, collected(runs), 0.95), folder)
    rendering.save(degradation.make_degradation_report(collected(runs), 0.95), folder)


@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_the_files_are_the_golden_ones(name: str, golden_runs: Path, tmp_path: Path) -> None:
    write_golden(golden_runs, tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == GOLDEN_FILES
    assert (tmp_path / "out" / name).read_text() == (GOLDEN / name).read_text()


def test_the_heading_says_which_images_they_are(make_run: MakeRun) -> None:
    made = report.make_report(3, collected(make_run("table3/a").parents[3]), 0.95)
    assert "NOT ImageNet" in made.heading
    assert "no results on imagenet" in report.make_report(3, nothing("imagenet"), 0.95).heading


def test_records_survive_writing_and_reading(make_run: MakeRun) -> None:
    folder = make_run("table3/a")
    record = read_record(folder)
    assert record.metrics["top1_error"] == 10.0
    assert Protocol.of(record.test) == DENSE
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_record_of_another_version_is_refused(make_run: MakeRun) -> None:
    folder = make_run("table3/a")
    file = folder / "result.json"
    file.write_text(file.read_text().replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(UserError, match="schema version 99"):
        read_record(folder)


@pytest.mark.parametrize(("seconds", "text"), [(None, "-"), (42.4, "42 s"), (185, "3 min 05 s"), (3720, "1 h 02 min")])
def test_durations(seconds: float | None, text: str) -> None:
    assert rendering.duration(seconds) == text


def test_degradation_tells_training_errors_from_those_on_other_images(golden_runs: Path) -> None:
    made = degradation.make_degradation_report(collected(golden_runs), 0.95)
    rows, claimed, learnt = made.grids
    cells = {row[0]: row[1:] for row in rows.cells}
    assert [str(cell).partition(" ")[0] for cell in cells["56"]] == ["15.00", "20.00", "0.50", "4.00", "1", "3.74"]
    assert set(cells["25"]) == {"-"}
    training, test = cells["19"][:2]
    assert isinstance(training, rendering.SourcedText)
    assert isinstance(test, rendering.SourcedText)
    assert training.sources == ("digits/degradation/plain_19/seed_0/evaluations/dense-37@train",)
    assert test.sources == ("digits/degradation/plain_19/seed_0",)
    verdicts = [{row[0]: row[3] for row in grid.cells} for grid in (claimed, learnt)]
    for found in verdicts:
        assert found["deeper is worse: plain, 56 against 19"] == "holds"
        assert found["shortcuts help: 56"] == "holds"
        assert found["shortcuts help: 34"] == "-"
    assert {source.name for source in made.sources} >= {*training.sources, *test.sources}


def test_the_family_stands_below_table_7(golden_runs: Path) -> None:
    made = report.make_report(7, collected(golden_runs), 0.95)
    rows = {row[0]: row[1:] for row in made.grids[1].cells}
    assert rows["ResNet-34"] == [
        "24.52",
        "7.46",
        "5.00 [4.0, 7.0]",
        "0.50 [0.0, 1.5]",
        "1",
        "1.34 M",
        "71.60 M",
        "210",
        "5 min 00 s",
    ]
    assert rows["AlexNet"] == ["40.70", "18.20", *["-"] * 7]
    claimed = {row[0]: row for row in made.grids[2].cells}["shortcuts help: ResNet-34 against plain-34"]
    assert (claimed[1], claimed[3]) == ("-10.00", "holds")
    assert "digits/family/resnet34/seed_0" in [source.name for source in made.sources]
