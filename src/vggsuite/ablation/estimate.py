"""How much work tasks are, in multiply-adds, and how long a device may take, by what finished runs took."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import NamedTuple

import torch
from torch import nn

from vggsuite.ablation.tasks import Task
from vggsuite.composing import to_config
from vggsuite.config import Selection, TrainConfig
from vggsuite.data.find import find_images
from vggsuite.data.scale import parse_scale, parse_test_scales
from vggsuite.evaluation.dense import score_map
from vggsuite.finished_run import net_of_record
from vggsuite.localisation.config import LocaliserConfig
from vggsuite.models.build import build_net
from vggsuite.models.net import ConvNet, multiply_adds
from vggsuite.protocol import CROPS, Method
from vggsuite.results.environment import hardware
from vggsuite.results.record import Record

TRAINING = 3  # a forward pass, and in the backward pass the gradients of activations and of weights
PROBE_SECONDS = 1.0
NOT_ESTIMATED = ("transfer.py", "localise.py")


class Counts(NamedTuple):
    """The numbers of a data set."""

    classes: int
    train: int
    val: int


@dataclass(frozen=True)
class Rate:
    """Multiply-adds a second of one device (None where nothing tells), and what tells."""

    value: float | None
    told: str


def work(tasks: Sequence[Task]) -> list[float | None]:
    """Multiply-adds of each task, of one that is finished too; images are taken as square. Means of what was saved,
    fusions among them, are none; transfers and tests of boxes are not estimated (None)."""
    configs = {task.makes[0]: to_config(task.cfg, TrainConfig) for task in tasks if task.script == "train.py"}
    counts = count(next(iter(configs.values())))
    configs |= {task.makes[0]: to_config(task.cfg, LocaliserConfig) for task in tasks if task.words[0] == "train"}
    return [
        work_of_training(configs[task.makes[0]], counts)
        if task.makes[0] in configs and len(task.makes) == 1
        else work_of_evaluation(task, configs, counts)
        for task in tasks
    ]


def count(config: TrainConfig) -> Counts:
    """The numbers of images that the data set has, or ought to have."""
    expected = config.data.expected
    if {"classes", "train", "val"} <= expected.keys():
        return Counts(expected["classes"], expected["train"], expected["val"])
    images = find_images(config.data)
    return Counts(len(images.classes), len(images.train), len(images.val))


def work_of_training(config: TrainConfig, counts: Counts) -> float:
    """Multiply-adds of a training, with the evaluation that ends it."""
    net = net_of(config, counts)
    share = 1 if config.recipe.selection == Selection.paper else 1 - config.data.held_out
    training = TRAINING * multiply_adds(net, config.data.crop) * counts.train * share * config.recipe.epochs
    side = config.test.scale or parse_scale(config.data.scale, config.data.crop).middle
    tested = counts.val + counts.train * share * config.test.training_error
    return training + tested * (1 + config.data.flip) * multiply_adds(partial(score_map, net), side)


def work_of_evaluation(task: Task, configs: Mapping[str, TrainConfig], counts: Counts) -> float | None:
    """Multiply-adds of an evaluation or a fusion; None of a transfer, or of a test of boxes."""
    if task.script in NOT_ESTIMATED:
        return None
    if task.script != "evaluate.py" or task.cfg.protocol == Method.both:
        return 0.0
    config = configs[task.cfg.run]
    net, crop = net_of(config, counts), config.data.crop
    scales = parse_test_scales(task.cfg.scales, parse_scale(config.data.scale, crop), crop)
    if task.cfg.protocol == Method.dense:
        of_image = sum(multiply_adds(partial(score_map, net), side) for side in scales)
    else:
        of_image = CROPS[task.cfg.protocol] * len(scales) * multiply_adds(net, crop)
    return of_image * (1 + config.data.flip) * counts.val


def net_of(config: TrainConfig, counts: Counts) -> ConvNet:
    with torch.device("meta"):
        return build_net(config.model, num_classes=counts.classes, crop=config.data.crop).eval()


def rate(records: Iterable[Record], *, gpu: bool) -> Rate:
    """How fast one device of a kind works: the median of the trainings recorded on this machine, else on others', else
    as a convolution timed here."""
    alike = [record for record in records if bool(record.environment["hardware"]["gpu"]) == gpu]
    here = [
        record for record in alike if record.environment["hardware"] == hardware(gpu=gpu and torch.cuda.is_available())
    ]
    if chosen := here or alike:
        where = "this machine" if here else "other machines"
        return Rate(median(map(rate_of_record, chosen)), f"the median of {len(chosen)} recorded trainings on {where}")
    if gpu and not torch.cuda.is_available():
        return Rate(None, "no training on one is recorded, and none is here to be timed")
    return Rate(
        probe("cuda" if gpu else "cpu"), "as a 3x3 convolution of 256 channels does, timed now; a net is slower"
    )


def rate_of_record(record: Record) -> float:
    """Multiply-adds a second of one device in a training that has finished, reading and validating included."""
    with torch.device("meta"):
        net = net_of_record(record).eval()
    images = record.cost["epochs"] * record.data["num_train"]
    done = TRAINING * multiply_adds(net, record.data["crop"]) * images
    return done / (record.cost["wall_seconds"] * record.cost["devices"])


def probe(device: str) -> float:
    """Multiply-adds a second of the passes of one layer."""
    layer = nn.Conv2d(256, 256, 3, padding=1, device=device)
    images = torch.randn(32, 256, 28, 28, device=device, requires_grad=True)
    done, started = 0.0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < PROBE_SECONDS:
        layer(images).sum().backward()
        if device == "cuda":
            torch.cuda.synchronize()
        done += TRAINING * layer.weight.numel() * 32 * 28 * 28
    return done / seconds
