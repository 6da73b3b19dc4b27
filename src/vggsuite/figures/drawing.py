"""What draw.py draws: from its settings to files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from vggsuite.checks import refuse_idle
from vggsuite.data.find import find_images
from vggsuite.errors import UserError
from vggsuite.evaluation.settings import check_heatmap, protocol_of
from vggsuite.evaluation.subject import check_images, make_subject
from vggsuite.figures import of_evaluations, of_images, of_runs
from vggsuite.figures.config import DrawConfig, Kind
from vggsuite.figures.heatmap import draw_heatmap
from vggsuite.figures.style import FORMATS, save, styled
from vggsuite.naming import slug
from vggsuite.results.record import read_record

Drawn = tuple[Figure, Path]  # and where it lies if nothing else is said, without an ending


def draw(config: DrawConfig, typed: Sequence[str]) -> list[Path]:
    """Draw the figure that `config` asks for, and return its files.

    Args:
        config: settled.
        typed: the words of which it was made.

    Raises:
        UserError: for what cannot be drawn.
    """
    check(config, typed)
    with styled():
        figure, stem = DRAWINGS[config.figure].make(config)
        return save(figure, stem_of(config) or stem)


def check(config: DrawConfig, typed: Sequence[str]) -> None:
    """Raise a UserError for settings that are out of range, do not go together or change nothing."""
    drawing = DRAWINGS[config.figure]
    check_heatmap(config, asked=config.figure == Kind.heatmap, word="figure=heatmap")
    refuse_idle(typed, idle(config))
    if config.number is not None and not 1 <= config.number <= drawing.most:
        raise UserError(f"number={config.number} is out of range; allowed: 1 to {drawing.most}.")
    if config.run is None and drawing.of_run:
        raise UserError(f"figure={config.figure} is of a run; type run=<folder of a finished run> instead of weights.")


def idle(config: DrawConfig) -> dict[str, str]:
    """The settings that the figure does not know, with those that do."""
    found = {}
    for setting in SETTINGS:
        knowing = [kind for kind, drawing in DRAWINGS.items() if setting in drawing.settings]
        allowed = f"allowed with {', '.join(f'figure={kind}' for kind in knowing)}" if knowing else "leave it out"
        if config.figure not in knowing:
            found[setting] = f"with figure={config.figure}; {allowed}"
    if config.weights is not None:  # whose net and folder are told by the data set
        found.pop("data", None)
    return found


def stem_of(config: DrawConfig) -> Path | None:
    """Where to, without the ending, if that was said."""
    if not config.output:
        return None
    output = Path(config.output).expanduser()
    return output.with_suffix("") if output.suffix in FORMATS else output


def number_of(config: DrawConfig) -> int:
    """How many maps, mistakes or views are drawn."""
    return config.number or DRAWINGS[config.figure].number


def filters(config: DrawConfig) -> Drawn:
    subject = make_subject(config)
    figure = of_runs.draw_filters(subject.net, subject.name, bgr=subject.preprocessing.bgr)
    return figure, subject.folder / "figures/filters"


def feature_maps(config: DrawConfig) -> Drawn:
    side, *others = protocol_of(config).scales
    if others:
        raise UserError(f"scales={config.scales} are several, and feature maps are of one; type scales=[{side}].")
    subject, picture = make_subject(config), of_images.find_picture(config, config.image)
    figure = of_images.draw_feature_maps(subject, picture, side, number_of(config))
    return figure, subject.folder / "figures" / f"feature_maps-{slug(picture.name)}-{side}"


def heatmap(config: DrawConfig) -> Drawn:
    return draw_heatmap(config, of_images.find_picture(config, config.image))


def confusion(config: DrawConfig) -> Drawn:
    folder, protocol = Path(str(config.run)), protocol_of(config)
    figure = of_evaluations.draw_confusion(of_evaluations.require_evaluation(folder, protocol))
    return figure, folder / "figures" / f"confusion-{protocol.name}"


def mistakes(config: DrawConfig) -> Drawn:
    folder, protocol = Path(str(config.run)), protocol_of(config)
    place = of_evaluations.require_evaluation(folder, protocol)
    images = find_images(config.data, val_only=True)
    check_images(images, folder)
    figure = of_evaluations.draw_mistakes(images, place, number_of(config))
    return figure, folder / "figures" / f"mistakes-{protocol.name}"


def views(config: DrawConfig) -> Drawn:
    picture = of_images.find_picture(config, config.image)
    figure = of_images.draw_views(config, picture, number_of(config))
    return figure, Path(str(config.run), "figures", f"views-{slug(picture.name)}")


def learning_rate(config: DrawConfig) -> Drawn:
    folder = Path(str(config.run))
    return of_runs.draw_learning_rate(folder, read_record(folder).name), folder / "figures/learning_rate"


class Drawing(NamedTuple):
    """How a figure is made.

    Attributes:
        make: draws it.
        settings: those of `SETTINGS` that it knows.
        of_run: whether it is of a run alone, not of published weights.
        number: how many of what it shows are drawn, where that is not said.
        most: how many at most.
    """

    make: Callable[[DrawConfig], Drawn]
    settings: tuple[str, ...] = ()
    of_run: bool = False
    number: int = 0
    most: int = 0


PROTOCOL = ("protocol", "scales", "flip", "average", "ceil_mode", "precision")
IMAGE = ("image", "data")
SETTINGS = (
    *PROTOCOL,
    *IMAGE,
    "number",
    "heatmap_class",
    "seed",
    "trainer",
    "batch_size",
    "shard_size",
    "rerun",
    "heatmap",
)
DRAWINGS = {
    Kind.filters: Drawing(filters),
    Kind.feature_maps: Drawing(feature_maps, (*IMAGE, "number", "scales"), number=8, most=32),
    Kind.heatmap: Drawing(heatmap, (*IMAGE, *PROTOCOL, "trainer", "heatmap_class")),
    Kind.confusion: Drawing(confusion, PROTOCOL, of_run=True),
    Kind.mistakes: Drawing(
        mistakes, (*PROTOCOL, "data", "number"), of_run=True, number=of_evaluations.MISTAKES, most=100
    ),
    Kind.views: Drawing(views, (*IMAGE, "number", "seed"), of_run=True, number=8, most=32),
    Kind.learning_rate: Drawing(learning_rate, of_run=True),
}
