"""What the page shows, before a browser shows it."""

import json
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from hydra import compose

from tests.conftest import ROOT, assert_refused, call_command
from tests.results.conftest import MakeEvaluation, MakeRun, write_learnt, write_run
from vggsuite.composing import to_config
from vggsuite.config import ReportConfig
from vggsuite.naming import repeat_command
from vggsuite.protocol import Method, Protocol
from vggsuite.results.collection import collect
from vggsuite.results.page.charts import comparisons, curves_spec, depth_chart, domain, front, points_of
from vggsuite.results.page.content import curves_of, gather
from vggsuite.results.page.depth_charts import degradation_chart
from vggsuite.results.page.places import named, without_places
from vggsuite.results.tables import Measured, Ours, Row

SVG = "{http://www.w3.org/2000/svg}"


def test_the_front_is_of_those_that_no_other_beats() -> None:
    points = [(1.0, 9.0), (2.0, 5.0), (2.0, 6.0), (3.0, 5.0), (4.0, 1.0), (4.0, 1.0), (5.0, 2.0)]
    assert front(points) == [True, True, False, False, True, True, False]
    assert front([]) == []


def test_a_tenth_of_a_point_does_not_look_large() -> None:
    low, high = domain([{"error": 29.6}, {"error": 29.7}])
    assert high - low > 1
    assert domain([{"error": 0.2, "low": 0.0, "high": 0.4}])[0] == 0


def row(net: str, s: str, top1: Measured | None) -> Row:
    ours = top1 and Ours("37", "37", top1, top1, 1, 1, 1.0, ("name",))
    return Row(f"table3/{net}", {"net": net, "S": s, "Q": s}, {"top-1": 29.6, "top-5": 10.4}, ours)


def test_points_are_of_rows_that_are_ours_too_with_their_intervals() -> None:
    rows = [
        row("A", "256", Measured(10.0, None, 9.0, 12.0)),
        row("B", "256", Measured(8.0, 0.5)),
        row("E", "256", None),
    ]
    points = points_of(rows)
    assert [(each["net"], each["side"], each.get("low"), each.get("high")) for each in points] == [
        ("A", "ours", 9.0, 12.0),
        ("A", "paper", None, None),
        ("B", "ours", 7.5, 8.5),
        ("B", "paper", None, None),
    ]
    chart = depth_chart(points, "digits")
    assert [(each["net"], each["weight layers"]) for each in chart.rows] == [("A", 11), ("A", 11), ("B", 13), ("B", 13)]
    assert chart.headings == ["net", "S", "side", "error", "low", "high", "weight layers"]
    assert chart.cells[1][4] == "-"


def groups(spec: dict[str, Any]) -> Iterator[ET.Element]:
    """What Vega itself draws of a specification, by its groups."""
    return ET.fromstring(vl_convert.vegalite_to_svg(spec)).iter(f"{SVG}g")


def marks(spec: dict[str, Any]) -> dict[str, int]:
    """How many marks of each kind are drawn, axes and legends aside."""
    counts = Counter[str]()
    for group in groups(spec):
        if found := re.match(r"mark-(\w+) role-mark\b", group.get("class", "")):
            counts[found[1]] += len(group)
    return dict(counts)


def test_a_chart_is_drawn_as_it_says() -> None:
    """A point and a whisker for each of ours, of the paper's points alone."""
    errors = {"A": Measured(10.0, None, 9.0, 12.0), "B": Measured(8.0, 0.5), "D": Measured(7.0)}
    chart = depth_chart(points_of([row(net, "256", error) for net, error in errors.items()]), "digits")
    ours, paper = map(marks, chart.panels)
    assert ours == {"symbol": 3, "rule": 2, "text": 3}
    assert paper == {"symbol": 3, "text": 3}
    assert "NaN" not in "".join(map(vl_convert.vegalite_to_svg, chart.panels))


def shown(*nets: tuple[str, str]) -> dict[str, set[tuple[str, str]]]:
    """The nets in each chart of those, told by name and S, that have results."""
    points = points_of([row(net, s, Measured(10.0, 0.5)) for net, s in nets])
    charts = [depth_chart(points, "digits"), *comparisons(points, "digits")]
    return {chart.name: {(each["net"], each["S"]) for each in chart.rows} for chart in charts if chart.rows}


def test_a_chart_of_pairs_has_both_sides_of_each() -> None:
    many = "[256;512]"
    assert shown(("A", "256"), ("C", "384"), ("D", "256"), ("E", many)) == {"depth": {("A", "256"), ("D", "256")}}
    assert shown(("A-LRN", "256"), ("C", "256"), ("D", "384"), ("E", "256"), ("E", "384")) == {
        "depth": {("C", "256"), ("E", "256")}
    }
    assert shown(("C", "256"), ("D", "256")) == {"kernels": {("C", "256"), ("D", "256")}}
    assert shown(("A", "256"), ("A-LRN", "256"), ("D", "256"), ("D", many), ("E", "384")) == {
        "depth": {("A", "256"), ("D", "256")},
        "lrn": {("A", "256"), ("A-LRN", "256")},
        "jitter": {("D", "256"), ("D", many)},
    }


def test_a_depth_is_a_whole_number() -> None:
    chart = depth_chart(points_of([row(net, "256", Measured(9.0, 0.5)) for net in "AB"]), "digits")
    told = [text.text for group in groups({**chart.panels[0], "width": 500}) for text in group.iter(f"{SVG}text")]
    assert {"11", "13"} <= set(told)


@pytest.mark.parametrize(("epochs", "labels"), [(2, ["1", "2"]), (3, ["1", "2", "3"])])
def test_an_epoch_has_one_label(epochs: int, labels: list[str]) -> None:
    values = [{"run": "a", "epoch": epoch, "value": 0.5} for epoch in range(1, epochs + 1)]
    spec = {**curves_spec(), "data": {"values": values}, "width": 1100}
    (axis,) = (group for group in groups(spec) if group.get("aria-label", "").startswith("X-axis"))
    assert [text.text for text in axis.iter(f"{SVG}text") if text.text] == [*labels, "epoch"]


def test_curves_are_of_epochs_from_one(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(
        "epoch,step,train/loss,val/top1_error\n0,9,,\n0,9,2.5,\n0,9,,90\n1,19,,80.5\n2,29,nan,inf\n"
    )
    curves = curves_of(tmp_path)
    assert curves["val/top1_error"] == [(1, 90.0), (2, 80.5)]
    assert curves["train/loss"] == [(1, 2.5)]
    assert curves_of(tmp_path / "nothing")["val/loss"] == []


def test_the_page_holds_all_and_asks_for_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("table3/a", range(20))
    make_run("table3/b", range(10), command="</script><script>alert('b')</script>")
    output = tmp_path / "tables"
    result = call_command("report.py", f"paths.runs={tmp_path / 'runs'}", f"output={output}")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"saved: {output / 'report.html'}\n"
    page = (output / "report.html").read_text()
    told = "digits: the embedded handwritten digits, NOT ImageNet; 200 test images of 10 classes, fingerprint 01234567"
    assert f"<h1>{told}; 2 runs</h1>" in page
    assert "alert('b')" not in page.replace("alert(\\u0027b\\u0027)", "")
    content = json.loads(page.partition('id="content">')[2].partition("</script>")[0])
    names = [source["name"] for source in content["sources"]]
    assert names == ["digits/table3/a/seed_0", "digits/table3/b/seed_0"]
    assert content["sources"][1]["command"] == "</script><script>alert('b')</script>"
    outside = re.findall(r"""(?:src|href)=["']?(?!#|data:)([^"' >]+)""", page.partition("<script>")[0])
    assert outside == []


CONFIG = """data:
  root: {root}/my images/val
paths:
  root: {root}/suite
  datasets: {root}/suite/datasets
  runs: {root}/runs
experiment: table3/a
"""


def test_where_it_was_made_is_nobodys_business(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither this machine's folders are in the page, nor those of one on which a run was made."""
    home, other = tmp_path / "home/anna", "/clüster/groups/vision"
    monkeypatch.setenv("HOME", str(home))
    words = [f"paths.runs={tmp_path}/runs", f"data.root={home}/faces", f"paths.datasets={ROOT}/sets", "local=/mnt/x/y"]
    make_run("table3/a", command=repeat_command("train.py", words))
    run = make_run("table3/b", init={"run": f"{other}/runs/digits/table3/a/seed_0"}, command=f"{other}/suite/x")
    (run / "config.yaml").write_text(CONFIG.format(root=other))
    result = call_command("report.py", f"paths.runs={tmp_path / 'runs'}", f"output={tmp_path}")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "report.html").read_text()
    sources = json.loads(page.partition('id="content">')[2].partition("</script>")[0])["sources"]
    told = "paths.runs={runs} data.root=~/faces paths.datasets=sets local={elsewhere}/y"
    assert sources[0]["command"] == f"python src/train.py {told}"
    assert sources[1]["command"] == "x"
    assert '"run": "{runs}/digits/table3/a/seed_0"' in sources[1]["record"]
    told = "data:\n  root: {elsewhere}/val\npaths:\n  root: .\n  datasets: datasets\n  runs: {runs}\n"
    assert sources[1]["config"] == f"{told}experiment: table3/a\n"
    for place in (str(tmp_path), str(ROOT), other, "ster/groups", "/mnt/x", "anna"):
        assert place not in page


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("see /work/suite, /work/suite/runs/a and '/work/suite'", "see ., runs/a and '.'"),
        ("/work/suite2 /work/suites/x", "{elsewhere}/suite2 {elsewhere}/x"),
        ("file:///work/x/y [/a/b,/c/d] PATH=/e/f:/g/h", "file://{elsewhere}/y [{elsewhere}/b,{elsewhere}/d] "
         "PATH={elsewhere}/f:{elsewhere}/h"),
        ('{"a": "/data/my images/x.png"}\nb: /data/my images/y', '{"a": "{elsewhere}/x.png"}\nb: {elsewhere}/y'),
        ("runs in /my runs/here/a, of /home/bob/x and /Users/bob", "runs in {runs}/a, of ~/x and ~"),
        *[(same, same) for same in ("https://a.org/b/c", "images/s, 1/2", "runs/a ../b ./c ~/d", "</b> <br />", "/")],
    ],
)  # fmt: skip
def test_no_absolute_path_is_left(text: str, told: str) -> None:
    places = named({"root": "/work/suite/", "datasets": "/work/suite/datasets", "runs": "/my runs/here"})
    assert without_places(text, places) == told


def test_only_what_is_in_the_page_may_run(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("table3/a")
    assert call_command("report.py", f"paths.runs={tmp_path / 'runs'}", f"output={tmp_path}").returncode == 0
    page = (tmp_path / "report.html").read_text()
    told = unescape(page.partition('Content-Security-Policy" content="')[2].partition('"')[0])
    policy = dict(part.split(" ", 1) for part in told.split("; "))
    assert policy.pop("default-src") == "'none'"
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        inline = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        hashes = [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in inline]
        assert policy.pop(name).split() == hashes
    assert policy == {"img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}


@pytest.mark.usefixtures("hydra_for_tests")
def test_every_record_is_read_once(
    make_run: MakeRun, make_evaluation: MakeEvaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("table3/e_multi", train_scale=[37, 73])
    make_evaluation(run, Protocol(Method.dense, (37, 55, 73), flip=False), range(10))
    make_evaluation(tmp_path / "runs/digits/table6/dense/seed_0", None, range(4))
    read, read_bytes = Counter[Path](), Path.read_bytes

    def counting(file: Path) -> bytes:
        read[file.relative_to(tmp_path)] += 1
        return read_bytes(file)

    config = to_config(compose("report", [f"paths.runs={tmp_path / 'runs'}"]), ReportConfig)
    monkeypatch.setattr(Path, "read_bytes", counting)
    assert [table.name for table in gather(config).tables] == ["table3", "table4", "table5", "table6"]
    assert len([file for file in read if file.suffix == ".json"]) == 4
    assert {file: count for file, count in read.items() if count > 1} == {}


def test_a_variant_has_a_page_of_its_own(tmp_path: Path) -> None:
    words = (f"paths.runs={tmp_path / 'runs'}", f"output={tmp_path / 'tables'}", "overrides='recipe.lr=0.1'")
    write_run(tmp_path / "runs", "table3/a")
    assert_refused(call_command("report.py", *words), "of data=digits with +recipe.lr-0.1; train some first")
    write_run(tmp_path / "runs", "table3/b", variant="+recipe.lr-0.1")
    assert call_command("report.py", *words).returncode == 0
    page = (tmp_path / "tables/report.html").read_text()
    assert "; 1 runs, with +recipe.lr-0.1</h1>" in page
    assert page.count('pick-run" value="digits/table3/') == 1


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "table3/a")
    (tmp_path / "file").touch()
    result = call_command("report.py", f"paths.runs={tmp_path / 'runs'}", f"output={tmp_path / 'file'}")
    assert_refused(result, "cannot be written to (File exists); type another folder")


def test_a_page_of_nothing_is_refused(tmp_path: Path) -> None:
    result = call_command("report.py", f"paths.runs={tmp_path}", f"output={tmp_path}")
    assert_refused(result, "holds no finished run of data=digits; train some first, as `make demo` does")


@pytest.mark.parametrize("word", ["confidence=2", "transfer_to=[digits]"])
def test_settings_are_checked(word: str, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "table3/a")
    assert_refused(call_command("report.py", word, f"paths.runs={tmp_path / 'runs'}"), word.partition("=")[0])


def test_depth_beyond_19_is_drawn_by_training_and_test_errors(tmp_path: Path) -> None:
    for kind, depth, wrong, learnt in (("plain", 19, 12, 4), ("plain", 56, 40, 30), ("shortcut", 56, 8, 2)):
        write_learnt(tmp_path, f"degradation/{kind}_{depth}", range(wrong), range(learnt))
    chart = degradation_chart(collect(tmp_path, data="digits", variant=""))
    assert [(each["depth"], each["net"], each["side"], each["error"]) for each in chart.rows] == [
        (19, "plain", "training error", 2.0),
        (19, "plain", "test error", 6.0),
        (56, "plain", "training error", 15.0),
        (56, "plain", "test error", 20.0),
        (56, "shortcuts", "training error", 1.0),
        (56, "shortcuts", "test error", 4.0),
    ]
    for panel, told in zip(chart.panels, ("training error", "test error"), strict=True):
        assert panel["title"] == told
        assert len(panel["data"]["values"]) == 3
        assert "NaN" not in vl_convert.vegalite_to_svg(panel)


def test_one_depth_is_no_chart(tmp_path: Path) -> None:
    write_learnt(tmp_path, "degradation/plain_19", range(12), range(4))
    assert not degradation_chart(collect(tmp_path, data="digits", variant="")).rows
