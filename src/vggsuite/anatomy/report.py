"""Nets layer by layer, and against each other, as text and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from vggsuite.anatomy.layers import Layer

MIB = 2**20
BYTES = 4  # of a number in fp32
HEADINGS = (*("layer", "what", "output", "numbers", "MiB", "parameters", "multiply-adds", "receptive field", "stride"),)


@dataclass(frozen=True)
class Section:
    """A table with a sentence above it, and some below."""

    heading: str
    headings: Sequence[str]
    cells: Sequence[Sequence[str]]
    remarks: Sequence[str] = ()


def as_text(sections: Sequence[Section], style: str = "simple") -> str:
    """The sections in one of tabulate's styles."""
    return "\n\n".join(
        part
        for section in sections
        for part in (
            section.heading,
            tabulate(
                section.cells,
                section.headings,
                tablefmt=style,
                disable_numparse=True,
                colalign=("left", "left", *["right"] * (len(section.headings) - 2)),
            ),
            *section.remarks,
        )
    )


def grouped(number: float) -> str:
    """A whole number with commas."""
    return f"{number:,.0f}"


def section_of_layers(title: str, layers: Sequence[Layer], *, image: tuple[int, ...]) -> Section:
    """A net, layer by layer.

    Args:
        title: of the net, and of what it sees.
        layers: its own.
        image: the shape of what it sees, [channels, height, width].
    """
    size = image[0] * image[1] * image[2]
    rows = [["image", "", shape_text(image), grouped(size), mib(size), "", "", "1", "1"]]
    rows += [
        [
            *(layer.name, layer.kind, shape_text(layer.shape), grouped(layer.numbers), mib(layer.numbers)),
            *(grouped(count) if count else "" for count in (layer.parameters, layer.multiply_adds)),
            *(grouped(layer.receptive_field.size), str(layer.receptive_field.stride or "")),
        ]
        for layer in layers
    ]
    numbers = size + sum(layer.numbers for layer in layers)
    totals = (sum(layer.parameters for layer in layers), sum(layer.multiply_adds for layer in layers))
    rows.append(["total", "", "", grouped(numbers), mib(numbers), *map(grouped, totals), "", ""])
    return Section(title, HEADINGS, rows)


def section_of_difference(
    title: str, names: tuple[str, str], sides: tuple[Sequence[Layer], Sequence[Layer]]
) -> Section:
    """Two nets beside each other: the layers in which they differ, and the totals.

    Args:
        title: what is compared.
        names: of the nets.
        sides: their layers.
    """
    by_name = [{layer.name: layer for layer in layers} for layers in sides]
    rows = []
    for name in in_order(*map(list, by_name)):
        first, second = (layers.get(name) for layers in by_name)
        if not first or not second or costs(first) != costs(second):
            rows.append(
                [
                    *(name, what(first, second)),
                    *compared(*(layer.parameters if layer else 0 for layer in (first, second))),
                    *compared(*(layer.multiply_adds if layer else 0 for layer in (first, second))),
                ]
            )
    totals = [
        compared(*(sum(getattr(layer, count) for layer in layers) for layers in sides))
        for count in ("parameters", "multiply_adds")
    ]
    rows.append(["total", "", *totals[0], *totals[1]])
    columns = (*names, f"{names[1]} - {names[0]}")
    headings = [f"{count}: {column}" for count in ("parameters", "multiply-adds") for column in columns]
    return Section(title, ["layer", " | ".join(names), *headings], rows)


def costs(layer: Layer) -> tuple[object, ...]:
    """What tells a layer from another net's of the same name, whatever it sees."""
    return layer.kind, layer.shape, layer.parameters, layer.multiply_adds


def in_order(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """The names of both, each after those that it comes after."""
    names: list[str] = list(first)
    place = 0
    for name in second:
        if name in names:
            place = names.index(name) + 1
        else:
            names.insert(place, name)
            place += 1
    return names


def compared(first: int, second: int) -> list[str]:
    """Two counts, and by how much the second is larger."""
    return [grouped(first), grouped(second), f"{second - first:+,}"]


def what(first: Layer | None, second: Layer | None) -> str:
    """What a layer does in either net."""
    kinds = [f"{layer.kind} {shape_text(layer.shape)}" if layer else "-" for layer in (first, second)]
    return " | ".join(kinds)


def shape_text(shape: Sequence[int]) -> str:
    """ "64 x 224 x 224"."""
    return " x ".join(map(str, shape))


def mib(numbers: int) -> str:
    """So many numbers of fp32, in MiB."""
    return f"{numbers * BYTES / MIB:.2f}"
