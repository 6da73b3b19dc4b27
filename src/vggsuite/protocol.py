"""How a net is tested on images larger than its crop: the protocols of sections 3.2, 4.2 and 4.3 as data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

Method = StrEnum("Method", ["dense", "multi_crop", "both", "centre_crop", "ten_crop"])
Average = StrEnum("Average", ["scores", "posteriors"])
Precision = StrEnum("Precision", {"auto": "auto", "fp32": "fp32", "bf16": "bf16"})

GRID_SIDE = 5  # multi-crop: a 5x5 regular grid
CROPS = {Method.dense: 1, Method.multi_crop: GRID_SIDE**2, Method.ten_crop: 5, Method.centre_crop: 1}


def default_flip(method: Method, *, trained: bool) -> bool:
    """Whether a method averages mirror images where nobody says so: as the training did; a centre crop stands alone."""
    return trained and method != Method.centre_crop


@dataclass(frozen=True)
class Protocol:
    """One way to turn an image into one vector of class posteriors.

    Attributes:
        method: "dense"; a mean over crops, "multi_crop", "ten_crop" or "centre_crop"; or "both", the mean of dense and
            multi-crop.
        scales: every Q in pixels, ascending; posteriors are averaged over them.
        flip: whether they are averaged with those of the mirrored image.
        average: of dense evaluation, what is averaged over places: the "scores" before the soft-max (the paper's
            words, read literally), or the "posteriors" after it.
        ceil_mode: of dense evaluation, whether pooling rounds a map's side up, as Caffe does, or down, as torch.
        precision: of the weights and activations: "fp32" or "bf16".
    """

    method: Method
    scales: tuple[int, ...]
    flip: bool
    average: Average = Average.scores
    ceil_mode: bool = False
    precision: Precision = Precision.fp32

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Protocol":
        """The protocol that a record tells."""
        return cls(**{**fields, "scales": tuple(fields["scales"])})

    @property
    def name(self) -> str:
        """The protocol in the characters of a folder's name: "dense-256-384-512-flip"."""
        words = {
            "flip": self.flip,
            "posteriors": self.average == Average.posteriors,
            "ceil": self.ceil_mode,
            "bf16": self.precision == Precision.bf16,
        }
        return "-".join([self.method, *map(str, self.scales), *(word for word, said in words.items() if said)])

    @property
    def num_views(self) -> int:
        """How many views of an image are averaged: whole images for dense evaluation, crops for the others."""
        if self.method == Method.both:
            return sum(part.num_views for part in self.parts())
        return CROPS[self.method] * len(self.scales) * (1 + self.flip)

    def parts(self) -> list["Protocol"]:
        """The protocols whose posteriors this one averages; none for one that takes forward passes of its own."""
        if self.method == Method.both:
            crops = replace(self, method=Method.multi_crop, average=Average.scores, ceil_mode=False)
            return [replace(self, method=Method.dense), crops]
        if len(self.scales) > 1:
            return [replace(self, scales=(scale,)) for scale in self.scales]
        return []
