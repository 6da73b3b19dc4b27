"""What the page shows, gathered from run folders: plain tables, figures and texts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from vggsuite.config import TableSettings
from vggsuite.models.factors import model_of, name_of
from vggsuite.results import tables
from vggsuite.results.collection import TRAINED, Collection
from vggsuite.results.page.charts import Chart, comparisons, cost_charts, depth_chart, points_of
from vggsuite.results.page.depth_charts import degradation_chart
from vggsuite.results.page.places import places_of, saved_places, without_places
from vggsuite.results.printing import KNOWN_TABLES, Records
from vggsuite.results.record import Record
from vggsuite.results.rendering import DASH, Report, Source, SourcedText, duration
from vggsuite.results.report import DESCRIPTIONS
from vggsuite.results.run_folder import CONFIG_FILE, METRICS_FILE, logged
from vggsuite.results.tables import scale_text

CURVES = ("val/top1_error", "val/top5_error", "val/loss", "train/loss")
RUN_HEADINGS = (
    *("run", "net", "S", "seed", "top-1 error", "top-5 error", "epochs", "images/s", "waiting", "memory", "time"),
    *("parameters", "started", "commit"),
)


@dataclass(frozen=True)
class Content:
    """All of a page.

    Attributes:
        data: the data set's name.
        lead: what data set that is.
        tables: those that have figures of ours.
        charts: in the order in which they are shown.
        runs: the cells of the table of runs, under `RUN_HEADINGS`, by name: of all, or of those of one variant.
        curves: of each run, by metric, its values as [epoch, value].
        sources: what is behind figures, by name.
    """

    data: str
    lead: str
    tables: Sequence[Report]
    charts: Sequence[Chart]
    runs: Mapping[str, Sequence[str]]
    curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]
    sources: Mapping[str, Mapping[str, Any]]


def gather(config: TableSettings) -> Content:
    """What there is to show of the runs of `config`.

    Raises:
        UserError: for damaged records and metrics.
    """
    name, found = config.data.name, Records(config)
    shown = [report for number in KNOWN_TABLES if (report := found.report(number)).sources]
    collection = found.collection
    runs = [
        Source(record.name, place, record)
        for place, record in collection.records.items()
        if config.variant in ("", record.variant)
    ]
    sources = {source.name: source for source in [*(source for report in shown for source in report.sources), *runs]}
    places = places_of(config.paths)
    return Content(
        data=name,
        lead=lead(name, collection, len(runs)),
        tables=shown,
        charts=charts_of(collection),
        runs={run.name: run_cells(run) for run in runs},
        curves={run.name: curves_of(run.folder) for run in runs},
        sources={name: told(source, places) for name, source in sources.items()},
    )


def lead(data: str, collection: Collection, num_runs: int) -> str:
    """What data set the page is about, and how much of it there is."""
    images = DESCRIPTIONS.get(data, "a folder of images, NOT ImageNet")
    results = [result for by_seed in collection.results.values() for result in by_seed.values()]
    if not results:
        return f"{data}: {images}; {num_runs} runs"
    some = results[0].evaluation
    variant = f", with {collection.variant}" if collection.variant else ""
    return (
        f"{data}: {images}; {some.metrics['num_images']:,} test images of {some.data['num_classes']} classes, "
        f"fingerprint {some.data['fingerprint'][:8]}; {num_runs} runs{variant}"
    )


def charts_of(collection: Collection) -> list[Chart]:
    """The charts that have anything to show."""
    points = points_of(tables.rows(3, collection.results))
    trained = [
        result.run
        for experiment, by_seed in collection.results.items()
        for result in by_seed.values()
        if result.run and experiment.startswith(TRAINED)
    ]
    charts = [
        depth_chart(points, collection.data),
        *comparisons(points, collection.data),
        degradation_chart(collection),
        *cost_charts(trained),
    ]
    return [chart for chart in charts if chart.rows]


def run_cells(run: Source) -> list[str]:
    """A run's row in the table of all runs."""
    record: Record = run.record
    cost, metrics = record.cost, record.metrics
    memory = cost.get("peak_memory_bytes")
    return [
        SourcedText(run.name, [run.name]),
        name_of(model_of(record.model)),
        scale_text(record.train_scale),
        str(record.seed),
        f"{metrics['top1_error']:.2f}",
        f"{metrics['top5_error']:.2f}",
        *(or_dash(cost.get(key), style) for key, style in (("epochs", "{}"), ("images_per_second", "{:.0f}"))),
        or_dash(cost.get("share_waiting_for_images"), "{:.0%}"),
        or_dash(memory and memory / 2**30, "{:.2f} GiB"),
        duration(cost["wall_seconds"]),
        f"{record.model['parameters'] / 1e6:.2f} M",
        str(record.environment["started"])[:16].replace("T", " "),
        run.commit,
    ]


def or_dash(value: Any, style: str) -> str:
    """A number as it is printed; a dash where there is none."""
    return DASH if value is None else style.format(value)


def curves_of(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """The learning curves of the run in `folder`: of each metric the values at the ends of epochs, from 1, that are
    numbers."""
    if not (folder / METRICS_FILE).is_file():
        return {name: [] for name in CURVES}
    return {
        name: [(epoch, round(value, 5)) for epoch, value in logged(folder, name) if isfinite(value)] for name in CURVES
    }


def told(source: Source, places: Mapping[str, str]) -> dict[str, Any]:
    """What the page says of where figures come from, without absolute paths; `places` stand for this machine's."""
    record = source.record
    environment = record.environment
    config = config_of(source.folder)
    places = {**places, **saved_places(config)}
    texts = {
        "command": record.command,
        "config": config,
        "record": json.dumps(asdict(record), indent=1, ensure_ascii=False),
    }
    return {
        "commit": source.commit,
        "started": environment.get("started", ""),
        "hardware": environment.get("hardware", {}),
        "versions": environment.get("versions", {}),
        **{name: without_places(text, places) for name, text in texts.items()},
    }


def config_of(folder: Path) -> str:
    """The saved config of the run in `folder`, or of the run whose evaluation lies there; "" for what has none."""
    for place in (folder, folder.parent.parent):
        if (place / CONFIG_FILE).is_file():
            return (place / CONFIG_FILE).read_text(encoding="utf-8", errors="replace")
    return ""


def sources_of(cell: str) -> Iterable[str]:
    """The names of the results behind a cell."""
    return cell.sources if isinstance(cell, SourcedText) else ()
