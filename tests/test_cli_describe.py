"""describe.py as a person types it."""

from pathlib import Path

import pytest

from tests.conftest import assert_refused, call_command

pytestmark = pytest.mark.slow


def test_net_d_is_described_in_the_terminal_and_in_markdown(tmp_path: Path) -> None:
    file = tmp_path / "d.md"
    result = call_command("describe.py", "model=vgg_d", "memory=3GB", "recipe.batch_size=2", f"output={file}")
    assert (result.returncode, result.stderr) == (0, "")
    first, *_ = result.stdout.splitlines()
    assert first == "vgg_d, of a 224x224 crop and 1000 classes:"
    (total,) = (line.split() for line in result.stdout.splitlines() if line.startswith("total"))
    assert total == ["total", "15,237,608", "58.13", "138,357,544", "15,470,264,320"]
    assert "| conv1_1 | 3x3 conv " in file.read_text()
    (largest,) = (line.split("|") for line in file.read_text().splitlines() if line.startswith("| fp32"))
    assert 2 < int(largest[-2]) < 64


def test_two_nets_differ_where_the_paper_says(tmp_path: Path) -> None:
    result = call_command("describe.py", "model=vgg_d", "against=vgg_e")
    assert result.returncode == 0, result.stderr
    told = result.stdout.partition("vgg_e beside vgg_d")[2].splitlines()
    assert [line.split()[0] for line in told if line.startswith(("conv", "pool", "fc", "total"))] == [
        *("conv3_4", "conv4_4", "conv5_4", "total"),
    ]
    assert told[-1].split()[1:4] == ["138,357,544", "143,667,240", "+5,309,696"]


def test_the_arithmetic_of_section_2_3() -> None:
    result = call_command("describe.py", "stack=[3,3,3]", "against=[7]", "channels=48")
    assert result.returncode == 0, result.stderr
    assert result.stdout.rstrip().split("\n\n")[-3:] == [
        "[3, 3, 3] sees 7x7 pixels, with 27 C^2 weights and 3 rectification(s).",
        "[7] sees 7x7 pixels, with 49 C^2 weights and 1 rectification(s).",
        "[7] has 81% more weights than [3, 3, 3].",
    ]


def test_the_net_of_the_digits_is_that_of_their_recipe() -> None:
    result = call_command("describe.py", "model=vgg_d", "data=digits")
    assert result.stdout.splitlines()[0] == "vgg_d, of a 32x32 crop and 10 classes:"
    assert "4,078,810" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["against=nets"], "model=nets does not exist; allowed: alexnet,"),
        (["against=[3]"], "against=[3] is no net; allowed: a model of conf/model/ (against=vgg_e)"),
        (["stack=[3,4]"], "stack=[3, 4] is no stack of convolutions; allowed"),
        (["stack=[]"], "stack=[] is no stack"),
        (["stack=[3]", "against=vgg_e"], "against=vgg_e is no stack"),
        (["memory=80"], "memory=80 is no size; allowed: a number and GB, GiB, MB or MiB (memory=80GB)"),
        (["headroom=1"], "headroom=1.0 is out of range; allowed: a share"),
        (["channels=0", "stack=[3]"], "channels=0 is out of range"),
        (["model.width=1e9"], "is larger than any tensor"),
        (["num_classes=0"], "num_classes=0 is out of range"),
        (["data.crop=16"], "data.crop=16 vanishes under model.num_pools=5"),
        (["model.depth=12"], "model.depth=12 is no net of model.family=vgg"),
        (["stack=[3]", "model=vgg_d"], "model=vgg_d changes nothing with stack=[3]; leave one of them out"),
        (["stack=[3]", "memory=80GB"], "memory=80GB changes nothing with stack=[3]"),
        (["stack=[3]", "data.crop=64"], "data.crop=64 changes nothing with stack=[3]"),
        (["channels=48"], "channels=48 changes nothing of a net; allowed with a stack (stack=[3,3,3])"),
        (["headroom=0.2"], "headroom=0.2 changes nothing where no memory is named; type memory=80GB too"),
        (["recipe.epochs=3"], "recipe.epochs=3 changes nothing of what is told of a net; allowed: recipe.batch_size,"),
        (["output=/dev/null/net.md"], "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_described_is_refused(words: list[str], told: str) -> None:
    assert_refused(call_command("describe.py", *words), told)
