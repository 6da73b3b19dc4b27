"""The nets whose features are transferred, and the settings of a transfer."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import TINY, call_command, smooth_picture
from tests.models.test_vgg import NETS
from tests.models.test_weights import make_net, write_torch
from vggsuite.config import (
    DataConfig,
    Features,
    Layout,
    Metric,
    Mode,
    ModelConfig,
    PathsConfig,
    PreprocessingWord,
    Region,
    SplitsConfig,
    TransferConfig,
)
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.errors import UserError
from vggsuite.finished_run import load_checkpoint
from vggsuite.models.factors import name_of
from vggsuite.models.vgg import VGG
from vggsuite.models.weights import PREPROCESSINGS
from vggsuite.protocol import Precision
from vggsuite.transfer.nets import find_nets
from vggsuite.transfer.settings import FACTORS, SCALES, check, descriptor_scales, source_run

FINISHED = {"a": "table3/a/seed_0", "d": "table3/d_multi/seed_0"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of tiny nets A and D, where those of Table 3 on `letters` lie."""
    home = tmp_path_factory.mktemp("home")
    for label, name in enumerate(("cat", "dog", "owl")):
        (home / "images" / name).mkdir(parents=True)
        for number in range(6):
            smooth_picture(40, 48 + number, level=80 * label).save(home / "images" / name / f"{number}.png")
    for net, place in FINISHED.items():
        folder = home / "runs/letters" / place
        words = (f"data.root={home / 'images'}", f"model=vgg_{net}", f"data.mean=[1,2,{ord(net)}]")
        result = call_command("train.py", *TINY, *words, f"paths.runs={home / 'runs'}", f"hydra.run.dir={folder}")
        assert result.returncode == 0, result.stderr
    return home / "runs"


def config(runs: Path = Path("/nowhere"), **changes: Any) -> TransferConfig:
    """Of features of net D on a folder of images."""
    data = DataConfig("birds", Layout.folder, "", mean=[120.0] * 3, held_out=0.2)
    settings: dict[str, Any] = {
        "data": data,
        "paths": PathsConfig("/", "/", str(runs)),
        "nets": ["d"],
        "source": "letters",
        "scales": "three",
        "regions": [Region.image],
        "metric": Metric.mean_class_recall,
        "c_grid": [0.1, 1.0],
        "variant": "",
    }
    return TransferConfig(**(settings | changes))


def equal_states(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_nets_are_those_of_table_3_with_scale_jitter_where_there_is_one(runs: Path) -> None:
    found = find_nets(config(runs, nets=["d", "a"]))
    assert [name_of(subject.model) for subject in found] == ["D", "A"]
    for subject, net in zip(found, ("d", "a"), strict=True):
        folder = runs / "letters" / FINISHED[net]
        assert subject.folder == folder
        assert equal_states(subject.net.state_dict(), load_checkpoint(folder).weights)
        assert subject.preprocessing.mean.flatten().tolist() == [1, 2, ord(net)]
        assert subject.net.crop == 32
    assert found[0].of["sha256"] != found[1].of["sha256"]


def test_a_run_is_the_folder_that_was_named(runs: Path) -> None:
    folder = runs / "letters" / FINISHED["a"]
    (found,) = find_nets(config(nets=[], run=str(folder)))
    (same,) = find_nets(config(runs, nets=["a"]))
    assert (found.folder, found.of, name_of(found.model)) == (folder, same.of, "A")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nets": ["a", "e"]}, r"table3/e_multi/seed_0 holds no finished run.*make ablation-table DATA=letters"),
        ({"nets": ["a"], "seed": 3}, "table3/a/seed_3 holds no finished run"),
        ({"nets": [], "run": "/nowhere/at/all"}, "run=/nowhere/at/all holds no finished run"),
        ({"nets": [], "weights": "/nowhere.pth", "model": ModelConfig(11)}, "weights=/nowhere.pth is no file"),
    ],
)
def test_a_net_that_is_not_there_is_told(changes: dict[str, Any], told: str, runs: Path) -> None:
    with pytest.raises(UserError, match=told):
        find_nets(config(runs, **changes))


def of_file(folder: Path, preprocessing: PreprocessingWord | None, **changes: Any) -> TransferConfig:
    """Of net B from a file of weights in `folder`."""
    write_torch(make_net(13), folder / "Mine v1.pth")
    words = {"weights": str(folder / "Mine v1.pth"), "model": ModelConfig(13, width=1 / 32)}
    return config(folder / "runs", nets=[], preprocessing=preprocessing, **words, **changes)


@pytest.mark.parametrize("preprocessing", PreprocessingWord)
def test_published_weights_come_with_their_preprocessing(preprocessing: PreprocessingWord, tmp_path: Path) -> None:
    (found,) = find_nets(of_file(tmp_path, preprocessing))
    assert equal_states(found.net.state_dict(), make_net(13).state_dict())
    assert (name_of(found.model), found.net.crop, found.num_classes) == ("B", 224, 6)
    pixels = torch.randint(0, 256, (1, 3, 4, 4), dtype=torch.uint8)
    expected = Preprocessing(**PREPROCESSINGS[preprocessing])(pixels)
    assert torch.equal(found.preprocessing(pixels), expected)
    assert found.folder.parent == tmp_path / "runs/weights"


def test_weights_whose_preprocessing_nobody_knows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say how its pixels were preprocessed; type preprocessing="):
        find_nets(of_file(tmp_path, None))


@pytest.mark.parametrize("published", [False, True])
def test_random_weights_are_those_of_the_seed(published: bool, runs: Path, tmp_path: Path) -> None:
    """Of the same net, on the same pixels, and in no record taken for the trained ones."""
    if published:
        trained = of_file(tmp_path, PreprocessingWord.torchvision)
    else:
        trained = config(nets=[], run=str(runs / "letters" / FINISHED["a"]))
    (learnt,) = find_nets(trained)
    drawn = [find_nets(replace(trained, features=Features.random, seed=seed))[0] for seed in (0, 0, 1)]
    states = [subject.net.state_dict() for subject in drawn]
    assert equal_states(states[0], states[1])
    weights = [state["features.0.weight"] for state in (states[0], states[2], learnt.net.state_dict())]
    assert not any(torch.allclose(*pair, atol=1e-3) for pair in zip(weights, [*weights[1:], weights[0]], strict=True))
    assert drawn[0].of == drawn[1].of
    assert len({subject.of["sha256"] for subject in (*drawn, learnt)}) == 3
    assert drawn[0].of["random"] == learnt.name
    assert torch.equal(drawn[0].preprocessing.std, learnt.preprocessing.std)
    assert name_of(drawn[0].model) == name_of(learnt.model)


def test_random_weights_leave_nothing_that_was_learnt(tmp_path: Path) -> None:
    """Neither do the averages of a batch normalisation."""
    net = VGG(11, num_classes=3, width=1 / 32, batch_norm=True)
    fresh = {name: value.clone() for name, value in net.state_dict().items() if "features.1." in name}
    net(50 * torch.randn(4, 3, 224, 224))
    torch.nn.init.normal_(net.state_dict()["features.1.weight"])
    write_torch(net, tmp_path / "bn.pth")
    model, words = ModelConfig(11, width=1 / 32, batch_norm=True), {"weights": str(tmp_path / "bn.pth"), "nets": []}
    trained = config(tmp_path, model=model, preprocessing=PreprocessingWord.paper, **words)
    states = [
        find_nets(replace(trained, features=kind))[0].net.state_dict() for kind in (Features.trained, Features.random)
    ]
    learnt, drawn = ({name: state[name] for name in fresh} for state in states)
    assert equal_states(drawn, fresh)
    assert not any(torch.equal(learnt[name], fresh[name]) for name in fresh if not name.endswith("bias"))


@pytest.mark.parametrize("changes", [{}, {"batch_norm": True}])
@pytest.mark.parametrize("net", NETS)
def test_a_net_is_known_by_its_letter(net: str, changes: dict[str, Any]) -> None:
    told = ", batch_norm true" if changes else ""
    assert name_of(ModelConfig(**NETS[net], width=1 / 32, **changes)) == net + told


def test_the_nets_to_type_are_those_of_table_1() -> None:
    assert {name.upper().replace("_", "-"): factors for name, factors in FACTORS.items()} == NETS


@pytest.mark.parametrize(
    ("net", "folder"),
    [("a", "a"), ("a_lrn", "a_lrn"), ("b", "b"), ("c", "c_multi"), ("d", "d_multi"), ("e", "e_multi")],
)
def test_the_run_of_a_net(net: str, folder: str) -> None:
    assert source_run(config(), net) == Path(f"/nowhere/letters/table3/{folder}/seed_0")
    assert source_run(config(variant="+x-1", seed=2), net) == Path(f"/nowhere/letters/table3/{folder}+x-1/seed_2")


def with_data(**changes: Any) -> dict[str, Any]:
    return {"data": replace(config().data, **changes)}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"nets": ["d", "e"], "regions": [Region.image, Region.box], "metric": Metric.average_precision},
        {"nets": [], "run": "/some/where"},
        {"nets": ["d"], "weights": "DEFAULT"},
        {"nets": [], "weights": "DEFAULT", "model": ModelConfig(16)},
        {"mode": Mode.finetune},
        with_data(splits=SplitsConfig(number=3, train_per_class=30)),
    ],
)
def test_what_can_be_asked_for(changes: dict[str, Any]) -> None:
    check(config(**changes))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nets": []}, "run=None, weights=None and nets=[]: one of them says whose features; type nets=[d,e]"),
        ({"run": "/x"}, "run=/x, weights=None and nets=['d']: one of them"),
        ({"run": "/x", "weights": "y", "nets": []}, "run=/x, weights=y and nets=[]: one of them"),
        ({"nets": ["d", "f"]}, "has f; allowed, each once: a, a_lrn, b, c, d, e (nets=[d,e])"),
        ({"nets": ["d", "e", "d"]}, "has d; allowed, each once"),
        ({"nets": [], "weights": "vgg16"}, "weights=vgg16 says nothing of the net they are of; type model=vgg_d"),
        ({"precision": Precision.auto}, "precision=auto would leave a figure to the machine; allowed: precision=fp32"),
        ({"c_grid": []}, "c_grid=[] is out of range; allowed: numbers above 0"),
        ({"c_grid": [1.0, 0.0]}, "c_grid=[1.0, 0.0] is out of range"),
        ({"regions": []}, "regions=[] is out of range; allowed: [image], [box] or [image,box]"),
        ({"regions": [Region.box] * 2}, "is out of range; allowed: [image], [box] or [image,box]"),
        ({"batch_size": 0}, "batch_size=0 is out of range; allowed: 1 or more"),
        ({"shard_size": 0}, "shard_size=0 is out of range; allowed: 1 or more"),
        ({"seed": -1}, "seed=-1 is out of range; allowed: 0 or more"),
        (with_data(held_out=1.0), "data.held_out=1.0 is out of range"),
        (with_data(splits=SplitsConfig(chosen=1)), "data.splits.chosen=1 is out of range"),
        (with_data(splits=SplitsConfig(train_per_class=0)), "data.splits.train_per_class=0 is out of range"),
        (with_data(splits=SplitsConfig(keep_per_class=1)), "data.splits.keep_per_class=1 is out of range; allowed: 2"),
        (with_data(splits=SplitsConfig(number=3)), "data.splits.number=3 would be one split so many times; type how"),
        ({"mode": Mode.finetune, "features": Features.random}, "features=random has nothing to fine-tune; allowed"),
        (
            {"mode": Mode.finetune, "nets": ["d", "e"]},
            "nets=['d', 'e'] are several; mode=finetune takes one (nets=[d])",
        ),
        (
            {"mode": Mode.finetune, "regions": [Region.box]},
            "regions=[box] has box; allowed with mode=finetune: regions",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_told_in_one_sentence(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=re.escape(told)) as error:
        check(config(**changes))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("value", "crop", "scales"),
    [
        ("three", 224, [256, 384, 512]),
        ("five", 224, [256, 384, 512, 640, 768]),
        ("three", 64, [73, 110, 146]),
        (224, 224, [224]),
        (3584, 224, [3584]),
        (40.0, 32, [40]),
        ([64, 32, 48], 32, [32, 48, 64]),
    ],
)
def test_the_scales_of_descriptors(value: Any, crop: int, scales: list[int]) -> None:
    assert descriptor_scales(value, crop) == scales


def test_the_words_for_scales_begin_alike() -> None:
    assert SCALES["five"][:3] == SCALES["three"]


@pytest.mark.parametrize(
    "value", ["six", "256", 31, 513, 40.5, [], [40, 40], [40, 31], ["three"], [[40, 48]], True, None, {"q": 40}]
)
def test_other_scales_are_refused(value: Any) -> None:
    told = (
        f"scales={value} is not the scales of descriptors; allowed: three, five, or different numbers of pixels from 32"
    )
    with pytest.raises(UserError, match=re.escape(told + " to 512 (scales=[32,37]).")):
        descriptor_scales(value, 32)
