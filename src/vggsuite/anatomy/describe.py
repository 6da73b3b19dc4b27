"""What describe.py prints of a net, of two, and of the stacks of section 2.3."""

import shlex
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import torch
from torch import nn

from vggsuite import cli
from vggsuite.anatomy.config import DescribeConfig
from vggsuite.anatomy.layers import Layer, layers_of
from vggsuite.anatomy.memory import Step, parse_memory
from vggsuite.anatomy.report import MIB, Section, as_text, grouped, section_of_difference, section_of_layers
from vggsuite.checks import model_ranges, refuse_against_averages, refuse_idle, require_ranges
from vggsuite.composing import compose_command, to_config
from vggsuite.data.find import find_images
from vggsuite.errors import UserError, first_line
from vggsuite.files import write_atomically
from vggsuite.models.build import build_net
from vggsuite.models.factors import check_model
from vggsuite.models.net import ConvNet
from vggsuite.protocol import Precision

BOTH = (
    "model.width=",
    "model.num_pools=",
    "model.padding=",
)  # factors of a net and of the one that it is compared with
PRECISIONS = (Precision.fp32, Precision.bf16)
OF_NETS = ("model", "data", "recipe", "num_classes", "memory", "headroom")  # settings that a stack does not know
OF_STEP = ("batch_size", "momentum", "checkpoint_activations")  # of a recipe, on which the memory depends
PAPERS_SIDE = 56  # of the map that two stacks are compared on: that of conv3 in a crop of 224


def describe(config: DescribeConfig, name: str, words: Sequence[str]) -> None:
    """Print what `config` asks for, and write it to its `output`, if it names one.

    Args:
        config: not yet checked.
        name: of the net.
        words: that were typed, of which the net that it is compared with is made.

    Raises:
        UserError: for what is out of range, does not go together or changes nothing.
    """
    check(config)
    refuse_idle(words, idle(config))
    try:
        sections = of_stacks(config) if config.stack else of_nets(config, name, words)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise UserError(
            f"{' '.join(words)} is larger than any tensor ({first_line(error)}); make it smaller."
        ) from error
    print(as_text(sections))
    if config.output:
        file = Path(config.output).expanduser()
        try:
            write_atomically(file, as_text(sections, "github") + "\n")
        except OSError as error:
            raise UserError(
                f"output={file} cannot be written ({error.strerror}); type output=<file>.md in a folder that is there."
            ) from error
        print(f"\nsaved: {file}")


def check(config: DescribeConfig) -> None:
    """Raise a UserError for what is out of range or does not go together."""
    check_model(config.model)
    require_ranges(
        config,
        [
            *model_ranges(config.model),
            ("data.crop", "1 pixel or more", config.data.crop >= 1),
            ("channels", "1 or more", config.channels >= 1),
            ("num_classes", "1 or more, or null", config.num_classes is None or config.num_classes >= 1),
            ("headroom", "a share, 0 <= headroom < 1", 0 <= config.headroom < 1),
            ("recipe.batch_size", "1 or more", config.recipe.batch_size >= 1),
        ],
    )
    refuse_against_averages(config)
    if config.output and not Path(config.output).expanduser().parent.is_dir():
        raise UserError(f"output={config.output} cannot be written; type output=<file>.md in a folder that is there.")
    other = config.against
    if config.stack is not None:
        for setting, kernels in (("stack", config.stack), ("against", other)):
            if not is_stack(kernels):
                raise UserError(
                    f"{setting}={kernels} is no stack of convolutions; allowed with stack=...: a list of odd kernel "
                    f"sizes ({setting}=[3,3,3])."
                )
    elif other is not None and not isinstance(other, str):
        raise UserError(
            f"against={other} is no net; allowed: a model of conf/model/ (against=vgg_e), or what would be typed for "
            "it (\"against='model.kernel=7'\")."
        )


def idle(config: DescribeConfig) -> dict[str, str]:
    """The settings that change nothing of what is asked for, with what would have to be typed for them."""
    if config.stack is not None:
        return dict.fromkeys(OF_NETS, f"with stack={config.stack}; leave one of them out")
    found = {"channels": "of a net; allowed with a stack (stack=[3,3,3])"}
    others = (each.name for each in fields(config.recipe) if each.name not in OF_STEP)
    allowed = ", ".join(f"recipe.{name}" for name in OF_STEP)
    found |= {f"recipe.{name}": f"of what is told of a net; allowed: {allowed}" for name in others}
    if config.memory is None:
        found["headroom"] = "where no memory is named; type memory=80GB too"
    return found


def is_stack(kernels: object) -> bool:
    """Whether something is a list of kernel sizes, odd ones, which keep a map's size; none at all is one, too."""
    return kernels is None or (
        isinstance(kernels, list)
        and bool(kernels)
        and all(type(kernel) is int and kernel > 0 and kernel % 2 for kernel in kernels)
    )


def of_nets(config: DescribeConfig, name: str, words: Sequence[str]) -> list[Section]:
    """A net, what training it takes, and how another one differs."""
    num_classes = classes_of(config)
    factors = "".join(f", {word}" for word in words if word.startswith("model."))
    seen = f"of a {config.data.crop}x{config.data.crop} crop and {num_classes} classes"
    image = (3, config.data.crop, config.data.crop)
    layers = layers_of(on_meta(config, num_classes), config.data.crop)
    sections = [section_of_layers(f"{name}{factors}, {seen}:", layers, image=image), of_training(config, num_classes)]
    if config.against:
        with cli.composing():
            other = to_config(compose_command("describe", against(words, str(config.against)))[0], DescribeConfig)
        others = layers_of(on_meta(other, num_classes), other.data.crop)
        title = f"{config.against} beside {name}{factors}, {seen}; the layers in which they differ:"
        sections.append(section_of_difference(title, (name, str(config.against)), (layers, others)))
    return sections


def against(words: Sequence[str], other: str) -> list[str]:
    """What is typed for the net that is compared: of another model the same `words` but for the net's own factors, or
    the same and what `other` says of factors."""
    kept = [word for word in words if not word.startswith(("against=", "output="))]
    if "=" in other:
        return [*kept, *shlex.split(other)]
    own = [word for word in kept if word.startswith("model") and not word.startswith(BOTH)]
    return [*(word for word in kept if word not in own), f"model={other}"]


def classes_of(config: DescribeConfig) -> int:
    """How many classes the net tells apart: as typed, as the data set is to have, or as are found there."""
    return config.num_classes or config.data.expected.get("classes") or len(find_images(config.data).classes)


def make_net(config: DescribeConfig, num_classes: int) -> ConvNet:
    return build_net(config.model, num_classes=num_classes, crop=config.data.crop)


def on_meta(config: DescribeConfig, num_classes: int) -> ConvNet:
    """The net, its weights' shapes alone."""
    with torch.device("meta"):
        return make_net(config, num_classes)


def of_training(config: DescribeConfig, num_classes: int) -> Section:
    """The memory that training takes, and how many images fit into a given one."""
    recipe = config.recipe
    step = Step(partial(make_net, config, num_classes), config.data.crop, recipe)
    batches = sorted({1, recipe.batch_size})
    rows = [[str(p), *(f"{step.peak(size, p) / MIB:,.0f} MiB" for size in batches)] for p in PRECISIONS]
    headings = ["precision", *(f"batch of {size}" for size in batches)]
    remarks = [
        "Weights, gradients, momentum, and all that the backward pass needs, at the peak; a GPU's own workspaces "
        "come on top. bf16 is mixed precision: weights stay in fp32."
    ]
    if config.memory:
        memory = parse_memory(config.memory)
        headings.append(f"largest batch in {config.memory}")
        for row, precision in zip(rows, PRECISIONS, strict=True):
            row.append(grouped(step.largest_batch(memory * (1 - config.headroom), precision)))
        remarks.append(f"Of {config.memory}, {config.headroom:.0%} are left to those (headroom=...).")
    return Section("Memory of a training step, on one device:", headings, rows, remarks)


def of_stacks(config: DescribeConfig) -> list[Section]:
    """Stacks of convolutions of as many channels in as out, as section 2.3 compares them."""
    channels, sections, totals = config.channels, [], []
    for kernels in (config.stack, config.against):
        if kernels:
            with torch.device("meta"):
                net = nn.Sequential(*(nn.Conv2d(channels, channels, k, padding=k // 2, bias=False) for k in kernels))
            layers = layers_of(net, PAPERS_SIDE, channels=channels)
            title = f"Convolutions of {kernels} and C = {channels} channels, on a map of {PAPERS_SIDE}x{PAPERS_SIDE}:"
            sections.append(section_of_layers(title, layers, image=(channels, PAPERS_SIDE, PAPERS_SIDE)))
            totals.append((kernels, layers))
    sentences = [of_stack(kernels, layers, channels) for kernels, layers in totals]
    if len(totals) == 2:
        first, second = (sum(layer.parameters for layer in layers) for _, layers in totals)
        more = 100 * (second / first - 1)
        sentences.append(
            f"{totals[1][0]} has {abs(more):.0f}% {'more' if more >= 0 else 'fewer'} weights than {totals[0][0]}."
        )
    sections[-1] = Section(sections[-1].heading, sections[-1].headings, sections[-1].cells, sentences)
    return sections


def of_stack(kernels: Sequence[int], layers: Sequence[Layer], channels: int) -> str:
    """What a stack sees and has, in a sentence."""
    weights, size = sum(layer.parameters for layer in layers) / channels**2, layers[-1].receptive_field.size
    return (
        f"{list(kernels)} sees {size}x{size} pixels, with {weights:g} C^2 weights and {len(layers)} rectification(s)."
    )
