"""The page in a real browser, a headless Chromium without a network: `apt-get install chromium`."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import call_command
from tests.results.conftest import write_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"),
]
RUNS = {"a": 21, "a_lrn": 22, "b": 18, "c": 16, "d": 9, "d_384": 8, "d_multi": 6, "e": 10, "e_384": 100}
METRICS = "epoch,step,train/loss,val/loss,val/top1_error,val/top5_error\n0,9,2.5,2.4,90,50\n1,19,1.5,1.4,{},20\n"
MANY = 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def page_of(folder: Path) -> Path:
    """The page of the runs in `folder`."""
    result = call_command("report.py", f"paths.runs={folder / 'runs'}", f"output={folder}")
    assert result.returncode == 0, result.stderr
    return folder / "report.html"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of nine runs of the paper's, one of which has a name that is no good."""
    folder = tmp_path_factory.mktemp("page")
    for experiment, wrong in RUNS.items():
        scale = [55, 55] if experiment.endswith("384") else [37, 73] if experiment.endswith("multi") else [37, 37]
        cost = {"wall_seconds": 60.0 * wrong, "images_per_second": 1000.0 - wrong, "peak_memory_bytes": 2**30 + wrong}
        run = write_run(folder / "runs", f"table3/{experiment}", range(wrong), train_scale=scale, cost=cost)
        (run / "metrics.csv").write_text(METRICS.format(wrong))
        (run / "config.yaml").write_text(f"seed: 0\nexperiment: table3/{experiment}\n")
    write_run(folder / "runs", "other", command="<img src=x onerror=alert(1)>")
    return page_of(folder)


def opened(browser: Browser, file: Path, **how: Any) -> tuple[Page, list[str]]:
    """The page, drawn, without a network; and what the browser has complained of, and asked for, from then on."""
    context = browser.new_context(offline=True, **how)
    page, complaints = context.new_page(), list[str]()
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url == file.as_uri() else complaints.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("body[data-drawn]")
    return page, complaints


@pytest.fixture
def page(browser: Browser, page_file: Path) -> Iterator[Page]:
    """The page at a desktop's width; nothing may be complained of, nor asked for."""
    page, complaints = opened(browser, page_file)
    yield page
    assert [each for each in complaints if not each.startswith("data:")] == []
    page.context.close()


def column(page: Page, table: str, heading: str) -> list[str]:
    """The cells under a heading, of the rows that are shown."""
    found: list[str] = page.evaluate(
        """([selector, heading]) => {
            const table = document.querySelector(selector);
            const index = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.trim() === heading);
            const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
            return rows.map((row) => row.cells[index].textContent.trim());
        }""",
        [table, heading],
    )
    return found


TABLE_3 = "section[aria-labelledby=table3] table"


def test_the_first_line_says_which_data_set_it_is(page: Page) -> None:
    first = page.locator("body").inner_text().splitlines()[0]
    told = page.locator("h1").inner_text()
    assert told.startswith("digits: the embedded handwritten digits, NOT ImageNet; 200 test images of 10 classes")
    assert first in (told, "To the tables")  # the link for those who do not see the page
    assert page.title() == told


MARKS = {"depth": [5, 5], "lrn": [2, 2], "kernels": [2, 2], "jitter": [3, 3], "cost": [9, 9, 9]}  # of each panel


def test_every_chart_is_drawn(page: Page) -> None:
    assert page.locator("figure").count() == len(MARKS)
    for chart, marks in MARKS.items():
        panels = page.locator(f"figure:has(#chart-{chart}) .panel").all()
        assert [panel.locator("svg .mark-symbol.role-mark path").count() for panel in panels] == marks
        assert all(panel.bounding_box()["width"] > 200 for panel in panels)  # type: ignore[index]
    labels = page.locator("#depth-0 svg [aria-label]").all()
    assert any("weight layers: 16" in (label.get_attribute("aria-label") or "") for label in labels)


def test_a_table_is_sorted_by_what_its_cells_mean(page: Page) -> None:
    heading = page.locator(f"{TABLE_3} >> nth=0").get_by_role("button", name="our top-1", exact=True)
    heading.focus()
    page.keyboard.press("Enter")
    cells = column(page, TABLE_3, "our top-1")
    numbers = [float(cell.split()[0]) for cell in cells if cell != "-"]
    assert numbers == sorted(numbers) == [3.0, 4.0, 4.5, 5.0, 8.0, 9.0, 10.5, 11.0, 50.0]
    assert cells[len(numbers) :] == ["-"] * (12 - len(numbers))
    heading.click()
    assert [float(cell.split()[0]) for cell in column(page, TABLE_3, "our top-1") if cell != "-"] == numbers[::-1]
    expect(page.locator(f"{TABLE_3} th[aria-sort=descending]").first).to_have_text("our top-1")
    page.locator(TABLE_3).first.get_by_role("button", name="time", exact=True).click()
    assert column(page, TABLE_3, "time")[:3] == ["6 min 00 s", "8 min 00 s", "9 min 00 s"]
    assert column(page, TABLE_3, "time")[8] == "1 h 40 min"
    page.locator("#runs-table").get_by_role("button", name="S", exact=True).click()
    assert column(page, "#runs-table", "S") == ["[37;73]"] + ["37"] * 7 + ["55"] * 2


def test_rows_are_filtered(page: Page) -> None:
    page.get_by_label("Rows with").fill("table3/e_")
    assert column(page, "#runs-table", "run") == ["digits/table3/e_384/seed_0"]
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^1 of \d+ rows$"))
    page.get_by_label("Rows with").fill("")
    assert len(column(page, "#runs-table", "run")) == len(RUNS) + 1


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 800)])
def test_the_filter_stays_in_sight_and_covers_nothing_that_one_goes_to(
    browser: Browser, page_file: Path, width: int, height: int
) -> None:
    page, _ = opened(browser, page_file, viewport={"width": width, "height": height}, reduced_motion="reduce")
    for link in page.locator("nav a").all():
        link.evaluate("link => link.click()")
        filter_box = page.locator(".filter").bounding_box()
        heading = page.locator(link.get_attribute("href") or "").bounding_box()
        assert filter_box is not None
        assert heading is not None
        assert filter_box["y"] == pytest.approx(0, abs=1)
        assert filter_box["y"] + filter_box["height"] <= heading["y"] < height
        assert filter_box["height"] < 60
    page.get_by_label("Rows with").fill("no such run")
    expect(page.get_by_label("Rows with")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 800, "height": 360})  # a phone that lies: the tables need the height
    page.locator("#runs").scroll_into_view_if_needed()
    expect(page.get_by_label("Rows with")).not_to_be_in_viewport()
    page.context.close()


def test_what_is_no_part_of_the_page_does_not_run(page_file: Path, browser: Browser) -> None:
    page, complaints = opened(browser, page_file)
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.body.dataset.hacked = 1";
        document.body.append(script);
        document.body.setAttribute("style", "color: red");
    }""")
    assert page.locator("body[data-hacked]").count() == 0
    assert len([each for each in complaints if "Content Security Policy" in each]) == 2
    page.context.close()


def test_a_figure_tells_where_it_comes_from(page: Page) -> None:
    page.locator(TABLE_3).first.get_by_role("button", name="10.50 [9.5, 12.5]").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", level=2)).to_have_text("our top-1: 10.50 [9.5, 12.5]")
    expect(dialog.get_by_role("heading", level=3)).to_have_text("digits/table3/a/seed_0")
    expect(dialog).to_contain_text("0123456789")
    expect(dialog).to_contain_text("python src/train.py experiment=table3/a")
    dialog.get_by_text("Config").click()
    expect(dialog).to_contain_text("experiment: table3/a")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == "10.50 [9.5, 12.5]"


def test_a_claim_tells_both_its_runs(page: Page) -> None:
    page.locator(TABLE_3).nth(1).locator("tr", has_text="A-LRN against A").locator("button.figure").click()
    names = page.get_by_role("dialog").get_by_role("heading", level=3).all_inner_texts()
    assert names == ["digits/table3/a_lrn/seed_0", "digits/table3/a/seed_0"]


def test_learning_curves_are_of_the_runs_that_are_picked(page: Page) -> None:
    def lines() -> int:
        return page.locator("#curves-chart .mark-line path").count()

    assert lines() == 6
    assert page.get_by_label("curve of digits/other/seed_0").is_disabled()
    page.get_by_label("curve of digits/table3/e_384/seed_0").check()
    expect(page.locator("#curves-chart .mark-line path")).to_have_count(7)
    page.get_by_label("Of the runs that are picked below:").select_option("train/loss")
    expect(page.locator("#curves-chart")).to_contain_text("e_384")
    while (box := page.locator(".pick-run:checked").first).count():
        box.uncheck()
    expect(page.get_by_text("No run is picked.")).to_be_visible()


def test_a_hostile_name_is_text(page: Page) -> None:
    page.locator("#runs-table").get_by_role("button", name="digits/other/seed_0").click()
    expect(page.get_by_role("dialog")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("dialog img").count() == 0


CONTRAST = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const light = (colour) => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const paper = light(getComputedStyle(document.body).backgroundColor);
    return ["body", "button.figure", "caption", ".remarks", "a[href]", "figcaption"].map((selector) => {
        const ink = light(getComputedStyle(document.querySelector(selector)).color);
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    });
}"""  # of WCAG 2.2, 1.4.3


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_read_on_a_phone_by_night_and_day(browser: Browser, page_file: Path, scheme: Any, width: int) -> None:
    page, complaints = opened(browser, page_file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert min(page.evaluate(CONTRAST)) >= 4.5
    ink, axis = page.evaluate(
        "[[document.body, 'color'], [document.querySelector('#depth-0 svg .role-axis-label text'), 'fill']]"
        ".map(([element, property]) => getComputedStyle(element)[property])"
    )
    assert ink == axis
    assert [each for each in complaints if not each.startswith("data:")] == []
    page.context.close()


NAMED = {"region", "search", "figure", "table", "button", "link", "checkbox", "combobox", "searchbox", "dialog"}


def test_a_screen_reader_is_told_what_is_what(page: Page) -> None:
    """By the browser's own tree of what it tells of a page."""
    page.locator("button.figure").first.click()
    page.evaluate("document.getElementById('provenance').close(); document.getElementById('provenance').show()")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    told = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    assert {role for role, _ in told} >= NAMED
    assert [role for role, name in told if role in NAMED and not name.strip()] == []
    sections = {("region", name) for name in ("Table 3", "Charts", "Learning curves", "Runs")}
    assert sections | {("searchbox", "Rows with"), ("figure", "Does LRN help?"), ("table", "Table 3")} <= set(told)
    assert page.locator("thead th:not([scope=col])").count() == 0
    levels = [
        int(tag[1]) for tag in page.evaluate("[...document.querySelectorAll('main h2, main h3')].map((h) => h.tagName)")
    ]
    assert all(after - before <= 1 for before, after in zip([1, *levels], levels, strict=False))


def test_without_javascript_the_tables_are_there(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    expect(page.get_by_text("10.50 [9.5, 12.5]").first).to_be_visible()
    context.close()


def test_many_runs_are_all_there(browser: Browser, tmp_path: Path) -> None:
    for seed in range(MANY // 2):
        for experiment in ("table3/a", "table3/b"):
            run = write_run(tmp_path / "runs", experiment, range(10 + seed), seed=seed)
            (run / "metrics.csv").write_text(METRICS.format(seed))
    page, complaints = opened(browser, page_of(tmp_path))
    assert len(column(page, "#runs-table", "run")) == MANY
    page.locator(TABLE_3).first.locator("button.figure").first.click()
    assert page.get_by_role("dialog").get_by_role("heading", level=3).count() == MANY // 2
    assert [each for each in complaints if not each.startswith("data:")] == []
