"""What the fields of records hold, as far as a record that is read is asked for it; other keys may stand beside."""

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # as pydantic asks for below Python 3.12

from vggsuite.config import Activation, Family, Head, Padding, Selection
from vggsuite.protocol import Average, Method, Precision

# What is looked up in the file system, or among experiments: a path, and one whose last part is a folder's name.
Experiment = Annotated[str, Field(pattern=r"^[\w./+-]*$", max_length=250)]
Place = Annotated[str, Field(pattern=r"^(.*/)?[\w.@+=, -]{1,120}$", max_length=1000)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


class OfData(TypedDict):
    """The data set."""

    name: str
    fingerprint: str


class OfEnvironment(TypedDict):
    """Where and when it was made."""

    started: str
    git_commit: str | None
    git_dirty: bool


class OfAll(TypedDict):
    """What all records have in common."""

    data: OfData
    environment: OfEnvironment


class OfProtocol(TypedDict):
    """The fields of a `Protocol`, and no others."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    method: Method
    scales: list[int]
    flip: bool
    average: NotRequired[Average]
    ceil_mode: NotRequired[bool]
    precision: NotRequired[Precision]


class OfShared(TypedDict, total=False):
    """The fields of the protocols of an evaluation's members that they share."""

    method: Method
    scales: list[int]
    flip: bool


class OfFigure(TypedDict):
    """What a publisher measured."""

    method: Method
    scales: list[int]
    source: str
    top1: NotRequired[float]
    top5: NotRequired[float]


class OfErrors(TypedDict):
    """Errors in percent, with their intervals."""

    num_images: int
    confidence: float
    top1_error: float
    top1_interval: Pair
    top5_error: float
    top5_interval: Pair


class OfRunErrors(OfErrors):
    """Errors of a run, of its training images also where that was asked for."""

    train: NotRequired[OfErrors]


class OfTrainingData(OfData):
    """The data set of a run."""

    train_fingerprint: str
    crop: int


class OfModel(TypedDict):
    """The net of a run."""

    parameters: int
    multiply_adds: NotRequired[int]
    family: NotRequired[Family]
    head: NotRequired[Head]
    activation: NotRequired[Activation]
    padding: NotRequired[Padding]


class OfCost(TypedDict):
    """What a run took."""

    wall_seconds: float


class OfRun(TypedDict):
    """A run."""

    experiment: Experiment
    data: OfTrainingData
    environment: OfEnvironment
    model: OfModel
    cost: OfCost
    test: OfProtocol
    train_scale: Annotated[list[int], Field(min_length=2, max_length=2)]
    metrics: OfRunErrors


class OfEvaluatedData(OfData):
    """The data set of an evaluation."""

    num_classes: int


class OfMember(TypedDict):
    """An evaluation that another is the mean of."""

    name: Place
    started: str


class OfEvaluation(TypedDict):
    """An evaluation."""

    data: OfEvaluatedData
    environment: OfEnvironment
    protocol: OfShared
    metrics: OfErrors
    members: list[OfMember]
    published: list[OfFigure]


class OfScores(TypedDict):
    """A mean over splits, and how they spread."""

    mean: float
    sd: float | None
    interval: NotRequired[Pair]
    confidence: NotRequired[float]


class OfSplit(TypedDict):
    """One of the splits of a transfer."""

    score: float
    num_train: int
    num_test: int


class OfSplits(TypedDict):
    """The settings of the splits."""

    keep_per_class: int | None


class OfSource(TypedDict):
    """The settings of a transfer."""

    source: str


class OfTransferData(OfData):
    """The data set of a transfer."""

    num_images: int
    num_classes: int
    splits: OfSplits


class OfTransfer(TypedDict):
    """A transfer."""

    experiment: Experiment
    data: OfTransferData
    environment: OfEnvironment
    metrics: OfScores
    settings: OfSource
    splits: Annotated[list[OfSplit], Field(min_length=1)]


class OfBoxErrors(TypedDict):
    """Errors of boxes in percent; those of guesses are missing where none were made."""

    num_images: int
    confidence: float
    gt_class_error: float
    gt_class_interval: Pair
    mean_box_gt_class_error: float
    top1_error: NotRequired[float]
    top1_interval: NotRequired[Pair]
    mean_box_top1_error: NotRequired[float]
    top5_error: NotRequired[float]
    top5_interval: NotRequired[Pair]
    mean_box_top5_error: NotRequired[float]


class OfBoxes(OfData):
    """The data set of a test of boxes."""

    boxes: str
    num_classes: int
    counts: dict[str, int]


class OfLocalisation(TypedDict):
    """A test of boxes."""

    data: OfBoxes
    environment: OfEnvironment
    metrics: OfBoxErrors


class OfTestFolder(TypedDict):
    """Where the test lies that ended a training."""

    folder: Place


class OfSelection(TypedDict):
    """By what a checkpoint was chosen."""

    by: Selection


class OfOrigin(TypedDict):
    """The run that a training began as."""

    run: str
    sha256: str


class OfMeanBox(TypedDict):
    """The boxes of a training."""

    mean_box: Annotated[list[float], Field(min_length=4, max_length=4)]


class OfLocaliser(OfAll):
    """The training of a box regressor."""

    boxes: OfMeanBox
    init: OfOrigin
    selection: OfSelection
    test: OfTestFolder
