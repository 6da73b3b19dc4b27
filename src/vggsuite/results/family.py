"""The nets before, beside and after VGG, each trained on the same images for as long: what stands below Table 7."""

from collections.abc import Mapping
from typing import Any

from vggsuite.results.claims import Claim
from vggsuite.results.collection import BySeed, Results
from vggsuite.results.paper import family
from vggsuite.results.rendering import DASH, Grid, SourcedText, duration
from vggsuite.results.statistics import mean_and_sd
from vggsuite.results.tables import measured, spread_fields

HEADINGS = (
    *("net, trained once, S jittered, dense at one Q", "published top-1", "published top-5", "our top-1", "our top-5"),
    *("runs", "parameters", "multiply-adds", "images/s", "time"),
)
CLAIMS = (
    Claim("batch normalisation helps: D", "family/vgg_d_bn", "family/vgg_d"),
    Claim("an average pool beats FC layers: D (BN)", "family/vgg_d_bn_average_pool", "family/vgg_d_bn"),
    Claim("stacks of 3x3 beat one 7x7 or 5x5 (section 2.3): D (BN)", "family/vgg_d_bn", "family/vgg_d_bn_7x7"),
    Claim("VGG beats what was before: D against AlexNet", "family/vgg_d", "family/alexnet"),
    Claim("GoogLeNet beats D (BN)", "family/googlenet", "family/vgg_d_bn"),
    Claim("shortcuts help: ResNet-34 against plain-34", "family/resnet34", "family/plain34"),
    Claim("depth helps with shortcuts: ResNet-34 against ResNet-18", "family/resnet34", "family/resnet18"),
)
REMARKS = (
    "The family: every net from random weights, by the recipe of the data set, for as many epochs; published errors "
    "are others' (results/family.yaml), by ten crops. Multiply-adds: of a crop's forward pass. Images/s: in training, "
    "on each run's own hardware.",
    "Table 7's rows of several nets of other groups are left empty; fuse.py fuses runs of several seeds.",
)


def grid_of_rows(results: Results) -> Grid:
    """A row for each net."""
    cells, records = [], []
    for row in family():
        by_seed = results.get(row["experiment"], {})
        found = values_of(by_seed)
        sources = [result.name for result in by_seed.values()]
        published = [DASH if row[key] is None else f"{row[key]:.2f}" for key in ("top1", "top5")]
        cells.append([row["net"], *published, *(SourcedText(cell, sources) for cell in cells_of(found))])
        records.append(dict(row) | record_of(found))
    return Grid("_family", HEADINGS, cells, records)


def values_of(by_seed: BySeed) -> dict[str, Any]:
    """What was measured of a net, under the columns' names; None where nothing was."""
    runs = [result.run for result in by_seed.values() if result.run]
    if not runs:
        return dict.fromkeys(("top1", "top5", "runs", "parameters", "multiply_adds", "images_per_second", "seconds"))
    metrics, model = [result.evaluation.metrics for result in by_seed.values()], runs[0].model
    speeds = [run.cost["images_per_second"] for run in runs if run.cost.get("images_per_second")]
    return {
        "top1": measured(metrics, "top1"),
        "top5": measured(metrics, "top5"),
        "runs": len(runs),
        "parameters": model["parameters"],
        "multiply_adds": model.get("multiply_adds"),
        "images_per_second": mean_and_sd(speeds)[0] if speeds else None,
        "seconds": mean_and_sd([run.cost["wall_seconds"] for run in runs])[0],
    }


def cells_of(found: Mapping[str, Any]) -> list[str]:
    """Our columns of a row as they are printed."""
    return [
        *(str(found[key] or DASH) for key in ("top1", "top5")),
        DASH if found["runs"] is None else str(found["runs"]),
        *(DASH if found[key] is None else f"{found[key] / 1e6:.2f} M" for key in ("parameters", "multiply_adds")),
        DASH if found["images_per_second"] is None else f"{found['images_per_second']:.0f}",
        duration(found["seconds"]),
    ]


def record_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Our columns of a row as the fields of a CSV file."""
    fields: dict[str, Any] = {}
    for key, value in found.items():
        if key in ("top1", "top5"):
            fields |= spread_fields(f"our {key}", value)
        else:
            fields[f"our {key}"] = value
    return fields
