"""What the page shows, before a browser shows it."""

import json
import re
from pathlib import Path

import pytest
import vl_convert

from tests.conftest import assert_refused, call_command
from tests.results.conftest import MakeRun, write_run
from vggsuite.results.page.charts import depth_chart, domain, front, of_depth, points_of
from vggsuite.results.page.content import curves_of
from vggsuite.results.tables import Measured, Ours, Row


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


def test_a_chart_is_drawn_as_it_says() -> None:
    """By Vega itself: a point and a whisker for each of ours, of the paper's points alone."""
    rows = depth_chart(points_of([row("A", "256", Measured(10.0, None, 9.0, 12.0))]), "digits").rows
    drawn = {
        side: vl_convert.vegalite_to_svg(of_depth(side, [r for r in rows if r["side"] == side]))
        for side in ("ours", "paper")
    }
    marks = {
        side: [len(re.findall(rf"mark-{mark}", svg)) for mark in ("rule", "symbol")] for side, svg in drawn.items()
    }
    assert all(count >= 1 for count in marks["ours"])
    assert marks["paper"][1] >= 1
    assert "NaN" not in drawn["ours"] + drawn["paper"]


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
    assert str(tmp_path) not in page  # where it was made is nobody's business
    outside = re.findall(r"""(?:src|href)=["']?(?!#|data:)([^"' >]+)""", page.partition("<script>")[0])
    assert outside == []


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
