"""The typed schemas of the files in conf/.

Types and words are checked by Hydra while it composes, before any job of a sweep starts; `vggsuite.checks` checks
ranges and what goes together.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from vggsuite.protocol import Average, Method, Precision

PROJECT_ROOT = Path(__file__).resolve().parents[2]

Layout = StrEnum(
    "Layout",
    "digits folder imagenet letters letters_voc letters_action caltech101 caltech256 voc2007 voc2012 voc2012_action",
)
# An image may have several classes, or be of one person among several; nets are not trained on them.
MULTI_LABEL = (Layout.voc2007, Layout.voc2012, Layout.voc2012_action, Layout.letters_voc, Layout.letters_action)
Activation = StrEnum("Activation", ["relu", "leaky_relu", "prelu"])
Combine = StrEnum("Combine", ["average", "stack"])
Decoder = StrEnum("Decoder", ["turbo", "pillow"])
Distribution = StrEnum("Distribution", ["normal", "glorot", "kaiming"])
Family = StrEnum("Family", ["vgg", "alexnet", "googlenet", "resnet"])
Features = StrEnum("Features", ["trained", "random", "pixels"])
Head = StrEnum("Head", ["fc", "global_average_pool"])
Layers = StrEnum("Layers", ["none", "net_a", "all_but_last", "all"])
Metric = StrEnum("Metric", ["mean_class_recall", "average_precision", "average_precision_11_points"])
Mode = StrEnum("Mode", ["svm", "finetune"])
Padding = StrEnum("Padding", ["zeros", "replicate"])
PreprocessingWord = StrEnum("PreprocessingWord", ["paper", "torchvision", "oxford", "inception"])
Region = StrEnum("Region", ["image", "box"])
Resume = StrEnum("Resume", ["auto", "never"])
Selection = StrEnum("Selection", ["held_out", "paper"])


@dataclass
class ModelConfig:
    """The factors of a net; `vggsuite.models.factors` has those of each family, and what they mean is told by its net:
    `VGG`, `AlexNet`, `GoogLeNet` and `ResNet` in `vggsuite.models`."""

    depth: int = MISSING
    family: Family = Family.vgg
    lrn: bool = False
    conv1x1: bool = False
    kernel: int = 3
    width: float = 1.0
    batch_norm: bool = False
    activation: Activation = Activation.relu
    shortcuts: bool = False
    head: Head = Head.fc
    towers: int = 1
    auxiliary: float = 0.0
    dropout: float = 0.5
    num_pools: int = 5
    padding: Padding = Padding.zeros


@dataclass
class SplitsConfig:
    """How the images of a transfer are split. With `train_per_class`, at random: `number` times, so many training
    images of each class, and up to `test_per_class` of its others to test on (null: all). Of the training images
    `keep_per_class` are used (null: all), by which learning curves are drawn. A training (train.py) uses the split
    `chosen`."""

    number: int = 1
    train_per_class: int | None = None
    test_per_class: int | None = None
    keep_per_class: int | None = None
    seed: int = 0
    chosen: int = 0


@dataclass
class DataConfig:
    """Where the images are and how training sees them; `skip` is the report of check_data.py that names those to leave
    out."""

    name: str = MISSING
    layout: Layout = MISSING
    root: str = MISSING
    crop: int = 224
    scale: Any = "single"
    mean: list[float] = MISSING
    std: list[float] | None = None
    flip: bool = True
    colour_std: float = 0.1
    held_out: float = MISSING
    val_fraction: float = 0.0
    decoder: Decoder = Decoder.turbo
    num_workers: int | None = None
    shuffle_window: int = 50_000
    expected: dict[str, int] = field(default_factory=dict)
    skip: str | None = None
    splits: SplitsConfig = field(default_factory=SplitsConfig)


@dataclass
class InitConfig:
    """How weights start: drawn at random, then some or all layers copied from the finished run `run`, which another
    process may take `wait` minutes to begin, and is then waited for; or from published `weights`, whose pixels were
    preprocessed as `preprocessing` says (null: as is known of them)."""

    distribution: Distribution = MISSING
    std: float = 0.01
    layers: Layers = Layers.none
    run: str | None = None
    wait: float = 0.0
    weights: str | None = None
    preprocessing: PreprocessingWord | None = None


@dataclass
class FineTuneConfig:
    """What the recipe changes for a run that starts from a finished one (S = 384, multi)."""

    lr: float = MISSING
    epochs: int = MISSING


@dataclass
class RecipeConfig:
    """The training recipe (section 3.1). `freeze` names the layers that stay as they were copied: none, conv (all
    convolutions), all_but_last, or a list ([conv1_1,fc6]); `lr_copied` is the learning rate of the other copied ones
    (null: lr). `skip_non_finite` leaves out steps whose loss or gradient is no number, with which a run ends else; a
    GPU then waits in every step."""

    epochs: int = MISSING
    batch_size: int = MISSING
    lr: float = MISSING
    lr_copied: float | None = None
    freeze: Any = "none"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    num_drops: int = 3
    patience: int = MISSING
    min_gain: float = MISSING
    distribution: Distribution = MISSING
    selection: Selection = Selection.held_out
    precision: Precision = Precision.auto
    channels_last: bool = True
    compile: bool = False
    checkpoint_activations: bool = False
    skip_non_finite: bool = False
    fine_tune: FineTuneConfig = field(default_factory=FineTuneConfig)


@dataclass
class TestConfig:
    """The dense evaluation that ends a run: Q = `scale`, or what goes with S where it is null (section 4.1); with
    `training_error` also of the images that the net was trained on. The net is given as many pixels at a time as
    `batch_size` crops have."""

    scale: int | None = None
    training_error: bool = False
    average: Average = Average.scores
    batch_size: int = 64


@dataclass
class PathsConfig:
    """The only place with paths."""

    root: str = MISSING
    datasets: str = MISSING
    runs: str = MISSING


@dataclass
class TrainConfig:
    """All of a training."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    init: InitConfig = field(default_factory=InitConfig)
    test: TestConfig = field(default_factory=TestConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    paths: PathsConfig = field(default_factory=PathsConfig)
    seed: int = 0
    experiment: str = MISSING
    variant: str = MISSING
    overrides: list[str] = MISSING
    resume: Resume = Resume.auto
    save_minutes: float = 10.0
    rerun: bool = False


@dataclass
class RepeatableConfig(TrainConfig):
    """The root of `conf/train.yaml`: a training, or the finished run that is to be repeated."""

    repeat: str | None = None


@dataclass
class OnRunsConfig:
    """What every command knows that works on finished runs: what was typed beside their experiment, if anything, and
    where they lie."""

    overrides: str = ""
    variant: str = MISSING
    paths: PathsConfig = field(default_factory=PathsConfig)


@dataclass
class EvaluateConfig(OnRunsConfig):
    """The root of `conf/evaluate.yaml`."""

    run: str | None = None
    weights: str | None = None
    preprocessing: PreprocessingWord | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    protocol: Method = Method.dense
    scales: Any = "single"
    flip: bool | None = None
    average: Average = Average.scores
    ceil_mode: bool = False
    precision: Precision = Precision.fp32
    batch_size: int = 64
    shard_size: int = 1000
    heatmap: str | None = None
    heatmap_class: str | None = None
    rerun: bool = False
    experiment: str | None = None
    seed: int = 0


@dataclass
class FuseConfig(OnRunsConfig):
    """The root of `conf/fuse.yaml`."""

    members: list[str] = field(default_factory=list)
    protocol: Method = Method.dense
    scales: Any = "single"
    data: DataConfig = field(default_factory=DataConfig)
    output: str | None = None
    rerun: bool = False
    experiment: str | None = None
    seed: int = 0


@dataclass
class TransferConfig(OnRunsConfig):
    """The root of `conf/transfer.yaml`."""

    run: str | None = None
    weights: str | None = None
    nets: list[str] = field(default_factory=list)
    source: str = MISSING
    preprocessing: PreprocessingWord | None = None
    model: ModelConfig = field(default_factory=lambda: ModelConfig(depth=0))  # of `weights`; 0: not told
    data: DataConfig = field(default_factory=DataConfig)
    mode: Mode = Mode.svm
    features: Features = Features.trained
    scales: Any = MISSING
    combine: Combine = MISSING
    regions: list[Region] = MISSING
    relu: bool = True
    flip: bool | None = None
    metric: Metric = MISSING
    c_grid: list[float] = MISSING
    precision: Precision = Precision.fp32
    batch_size: int = 64
    shard_size: int = 1000
    freeze: Any = "all_but_last"
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    save_minutes: float = 10.0
    rerun: bool = False
    experiment: str = MISSING
    typed: str = MISSING
    seed: int = 0


@dataclass
class TableSettings(OnRunsConfig):
    """What tables are printed of, and where to; `transfer_to` are the data sets of Tables 11 and 12
    (null: all)."""

    transfer_to: list[str] | None = None
    data: DataConfig = field(default_factory=DataConfig)
    confidence: float = 0.95
    output: str = MISSING


@dataclass
class TableConfig(TableSettings):
    """The root of `conf/table.yaml`."""

    table: Any = 3


@dataclass
class ReportConfig(TableSettings):
    """The root of `conf/report.yaml`."""


@dataclass
class AblationConfig(TableSettings):
    """The root of `conf/ablation.yaml`."""

    tables: Any = 3
    seeds: Any = 1
    dry_run: bool = False
    multiply_adds_per_second: float | None = None


def uses_wandb(logger: dict[str, Any]) -> bool:
    """Whether the logger that these settings describe is W&B's."""
    return str(logger.get("_target_", "")).endswith("WandbLogger")
