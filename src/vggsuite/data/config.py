"""The schemas of boxes, and of the commands that look after a data set: packing, and checking."""

from dataclasses import dataclass, field
from enum import StrEnum

from omegaconf import MISSING

from vggsuite.config import DataConfig, PathsConfig

Cut = StrEnum("Cut", ["clip", "keep", "redraw"])
Faulty = StrEnum("Faulty", ["refuse", "mend"])


class Problem(StrEnum):
    """What may be wrong with an image: no decoder reads it; its data end too early; Pillow reads it, and libjpeg-turbo
    says that it is damaged; its name's ending is another format's; its colours are a printer's; it is small; it is
    there twice."""

    unreadable = "unreadable"
    truncated = "truncated"
    damaged = "damaged"
    wrong_extension = "wrong_extension"
    cmyk = "cmyk"
    tiny = "tiny"
    duplicate = "duplicate"


@dataclass
class BoxesConfig:
    """Where box annotations are (null: below data.root), what is done with faulty ones, and what becomes of a target
    that a training crop cuts (appendix A says nothing of it): clip trains on the part that the crop shows, keep on the
    whole box, redraw takes crops that show all of it, as far as 20 draws go. A crop that shows nothing of it is drawn
    anew, as often."""

    root: str | None = None
    faulty: Faulty = Faulty.refuse
    cut: Cut = Cut.keep


@dataclass
class PackConfig:
    """The root of `conf/pack.yaml`."""

    data: DataConfig = field(default_factory=DataConfig)
    output: str = MISSING
    images_per_shard: int = 2000
    smallest_side: int | None = None
    quality: int = 95
    num_threads: int | None = None
    verify: bool = False
    paths: PathsConfig = field(default_factory=PathsConfig)


@dataclass
class CheckDataConfig:
    """The root of `conf/check_data.yaml`."""

    data: DataConfig = field(default_factory=DataConfig)
    output: str = MISSING
    num_workers: int | None = None
    smallest: int = 32
    skip: list[Problem] = field(default_factory=lambda: [Problem.unreadable, Problem.truncated])
    paths: PathsConfig = field(default_factory=PathsConfig)
