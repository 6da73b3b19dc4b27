"""What draw.py draws: from its settings to files."""

from pathlib import Path

from matplotlib.figure import Figure

from vggsuite.data.find import find_images
from vggsuite.errors import UserError
from vggsuite.evaluation.settings import protocol_of
from vggsuite.evaluation.subject import check_images, make_subject
from vggsuite.figures import of_evaluations, of_images, of_runs
from vggsuite.figures.config import DrawConfig, Kind
from vggsuite.figures.heatmap import draw_heatmap
from vggsuite.figures.style import FORMATS, save, styled
from vggsuite.naming import slug
from vggsuite.results.record import read_record

NUMBERS = {Kind.feature_maps: 8, Kind.mistakes: of_evaluations.MISTAKES, Kind.views: 8}  # where none is asked for
MOST = {Kind.feature_maps: 32, Kind.mistakes: 100, Kind.views: 32}
OF_RUN = (Kind.confusion, Kind.mistakes, Kind.learning_rate, Kind.views)  # which published weights have not


def draw(config: DrawConfig) -> list[Path]:
    """Draw the figure that `config` asks for, and return its files.

    Raises:
        UserError: for what cannot be drawn.
    """
    check(config)
    with styled():
        if config.figure == Kind.heatmap:
            picture = of_images.find_picture(config, config.image)
            return draw_heatmap(config, protocol_of(config), picture, stem=stem_of(config))
        figure, folder, name = make(config)
        return save(figure, stem_of(config) or folder / "figures" / name)


def check(config: DrawConfig) -> None:
    """Raise a UserError for settings that are out of range or do not go together."""
    if config.number is not None and config.figure not in NUMBERS:
        raise UserError(
            f"number={config.number} changes nothing with figure={config.figure}; allowed with {', '.join(NUMBERS)}."
        )
    if config.number is not None and not 1 <= config.number <= MOST[config.figure]:
        raise UserError(f"number={config.number} is out of range; allowed: 1 to {MOST[config.figure]}.")
    if config.heatmap_class and config.figure != Kind.heatmap:
        raise UserError(f"heatmap_class={config.heatmap_class} is for a heat map; type figure=heatmap.")
    if config.run is None and config.figure in OF_RUN:
        raise UserError(f"figure={config.figure} is of a run; type run=<folder of a finished run> instead of weights.")


def stem_of(config: DrawConfig) -> Path | None:
    """Where to, without the ending, if that was said."""
    if not config.output:
        return None
    output = Path(config.output).expanduser()
    return output.with_suffix("") if output.suffix in FORMATS else output


def make(config: DrawConfig) -> tuple[Figure, Path, str]:
    """The figure, the folder of what it is of, and its name there."""
    kind, number = config.figure, config.number or NUMBERS.get(config.figure, 0)
    name, protocol = str(kind), protocol_of(config)
    if config.run and kind in OF_RUN:
        folder = Path(config.run)
        if kind == Kind.learning_rate:
            return of_runs.draw_learning_rate(folder, read_record(folder).name), folder, name
        if kind == Kind.views:
            picture = of_images.find_picture(config, config.image)
            return of_images.draw_views(config, picture, number), folder, f"{name}-{slug(picture.name)}"
        place = of_evaluations.require_evaluation(folder, protocol)
        if kind == Kind.confusion:
            return of_evaluations.draw_confusion(place), folder, f"{name}-{protocol.name}"
        images = find_images(config.data, val_only=True)
        check_images(images, folder)
        return of_evaluations.draw_mistakes(images, place, number), folder, f"{name}-{protocol.name}"
    subject = make_subject(config)
    if kind == Kind.filters:
        return of_runs.draw_filters(subject.net, subject.name, bgr=subject.preprocessing.bgr), subject.folder, name
    picture, side = of_images.find_picture(config, config.image), protocol.scales[0]
    figure = of_images.draw_feature_maps(subject, picture, side, number)
    return figure, subject.folder, f"{name}-{slug(picture.name)}-{side}"
