"""The charts of the page, as Vega-Lite's specifications: what they show is a pure function of tables and records."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vggsuite.results.paper import paper
from vggsuite.results.record import Record
from vggsuite.results.tables import Measured, Row, scale_text

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a")  # Okabe and Ito, for all eyes
INK = "currentColor"  # of the page, dark or light
CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "range": {"category": list(PALETTE)},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor", "domainColor", "tickColor", "gridColor"), INK),
        "gridOpacity": 0.15,
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
    "legend": {"labelColor": INK, "titleColor": INK, "orient": "bottom", "labelLimit": 400, "columns": 2},
    "title": {"color": INK, "anchor": "start", "fontSize": 13},
    "text": {"color": INK},
}
TOP1 = "top-1 error, %"
MARGIN = 0.5  # points beside the errors of an axis
DEPTHS = {"values": [11, 13, 16, 19], "format": "d"}
PADDED = {"zero": False, "padding": 24}
POINT = {"type": "point", "filled": True, "size": 70, "opacity": 1, "tooltip": {"content": "data"}}
WHISKERS = (
    "Whiskers: the interval over the images of one run, as in the table, or a standard deviation over runs of several "
    "seeds on each side. The axes begin where the errors do."
)


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: its id in the page.
        title: what is asked.
        caption: what is shown, and how to read it.
        panels: the specifications of its parts, side by side where there is room.
        rows: the figures in it, for who cannot see it.
    """

    name: str
    title: str
    caption: str
    panels: Sequence[Spec]
    rows: Sequence[Mapping[str, Any]]

    @property
    def headings(self) -> list[str]:
        """The keys of the rows, of which not all have all."""
        return list(dict.fromkeys(key for row in self.rows for key in row))

    @property
    def cells(self) -> list[list[str]]:
        """The rows under `headings`, as they are printed."""
        return [[str(row.get(key, "-")) for key in self.headings] for row in self.rows]


def spec_of(title: str, rows: Sequence[Mapping[str, Any]], **parts: Any) -> Spec:
    """A specification of the page's style, as wide as its place."""
    return {
        "$schema": SCHEMA,
        "title": title,
        "description": title,
        "width": "container",
        "height": 260,
        "config": CONFIG,
        "data": {"values": list(rows)},
        **parts,
    }


def point(net: str, s: str, side: str, error: Measured | float) -> dict[str, Any]:
    """An error, ours with its interval over the images, or its standard deviation over seeds on either side."""
    if not isinstance(error, Measured):
        return {"net": net, "S": s, "side": side, "error": error}
    low, high = error.ends
    ends = {"low": round(low, 3), "high": round(high, 3)} if low is not None and high is not None else {}
    return {"net": net, "S": s, "side": side, "error": round(error.mean, 3), **ends}


def points_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The top-1 errors of Table 3, ours and the paper's, of those rows that are ours as well. S is the paper's word."""
    found = []
    for row in rows:
        if row.ours and row.paper["top-1"] is not None:
            net, s = row.printed["net"], row.printed["S"]
            found += [point(net, s, "ours", row.ours.top1), point(net, s, "paper", row.paper["top-1"])]
    return found


def sides(data: str) -> dict[str, str]:
    """The title of each side's panel."""
    return {"ours": f"ours, on {data}", "paper": "paper, on ILSVRC-2012 val"}


def depth_chart(points: Sequence[Mapping[str, Any]], data: str) -> Chart:
    """The error against the number of weight layers, at S = 256, of nets without LRN; without rows where all that there
    are have one depth."""
    nets = paper()["table_1_configs"]["nets"]
    alike = [each for each in points if each["S"] == "256" and each["net"] != "A-LRN"]
    rows = [{**each, "weight layers": nets[each["net"]]["weight_layers"]} for each in alike]
    rows = rows if len({row["weight layers"] for row in rows}) > 1 else []
    panels = [of_depth(title, [row for row in rows if row["side"] == side]) for side, title in sides(data).items()]
    caption = f"Single-scale nets, S = 256 (or what it is on {data}). {WHISKERS}"
    return Chart("depth", "Does depth help?", caption, panels, rows)


def of_depth(title: str, rows: Sequence[Mapping[str, Any]]) -> Spec:
    """One side of `depth_chart`."""
    x = {"field": "weight layers", "type": "quantitative", "axis": DEPTHS, "scale": PADDED}
    y = {"field": "error", "type": "quantitative", "title": TOP1, "scale": {"domain": domain(rows)}}
    marks = [
        *whiskers(rows, "y", y),
        {"mark": POINT, "encoding": {"color": {"value": PALETTE[0]}}},
        {"mark": {"type": "text", "dx": 10, "align": "left"}, "encoding": {"text": {"field": "net"}}},
    ]
    return spec_of(title, rows, encoding={"x": x, "y": y}, layer=marks)


def domain(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """What an axis of errors shows: all of them, and half a point beyond, so that a tenth does not look large."""
    ends = [end for row in rows for end in (row["error"], row.get("low", row["error"]), row.get("high", row["error"]))]
    return [max(0.0, min(ends) - MARGIN), max(ends) + MARGIN] if ends else [0.0, 1.0]


def whiskers(rows: Sequence[Mapping[str, Any]], axis: str, errors: Spec) -> list[Spec]:
    """The layer of the intervals of rows that have any.

    Args:
        rows: of the panel.
        axis: that of the errors.
        errors: its encoding.
    """
    ends = {axis: {**errors, "field": "low"}, f"{axis}2": {"field": "high"}}
    layer = {"mark": {"type": "rule", "strokeWidth": 1.5, "color": INK, "opacity": 0.6}, "encoding": ends}
    return [layer] if any("low" in row for row in rows) else []


def comparison(
    name: str, title: str, caption: str, points: Iterable[Mapping[str, Any]], *,
    group: str, level: str, special: str, data: str,
) -> Chart:  # fmt: skip
    """Errors of pairs: a line for each `group`, a colour for each `level`, both keys of `points`. Groups without the
    level `special`, or with no other, answer nothing and are left out."""
    found = list(points)
    with_it, without = ({each[group] for each in found if (each[level] == special) == side} for side in (True, False))
    rows = [each for each in found if each[group] in with_it & without]
    panels = [
        of_pairs(told, [row for row in rows if row["side"] == side], group, level) for side, told in sides(data).items()
    ]
    return Chart(name, title, f"{caption} {WHISKERS}", panels, rows)


def of_pairs(title: str, rows: Sequence[Mapping[str, Any]], group: str, level: str) -> Spec:
    """One side of a `comparison`."""
    x = {"field": "error", "type": "quantitative", "title": TOP1, "scale": {"domain": domain(rows)}}
    y = {"field": group, "type": "nominal", "sort": None, "title": group}
    told = {"field": level, "type": "nominal", "sort": None, "title": level}
    marks = [*whiskers(rows, "x", x), {"mark": POINT, "encoding": {"shape": told, "color": told}}]
    encoding = {"x": x, "y": y, "yOffset": {"field": level, "sort": None}}
    return spec_of(title, rows, height=60 + 50 * len({row[group] for row in rows}), encoding=encoding, layer=marks)


def comparisons(points: Sequence[Mapping[str, Any]], data: str) -> list[Chart]:
    """The paper's other questions of Table 3."""
    lrn = [
        {**each, "LRN": "with LRN" if each["net"] == "A-LRN" else "without"}
        for each in points
        if each["net"] in ("A", "A-LRN")
    ]
    kernels = [
        {**each, "layers": "1x1 (C)" if each["net"] == "C" else "3x3 (D)"} for each in points if each["net"] in "CD"
    ]
    scales = [
        {**each, "training": "jittered" if each["S"].startswith("[") else f"fixed S = {each['S']}"}
        for each in points
        if each["net"] in "CDE"
    ]
    return [
        comparison(
            *("lrn", "Does LRN help?", "Net A, and with local response normalisation after its first layer."),
            *(lrn,), group="S", level="LRN", special="with LRN", data=data,
        ),
        comparison(
            *("kernels", "1x1 or 3x3?", "Nets of 16 weight layers: three of C's are 1x1 where D's are 3x3."),
            *(kernels,), group="S", level="layers", special="1x1 (C)", data=data,
        ),
        comparison(
            *("jitter", "One S, or many?", "Trained at one scale, or at scales drawn from [256, 512]."),
            *(scales,), group="net", level="training", special="jittered", data=data,
        ),
    ]  # fmt: skip


# What a run costs: its key in the rows, what to take of a record, the axis's title, and whether more of it is better.
COSTS: tuple[tuple[str, Callable[[Record], float | None], str, bool], ...] = (
    ("minutes", lambda run: run.cost["wall_seconds"] / 60, "time of the run, minutes", False),
    ("images/s", lambda run: run.cost.get("images_per_second"), "images/s in training", True),
    (
        "GiB",
        lambda run: (run.cost.get("peak_memory_bytes") or 0) / 2**30 or None,
        "peak memory in training, GiB",
        False,
    ),
)


def cost_charts(runs: Sequence[Record]) -> list[Chart]:
    """What runs cost against their errors, and which are on the front: no other is better in both."""
    rows = [
        {
            "net": run.experiment.rpartition("/")[2],
            "S": scale_text(run.train_scale),
            "run": run.name,
            "error": round(run.metrics["top1_error"], 3),
            **{name: round(value, 4) for name, take, _, _ in COSTS if (value := take(run)) is not None},
        }
        for run in runs
    ]
    panels = []
    for name, _, title, more in COSTS:
        if not (known := [row for row in rows if name in row]):
            continue
        best = front([(-row[name] if more else row[name], row["error"]) for row in known])
        panels.append(
            of_cost(
                [{**row, "front": "on the front" if on else "not"} for row, on in zip(known, best, strict=True)],
                name,
                title,
            )
        )
    caption = (
        "Each run's top-1 error against what it took, on its own hardware; a run that began as another one is counted "
        "without that. On the front: no other run is better in one and as good in the other."
    )
    return [Chart("cost", "What does an error cost?", caption, panels, rows)]


def of_cost(rows: Sequence[Mapping[str, Any]], name: str, title: str) -> Spec:
    """One panel of `cost_charts`."""
    x = {"field": name, "type": "quantitative", "title": title, "scale": PADDED}
    y = {"field": "error", "type": "quantitative", "title": TOP1, "scale": {"zero": False}}
    scale = {"domain": ["on the front", "not"]}
    front = {"field": "front", "type": "nominal", "title": None, "scale": scale}
    colour = {**front, "scale": {**scale, "range": [PALETTE[1], PALETTE[6]]}}
    marks = [
        {"mark": POINT, "encoding": {"color": colour, "shape": front}},
        {
            "mark": {"type": "text", "dx": 8, "align": "left", "fontSize": 10},
            "encoding": {"text": {"field": "net"}},
            "transform": [{"filter": "datum.front == 'on the front'"}],
        },
    ]
    return spec_of(f"top-1 error against {title}", rows, encoding={"x": x, "y": y}, layer=marks)


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of the points are on the Pareto front, less of both coordinates being better: for none of these is there
    another that is no worse in both and better in one."""
    return [
        not any(other != point and other[0] <= point[0] and other[1] <= point[1] for other in points)
        for point in points
    ]


def curves_spec() -> Spec:
    """The learning curves, which the page fills with the runs that are picked."""
    ticks = {"tickMinStep": 1, "labelExpr": "datum.value % 1 ? '' : datum.value"}  # Vega halves the only step of two
    x = {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": ticks}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}}
    colour = {"field": "run", "type": "nominal", "sort": None, "title": None, "legend": {"columns": 1}}  # long names
    mark = {"type": "line", "point": True, "tooltip": {"content": "data"}}
    return spec_of("Learning curves", [], mark=mark, encoding={"x": x, "y": y, "color": colour, "strokeDash": colour})
