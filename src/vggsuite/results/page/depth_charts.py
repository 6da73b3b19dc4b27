"""The chart of nets beyond Table 1's depth: training and test errors by depth."""

from vggsuite.results.collection import Collection
from vggsuite.results.degradation import TOLD, error_of, errors_at
from vggsuite.results.experiments import DEPTHS, KINDS
from vggsuite.results.page.charts import PADDED, POINT, TOP1, WHISKERS, Chart, Spec, domain, spec_of, whiskers

SIDES = {"training": "training error", "test": "test error"}


def degradation_chart(collection: Collection) -> Chart:
    """Whether depth beyond 19 helps, plain and with shortcuts; without rows where all that there are have one depth."""
    rows = [
        {"depth": depth, "net": TOLD[kind], "side": SIDES[side], "error": round(error.mean, 3)}
        | {end: round(value, 3) for end, value in zip(("low", "high"), error.ends, strict=True) if value is not None}
        for depth in DEPTHS
        for kind in KINDS
        for side, by_seed in errors_at(collection, kind, depth).items()
        if (error := error_of(by_seed))
    ]
    rows = rows if len({row["depth"] for row in rows}) > 1 else []
    panels = [of_side(told, [row for row in rows if row["side"] == told]) for told in SIDES.values()]
    caption = f"VGG-style nets with batch normalisation and an average pool, with shortcuts and without. {WHISKERS}"
    return Chart("beyond-19", "Does depth beyond 19 help?", caption, panels, rows)


def of_side(title: str, rows: list[dict[str, object]]) -> Spec:
    """One panel of `degradation_chart`."""
    axis = {"values": list(DEPTHS), "format": "d"}
    x = {"field": "depth", "type": "quantitative", "axis": axis, "scale": PADDED}
    y = {"field": "error", "type": "quantitative", "title": TOP1, "scale": {"domain": domain(rows)}}
    told = {"field": "net", "type": "nominal", "sort": None, "title": None}
    shown_alike = told | {"legend": None}  # one legend, that of the colours
    marks = [
        *whiskers(rows, "y", y),
        {
            "mark": {"type": "line", "strokeWidth": 1.5},
            "encoding": {"color": told, "strokeDash": shown_alike},
        },
        {"mark": POINT, "encoding": {"color": told, "shape": shown_alike}},
    ]
    return spec_of(title, rows, encoding={"x": x, "y": y}, layer=marks)
