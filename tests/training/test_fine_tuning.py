"""Fine-tuning: a training that starts from a finished run or from published weights, in part frozen."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import TINY, MakeTree, assert_refused, call_command
from tests.models.test_weights import write_torch
from tests.test_configs import composed
from tests.training.test_training import MEAN, recipe
from vggsuite.checks import validate
from vggsuite.data.preprocessing import Preprocessing
from vggsuite.finished_run import load_checkpoint, load_net
from vggsuite.models.initialisation import draw_weights, frozen_layers
from vggsuite.models.state import digest, module_names
from vggsuite.models.vgg import VGG
from vggsuite.results.record import read_record
from vggsuite.training.module import Classification
from vggsuite.training.run import train

LAST = ["classifier.6.weight", "classifier.6.bias"]
OTHER_CLASSES = ("crow", "daw", "jay", "rook")


@pytest.fixture
def words(make_tree: MakeTree, tmp_path: Path) -> tuple[str, ...]:
    """Of a training on images of 4 classes."""
    root = make_tree("other", classes=OTHER_CLASSES) / "other"
    return (*TINY, "model.width=0.1", f"data.root={root}", "data.name=birds", f"paths.runs={tmp_path / 'runs'}")


def trained(folder: Path, *words: str) -> dict[str, Tensor]:
    """The weights of a run."""
    config = composed(*words)
    validate(config)
    train(config, folder)
    return load_checkpoint(folder).weights


def parent_of(make_tree: MakeTree, folder: Path, *words: str) -> dict[str, Tensor]:
    """The weights of a run on images of 3 classes."""
    return trained(folder, *TINY, "model.width=0.1", f"data.root={make_tree('own') / 'own'}", *words)


@pytest.mark.usefixtures("hydra_for_tests")
@pytest.mark.parametrize(("freeze", "batch_norm"), [("conv", False), ("all_but_last", False), ("[conv1_1,fc6]", True)])
def test_what_is_frozen_stays_to_the_bit_and_all_else_learns(
    freeze: str, batch_norm: bool, words: tuple[str, ...], make_tree: MakeTree, tmp_path: Path
) -> None:
    """The averages of batch normalisations count among what stays."""
    factors = (f"model.batch_norm={batch_norm}",)
    parent = parent_of(make_tree, tmp_path / "parent", *factors)
    start = (f"init.run={tmp_path / 'parent'}", "init=finished_run", "init.layers=all_but_last")
    asked = (f"recipe.freeze={freeze}", "recipe.lr_copied=1e-3")
    child = trained(tmp_path / "child", *words, *factors, *start, *asked)
    net = load_net(tmp_path / "child")
    frozen = frozen_layers(net, composed(*words, *asked).recipe.freeze)
    modules = [module_names(net)[name] for name in frozen]
    convolutions = [int(module.partition(".")[2]) for module in modules if module.startswith("features.")]
    modules += [f"features.{index + 1}" for index in convolutions if batch_norm]
    kept = {name for name in child if name.rpartition(".")[0] in modules}
    assert len(kept) == 2 * len(frozen) + 5 * batch_norm * len(convolutions)
    assert child.keys() == parent.keys()
    assert [len(state["classifier.6.bias"]) for state in (parent, child)] == [3, 4]
    same = {name for name in child.keys() - LAST if torch.equal(child[name], parent[name])}
    assert same >= kept
    assert not any(name.endswith(("weight", "mean", "var", "tracked")) for name in same - kept)
    assert read_record(tmp_path / "child").init["run"] == read_record(tmp_path / "parent").name


def groups_of(net: VGG, **changes: Any) -> tuple[list[tuple[list[str], float]], Any]:
    """Of every parameter group its parameters' names and learning rate; and what Lightning is given."""
    configured: Any = Classification(net, Preprocessing(MEAN), recipe(**changes)).configure_optimizers()
    names = {id(value): name for name, value in net.named_parameters()}
    groups = configured["optimizer"].param_groups
    return [([names[id(value)] for value in group["params"]], group["lr"]) for group in groups], configured


def small_net() -> VGG:
    return VGG(11, num_classes=3, width=1 / 32, crop=32, num_pools=3)


FC = ["classifier.0.weight", "classifier.0.bias", "classifier.3.weight", "classifier.3.bias"]


@pytest.mark.parametrize(
    ("freeze", "lr_copied", "expected"),
    [
        ("conv", 1e-4, [(LAST, 1e-2), (FC, 1e-4)]),
        ("conv", None, [([*FC, *LAST], 1e-2)]),
        ("all_but_last", 1e-4, [(LAST, 1e-2)]),
        ("all_but_last", None, [(LAST, 1e-2)]),
        (
            [f"conv{name}" for name in ("1_1", "2_1", "3_1", "3_2", "4_1", "4_2", "5_1", "5_2")] + ["fc8"],
            1e-4,
            [(FC, 1e-4)],
        ),
    ],
)
def test_what_is_new_and_what_was_copied_learn_at_their_own_rates(
    freeze: Any, lr_copied: float | None, expected: list[tuple[list[str], float]]
) -> None:
    net = small_net()
    net.freeze(frozen_layers(net, freeze))
    assert groups_of(net, lr=1e-2, lr_copied=lr_copied)[0] == expected


def test_with_nothing_frozen_every_parameter_is_in_one_group() -> None:
    net = small_net()
    (new, copied), _ = groups_of(net, lr=1e-2, lr_copied=1e-3)
    assert sorted([*new[0], *copied[0]]) == sorted(name for name, _ in net.named_parameters())
    assert (new[0], new[1], copied[1]) == (LAST, 1e-2, 1e-3)


def test_all_learning_rates_fall_together_and_as_often_as_allowed() -> None:
    net = small_net()
    net.freeze(frozen_layers(net, "conv"))
    _, configured = groups_of(net, lr=1e-2, lr_copied=3e-4, num_drops=2, patience=0, min_gain=0.01)
    rule, optimizer = configured["lr_scheduler"]["scheduler"], configured["optimizer"]
    rates = []
    for error in (50.0, 40.0, 40.0, 40.0, 40.0, 40.0):
        rule.step(error)
        rates.append([group["lr"] for group in optimizer.param_groups])
    assert rates[0] == rates[1] == [1e-2, 3e-4]
    assert rates[2] == pytest.approx([1e-3, 3e-5])
    assert rates[3] == rates[4] == rates[5] == pytest.approx([1e-4, 3e-6])


def test_one_step_moves_what_was_copied_by_its_own_rate() -> None:
    """A step with a rate of 0.01 beside one with a hundredth of it, from the same place: without momentum, by so much
    less."""
    moves = []
    for lr_copied in (1e-2, 1e-4):
        torch.manual_seed(0)
        net = VGG(11, num_classes=3, width=1 / 32, crop=32, num_pools=3, dropout=0)
        draw_weights(net, "kaiming")
        before = {name: value.clone() for name, value in net.named_parameters()}
        module = Classification(net, Preprocessing(MEAN), recipe(lr=1e-2, lr_copied=lr_copied))
        configured: Any = module.configure_optimizers()
        batch = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8), torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
        module.training_step(batch, 0).backward()
        configured["optimizer"].step()
        moves.append({name: (value - before[name]).norm().item() for name, value in net.named_parameters()})
    for name in moves[0]:
        factor = 1 if name in LAST else 100
        assert moves[0][name] == pytest.approx(factor * moves[1][name], rel=0.02), name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Weights of a net of 6 classes."""
    torch.manual_seed(0)
    net = VGG(11, num_classes=6, width=0.1, crop=32, num_pools=3)
    draw_weights(net, "kaiming")
    write_torch(net, tmp_path / "theirs.pth")
    return tmp_path / "theirs.pth"


TORCHVISION = ("data.mean=[123.675,116.28,103.53]", "data.std=[58.395,57.12,57.375]")


@pytest.mark.usefixtures("hydra_for_tests")
@pytest.mark.parametrize("freeze", ["all_but_last", "none"])
def test_training_starts_from_published_weights(
    freeze: str, words: tuple[str, ...], file: Path, tmp_path: Path
) -> None:
    start = ("init=weights", f"init.weights={file}", "init.preprocessing=torchvision", *TORCHVISION)
    child = trained(tmp_path / "child", *words, *start, f"recipe.freeze={freeze}", "recipe.lr_copied=1e-6")
    theirs = torch.load(file, weights_only=True)
    for name in child.keys() - LAST:
        if freeze == "all_but_last" or name.endswith("weight"):  # a bias of 0 may stay
            assert torch.equal(child[name], theirs[name]) == (freeze == "all_but_last"), name
        assert torch.allclose(child[name], theirs[name], atol=1e-3)
    assert child["classifier.6.weight"].shape == (4, theirs["classifier.6.weight"].shape[1])
    record = read_record(tmp_path / "child")
    assert (record.init["weights"], record.init["sha256"]) == ("theirs.pth", digest(theirs))
    assert record.data["std"] == [58.395, 57.12, 57.375]


def test_another_preprocessing_is_refused_with_the_words_to_type(
    words: tuple[str, ...], file: Path, tmp_path: Path
) -> None:
    start = [*words, "init=weights", f"init.weights={file}", "init.preprocessing=torchvision"]
    for name in ("mean", "std"):
        result = call_command("train.py", *start)
        assert_refused(result, f"is not that of init.weights={file}; type data.{name}=[")
        start += re.findall(r"type (data\.\w+=\[\S+\])\.", result.stderr)
    assert not list((tmp_path / "runs").glob("*"))
    assert call_command("train.py", *start, "recipe.freeze=all_but_last").returncode == 0


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["init.weights=/nowhere.pth", "init.preprocessing=paper"], "weights=/nowhere.pth is no file"),
        (["init.weights={file}"], "does not say how its pixels were preprocessed; type preprocessing="),
        (["init.weights={file}", "init.preprocessing=caffe"], "torchvision"),
        (["init.weights={file}", "init.layers=all"], "gives all layers but the last; leave init.run out"),
        (["init.weights={file}", "+init.run=/a/b"], "gives all layers but the last; leave init.run out"),
        (
            ["init.weights={file}", "init.preprocessing=paper", "model=vgg_b"],
            "init.layers=all_but_last cannot copy conv1_2",
        ),
    ],
)
def test_published_weights_that_do_not_fit_are_told(
    asked: list[str], told: str, words: tuple[str, ...], file: Path, tmp_path: Path
) -> None:
    result = call_command("train.py", *words, "init=weights", *(word.format(file=file) for word in asked))
    assert_refused(result, told)
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("recipe.freeze=fc8", "recipe.freeze=fc8 and recipe.lr_copied=None are for layers that were copied"),
        ("recipe.lr_copied=0.1", "type init=finished_run or init=weights"),
        ("recipe.lr_copied=0", "recipe.lr_copied=0.0 is out of range; allowed: a number above 0, or null"),
    ],
)
def test_a_recipe_that_cannot_be_is_told(asked: str, told: str, words: tuple[str, ...]) -> None:
    assert_refused(call_command("train.py", *words, asked), told)
