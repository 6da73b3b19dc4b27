"""The typed schemas of conf/localise_*.yaml."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from vggsuite.config import DataConfig, ModelConfig, OnRunsConfig, TrainConfig
from vggsuite.data.config import BoxesConfig
from vggsuite.protocol import Precision

Regression = StrEnum("Regression", ["scr", "pcr"])
Finetune = StrEnum("Finetune", ["all", "fc"])
TestSplit = StrEnum("TestSplit", ["val", "held_out"])
BoxProtocol = StrEnum("BoxProtocol", ["ground_truth", "dense", "crops"])
Match = StrEnum("Match", ["diou", "iou", "overfeat"])
Averaging = StrEnum("Averaging", ["equal", "weighted"])


@dataclass
class LocaliserConfig(TrainConfig):
    """The root of `conf/localise_train.yaml`: a training, of boxes. scr regresses one box for all classes, pcr one for
    each; `finetune` says whether all layers learn, or the FC layers alone; `scale` is S (null: that of the
    classification run); `from_overrides` is what was typed beside the experiment when that run was trained, if
    anything."""

    scale: Any = None
    from_overrides: str = ""
    regression: Regression = Regression.pcr
    finetune: Finetune = Finetune.all
    boxes: BoxesConfig = field(default_factory=BoxesConfig)


@dataclass
class MergingConfig:
    """The open points of OverFeat's greedy merging; see `vggsuite.localisation.merging`. `threshold` is the largest
    match score of boxes that are merged (null: what was best on held-out digits, docs/localisation.md)."""

    match: Match = Match.diou
    threshold: float | None = None
    averaging: Averaging = Averaging.weighted


@dataclass
class BoxTestConfig(OnRunsConfig):
    """What the tests of box regressors share. `labels` is the folder of the evaluation, or fusion, whose five best
    classes are the guesses (null: of the run's own classification net)."""

    data: DataConfig = field(default_factory=DataConfig)
    labels: str | None = None
    merging: MergingConfig = field(default_factory=MergingConfig)
    output: str | None = None
    rerun: bool = False
    experiment: str | None = None
    seed: int = 0


@dataclass
class BoxEvaluateConfig(BoxTestConfig):
    """The root of `conf/localise_evaluate.yaml`. `classifier` is the classification run that rates boxes (null: the one
    that the box regressor began as). split=held_out tests on the training images that were held out, given the class:
    for choices that are not to be made on the reported images."""

    run: str = MISSING
    classifier: str | None = None
    protocol: BoxProtocol = BoxProtocol.dense
    scales: Any = "single"
    split: TestSplit = TestSplit.val
    boxes: BoxesConfig = field(default_factory=BoxesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    precision: Precision = Precision.fp32
    batch_size: int = 64
    shard_size: int = 1000


@dataclass
class BoxFuseConfig(BoxTestConfig):
    """The root of `conf/localise_fuse.yaml`."""

    members: list[str] = field(default_factory=list)


@dataclass
class ShowConfig(BoxEvaluateConfig):
    """The root of `conf/localise_show.yaml`. `image` is a file, a test image's name, a list of them, or how many test
    images are drawn."""

    image: Any = MISSING
