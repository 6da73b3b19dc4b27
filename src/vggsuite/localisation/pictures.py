"""What a box regressor says, drawn on pictures."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from vggsuite.data.images import decode, naming_unreadable, read_image
from vggsuite.devices import check_devices, torch_devices
from vggsuite.errors import UserError
from vggsuite.evaluation.dense import dense_posteriors
from vggsuite.evaluation.inference import predict, prepare
from vggsuite.evaluation.run import Subject
from vggsuite.figures.of_images import pixels_at
from vggsuite.localisation.answers import best_box, merged_boxes
from vggsuite.localisation.candidates import Candidates, OfClasses, PlacesBoxes, PlacesPosteriors, candidates_of, joined
from vggsuite.localisation.config import BoxProtocol, ShowConfig
from vggsuite.localisation.evaluation import classifier_subject, find_boxed, find_regressor
from vggsuite.localisation.images import BoxedImages
from vggsuite.localisation.metrics import largest_overlaps
from vggsuite.localisation.regressor import Regressor
from vggsuite.localisation.settings import merging_of, test_scales
from vggsuite.naming import slug
from vggsuite.protocol import Precision

INCHES = 3.0  # of a panel
COLUMNS = 4
MOST_IMAGES = 64  # in one picture
BEFORE, MERGED, ANSWER, TRUTH = "#9ecae1", "#3182bd", "#e6550d", "#31a354"


@dataclass(frozen=True)
class Picture:
    """An image to be drawn on, and if it is a test image its class and its true boxes [M, 4]."""

    name: str
    image: Image.Image
    label: int | None = None
    truth: np.ndarray | None = None


def draw(config: ShowConfig) -> Path:
    """Draw what the box regressor of `config` says of its images, and return the PNG's path.

    Raises:
        UserError: for what is no image, or cannot be written.
    """
    if config.protocol == BoxProtocol.ground_truth:
        raise UserError(
            f"protocol={config.protocol} has one box, of a class that is given; show draws protocol=dense or "
            "protocol=crops."
        )
    if config.precision != Precision.fp32:
        raise UserError(f"precision={config.precision} is for tests of many images; show draws precision=fp32.")
    check_devices(config.trainer)
    regressor = find_regressor(config)
    asked = config.image if isinstance(config.image, list) else [config.image]
    boxed = find_boxed(config, regressor) if any(is_of_data(image, config) for image in asked) else None
    pictures = find_pictures(config.image, boxed)
    classifier = classifier_subject(config, regressor)
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(INCHES * columns, INCHES * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels:
        axes.set_axis_off()
    for axes, picture in zip(panels, pictures, strict=False):
        draw_panel(axes, picture, config, regressor, classifier)
    figure.legend(handles=legend(), loc="outside lower center", ncols=4, frameon=False)
    file = Path(config.output) if config.output else picture_file(regressor.subject.folder, config, pictures)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=120)
    except (OSError, ValueError) as error:
        raise UserError(f"output={file} cannot be written ({error}); type output=<file>.png.") from error
    return file


def legend() -> list[Rectangle]:
    """What the colours mean."""
    told = {"box of a place": BEFORE, "merged": MERGED, "answer": ANSWER, "truth": TRUTH}
    return [Rectangle((0, 0), 1, 1, fill=False, edgecolor=colour, label=text) for text, colour in told.items()]


def picture_file(folder: Path, config: ShowConfig, pictures: Sequence[Picture]) -> Path:
    """Where a picture is left that was not given a name."""
    names = "\n".join(picture.name for picture in pictures)
    told = slug(PurePath(names).stem) if len(pictures) == 1 else hashlib.sha256(names.encode()).hexdigest()[:8]
    return folder / "pictures" / f"{'-'.join(['boxes', *map(str, test_scales(config)), told])}.png"


def is_of_data(image: object, config: ShowConfig) -> bool:
    """Whether an image that is asked for is, or may be, of the data set, whose boxes are then drawn, too."""
    file = Path(str(image))
    return not file.is_file() or file.resolve().is_relative_to(Path(config.data.root).expanduser().resolve())


def find_pictures(asked: object, boxed: BoxedImages | None) -> list[Picture]:
    """The images that are asked for: files, names of test images, or a number of these, evenly spread; `boxed` are the
    test images, None where none is asked for.

    Raises:
        UserError: for anything else.
    """
    names = [PurePath(name).stem for name in boxed.samples.names()] if boxed else []
    if boxed and isinstance(asked, int) and not isinstance(asked, bool):
        if not 1 <= asked <= min(MOST_IMAGES, len(names)):
            raise UserError(f"image={asked} is no number of test images; allowed: 1 to {min(MOST_IMAGES, len(names))}.")
        places = np.linspace(0, len(names) - 1, asked).round().astype(int)
        return [test_picture(int(place), boxed) for place in places]
    found = []
    for each in asked if isinstance(asked, list) else [asked]:
        file = Path(str(each))
        known = names.index(file.stem) if file.stem in names else None
        if boxed and known is not None and is_location(file, boxed.samples.location(known)):
            found.append(test_picture(known, boxed))
        elif file.is_file():
            found.append(Picture(str(file.absolute()), read_image(file)))
        else:
            raise UserError(
                f"image={each} is neither a file nor a test image with boxes; type image=<file>, or "
                "image=8 for eight of them."
            )
    if not 1 <= len(found) <= MOST_IMAGES:
        raise UserError(f"image={asked} is {len(found)} images; allowed: 1 to {MOST_IMAGES}.")
    return found


def is_location(file: Path, location: str) -> bool:
    """Whether what was typed is the test image there: its name alone, or its file."""
    return not file.is_file() or (Path(location).is_file() and file.samefile(location))


def test_picture(index: int, boxed: BoxedImages) -> Picture:
    """A test image with boxes."""
    location = boxed.samples.location(index)
    with naming_unreadable(location), boxed.samples.open(index) as file:
        image = decode(file)
    return Picture(location, image, int(boxed.labels[index]), boxed.boxes.of(boxed.samples.entries[index]))


@torch.inference_mode()
def draw_panel(axes: Axes, picture: Picture, config: ShowConfig, regressor: Regressor, classifier: Subject) -> None:
    """Draw one picture, with the boxes of the best class by the classification net."""
    classes = regressor.subject.classes
    assert classes
    best, posterior = best_class(classifier, picture, config)
    candidates = joined(
        [candidates_at(side, best, picture, config, regressor, classifier) for side in test_scales(config)]
    )
    merged = merged_boxes(candidates[0], 0, merging_of(config.merging, config.protocol))
    answer = best_box(merged)
    axes.imshow(picture.image)
    for edges in candidates[0].edges[:, 0]:
        add_box(axes, edges, BEFORE, width=0.5)
    for edges in merged.edges:
        add_box(axes, edges, MERGED, width=1.2)
    add_box(axes, answer, ANSWER, width=2.5)
    told = f"{classes[best]} {posterior:.0%}"
    if picture.truth is not None and picture.label is not None:
        for edges in picture.truth:
            add_box(axes, edges, TRUTH, width=1.5, dashed=True)
        overlap = largest_overlaps(answer[None, None], picture.truth[None])[0, 0]
        told += f" (truth {classes[picture.label]}), IoU {overlap:.2f}"
    axes.set_title(told, fontsize=9)


def add_box(axes: Axes, edges: np.ndarray, colour: str, *, width: float, dashed: bool = False) -> None:
    left, top, right, bottom = edges
    style = "--" if dashed else "-"
    axes.add_patch(
        Rectangle(
            (left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width, linestyle=style
        )
    )


def best_class(classifier: Subject, picture: Picture, config: ShowConfig) -> tuple[int, float]:
    """The class that the classification net takes a picture for, over all places of the first scale, and its
    posterior."""
    side = test_scales(config)[0]
    device = torch_devices(config.trainer)[0]
    classifier.net.to(device).eval()
    images = classifier.preprocessing.to(device)(pixels_at(picture.image, side).to(device))
    posterior, best = dense_posteriors(classifier.net, images)[0].max(dim=0)
    return int(best), float(posterior)


def candidates_at(
    side: int, label: int, picture: Picture, config: ShowConfig, regressor: Regressor, classifier: Subject
) -> list[Candidates]:
    """The candidate boxes of one class at one scale."""
    classes = torch.tensor([[label]])
    crops = config.protocol == BoxProtocol.crops
    boxes = computed_of(PlacesBoxes(side, classes, crops=crops), regressor.subject, picture, config)
    scores = computed_of(PlacesPosteriors(side, classes, crops=crops), classifier, picture, config)
    return candidates_of([boxes], [scores], [picture.image.size], side, 1)


def computed_of(forward: OfClasses, subject: Subject, picture: Picture, config: ShowConfig) -> np.ndarray:
    """What `forward` computes of a picture."""
    device = torch_devices(config.trainer)[0]
    prepare(subject.net, forward, device)
    pixels = pixels_at(picture.image, forward.side).to(device)
    found = predict(subject.net, subject.preprocessing.to(device), forward, pixels, torch.zeros(1, dtype=torch.int64))
    return found[0].cpu().numpy()
