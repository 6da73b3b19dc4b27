"""Every config file composes, and says in its header what it is and how to use it."""

import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose

from vggsuite.checks import validate
from vggsuite.composing import compose_command, to_config
from vggsuite.config import FuseConfig, TrainConfig, TransferConfig
from vggsuite.data.scale import parse_scale, parse_test_scales
from vggsuite.errors import UserError
from vggsuite.naming import variant_of
from vggsuite.results.experiments import METHODS, evaluations_of_runs, experiment_of, net_and_scale, printed_rows
from vggsuite.results.localisation_claims import PAPER as PAPERS_BOXES
from vggsuite.results.localisation_points import TESTED, TRAINED
from vggsuite.results.paper import paper
from vggsuite.results.tables import scale_text
from vggsuite.results.transfer_points import EXPERIMENTS as METHODS_OF_TRANSFER
from vggsuite.results.transfer_points import points_of, words_of
from vggsuite.transfer.settings import check

pytestmark = pytest.mark.usefixtures("hydra_for_tests")
CONF = Path(__file__).parents[1] / "conf"
EXPERIMENTS = sorted(
    str(file.relative_to(CONF / "experiment").with_suffix("")) for file in CONF.glob("experiment/table3/*.yaml")
)


def composed(*overrides: str) -> TrainConfig:
    """The typed config of these overrides."""
    cfg, _ = compose_command("train", overrides)
    return to_config(cfg, TrainConfig)


@pytest.mark.parametrize("data", ["digits", "imagenet"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_on_every_data_set(experiment: str, data: str) -> None:
    config = composed(f"experiment={experiment}", f"data={data}")
    validate(config)
    assert config.experiment == experiment
    assert config.variant == ""


def test_the_experiments_are_the_rows_of_table_3() -> None:
    for row in paper()["table_3_single_scale"]["rows"]:
        config = composed(f"experiment={experiment_of(3, row)}", "data=imagenet")
        scale = parse_scale(config.data.scale, config.data.crop)
        assert scale_text(list(scale)) == scale_text(row["train_s"])
        assert scale.middle == row["test_q"]
        net = paper()["table_1_configs"]["nets"][row["model"]]
        assert config.model.depth == net["weight_layers"]
        assert config.model.lrn == ("LRN" in net["layers"])
        assert config.model.conv1x1 == ([1, 512] in net["layers"])
        header = (CONF / f"experiment/{config.experiment}.yaml").read_text()
        assert f"top-1 error {row['top1']}%, top-5 {row['top5']}%" in header


@pytest.mark.parametrize("data", ["digits", "imagenet"])
@pytest.mark.parametrize("number", [4, 5])
def test_the_experiments_of_tables_4_and_5_evaluate_the_runs_of_their_rows(number: int, data: str) -> None:
    for row in printed_rows(number):
        experiment = experiment_of(number, row)
        words = [f"experiment={experiment}", f"data={data}", "seed=2", "overrides='recipe.lr=1'"]
        cfg = compose("evaluate", words)
        run, method = evaluations_of_runs()[experiment]
        assert cfg.run == f"{cfg.paths.runs}/{data}/{run}+recipe.lr-1/seed_2"
        assert (cfg.protocol, cfg.scales) == (method, "multi")
        header = " ".join((CONF / f"experiment/{experiment}.yaml").read_text().splitlines()[:3])
        assert f"top-1 error {row['top1']}%, top-5 {row['top5']}%" in header
        assert f"python src/evaluate.py experiment={experiment}" in header


def test_the_experiments_of_table_6_fuse_the_runs_of_their_rows() -> None:
    for row in printed_rows(6):
        experiment = experiment_of(6, row)
        config = to_config(compose("fuse", [f"experiment={experiment}", "data=imagenet", "seed=1"]), FuseConfig)
        home = f"{config.paths.runs}/imagenet"
        nets = [f"{home}/table3/{net_and_scale(m['model'], m['train_s'])}/seed_1" for m in row["members"]]
        assert config.members == nets
        assert (config.protocol, config.scales) == (METHODS[row["evaluation"]], "multi")
        assert config.output == f"{home}/{experiment}/seed_1"
        header = (CONF / f"experiment/{experiment}.yaml").read_text()
        assert f"top-1 error {row['top1_val']}%, top-5 {row['top5_val']}%" in header


def test_several_test_scales_go_with_the_training_scale() -> None:
    for row in printed_rows(4):
        scale = parse_scale(row["train_s"], 224)
        assert scale.several(224) == row["test_q"]
        assert parse_test_scales("multi", scale, 224) == row["test_q"]
    assert parse_scale("single", 32).several(32) == [32, 37, 42]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("several", "is no list of test scales"),
        ([], "is no list of test scales"),
        ([256, "x"], "is no list of test scales"),
        (223, "has Q = 223, below the net's smallest input of 224"),
        ([224, 5000], "has Q = 5000, more than 16 crops"),
        ([256, 256], "has one Q twice"),
    ],
)
def test_a_wrong_test_scale_is_refused(value: object, told: str) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        parse_test_scales(value, parse_scale("single", 224), 224)


@pytest.mark.parametrize(
    ("experiment", "parent", "lr"),
    [("d", "a", 1e-2), ("d_384", "d", 1e-3), ("d_multi", "d_384", 1e-3), ("c", "a", 1e-2), ("e_multi", "e_384", 1e-3)],
)
def test_the_stages_follow_the_paper(experiment: str, parent: str, lr: float) -> None:
    config = composed(f"experiment=table3/{experiment}", "data=imagenet", "seed=2")
    assert config.init.run == f"{config.paths.runs}/imagenet/table3/{parent}/seed_2"
    assert config.recipe.lr == lr
    assert config.init.layers == ("net_a" if parent == "a" else "all")


def test_imagenets_recipe_is_the_papers() -> None:
    recipe = composed("experiment=table3/a", "data=imagenet").recipe
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum) == (74, 256, 1e-2, 0.9)
    assert (recipe.weight_decay, recipe.num_drops, recipe.distribution) == (5e-4, 3, "normal")


@pytest.mark.parametrize("file", sorted(CONF.glob("**/*.yaml")), ids=lambda file: str(file.relative_to(CONF)))
def test_every_file_says_what_it_is_and_the_command(file: Path) -> None:
    header = [line for line in file.read_text().splitlines() if line.startswith("#") and "@package" not in line]
    assert header
    if file.parent.name not in ("recipe", "task"):  # chosen by the data set
        assert "python src/" in "".join(header)


@pytest.mark.parametrize("setting", ["api_key", "settings.api_key", "auth_token", "password"])
def test_a_key_does_not_enter_a_config(setting: str) -> None:
    with pytest.raises(UserError, match=rf"logger.{setting} would be written into .* set WANDB_API_KEY"):
        validate(composed("logger=wandb", f"+logger.{setting}=abc"))


@pytest.mark.parametrize("group", ["model", "data", "recipe", "init", "trainer", "logger"])
def test_every_choice_composes(group: str) -> None:
    for file in sorted((CONF / group).glob("*.yaml")):
        if file.stem.startswith("localise_"):  # of localise.py
            compose_command("localise_train", [f"{group}={file.stem}"])
            continue
        needed = {
            "finished_run": ["init.run=/nowhere"],
            "weights": ["init.weights=/nowhere"],
            "finetune": ["init=finished_run", "init.run=/nowhere"],
        }
        extra = needed.get(file.stem, [])
        config = composed(f"{group}={file.stem}", *extra)
        validate(config)
        assert set(config.trainer) >= {"accelerator", "devices", "strategy"}


@pytest.mark.parametrize(
    ("overrides", "experiment", "variant"),
    [
        (["model=vgg_d", "data.scale=multi", "seed=3", "trainer=gpu", "data.root=/x"], None, ""),
        (["experiment=table3/d", "data=imagenet", "trainer.devices=4", "paths.runs=/x"], "table3/d", ""),
        (["experiment=table3/d", "model=vgg_e"], "table3/d", "+model-vgg_e"),
        (["recipe.lr=0.1", "model.dropout=0"], None, "+model.dropout-0+recipe.lr-0.1"),
        (["+trainer.limit_train_batches=2"], None, "+trainer.limit_train_batches-2"),
        (["data.mean=[1,2,3]", "init.run=/a/b"], None, "+data.mean--1-2-3+init.run--a-b"),
    ],
)
def test_a_run_is_named_by_what_distinguishes_it(overrides: list[str], experiment: str | None, variant: str) -> None:
    assert variant_of(overrides, experiment) == variant
    assert variant_of(overrides[::-1], experiment) == variant


def test_a_long_name_is_shortened_and_stays_distinct() -> None:
    many = [[f"recipe.lr={number}", f"init.run=/{'x' * 300}"] for number in range(3)]
    names = {variant_of(overrides, None) for overrides in many}
    assert len(names) == 3
    assert max(map(len, names)) < 100


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("recipe.lr=0", "recipe.lr=0.0 is out of range; allowed: a number above 0"),
        ("recipe.batch_size=-3", "recipe.batch_size=-3 is out of range"),
        ("model.dropout=1", "model.dropout=1.0 is out of range"),
        ("model.num_pools=6", "model.num_pools=6 is out of range"),
        ("data.mean=[1,2]", "data.mean"),
        ("data.held_out=0", "data.held_out=0.0 is out of range"),
        ("seed=-1", "seed=-1 is out of range"),
        ("test.scale=20", "test.scale=20 is smaller than the crop"),
        ("model.depth=12", "model.depth=12 is no net of model.family=vgg"),
        ("data.scale=mutli", "data.scale=mutli is no training scale"),
        ("init=finished_run", "type init.run="),
        ("+model.colour=red", r"\+model.colour is no setting"),
        ("+data.expected.dogs=3", "data.expected.dogs is not counted"),
    ],
)
def test_values_out_of_range_are_refused(override: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        validate(composed(override))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model=resnet18", "recipe.batch_size=1"], "recipe.batch_size=1 leaves batch normalisation one image"),
        (["model=resnet18", "recipe.checkpoint_activations=true"], "allowed: recipe.checkpoint_activations=false"),
        (["model.batch_norm=true", "recipe.checkpoint_activations=true"], "allowed: either of them"),
    ],
)
def test_what_does_not_go_with_batch_normalisation_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        validate(composed(*words))


def test_seed_0_is_a_seed() -> None:
    assert composed("seed=0").seed == 0


def test_a_table_config_composes() -> None:
    cfg: Any = compose("table", ["data=imagenet"])
    assert str(cfg.output).endswith("tables/imagenet")


@pytest.mark.parametrize("data", ["digits", "imagenet"])
def test_the_experiments_of_tables_8_and_9_go_together(data: str) -> None:
    names = {
        f"table{number}/{file.stem}" for number in (8, 9) for file in CONF.glob(f"experiment/table{number}/*.yaml")
    }
    assert names == {*TRAINED, *TESTED}
    words = [f"data={data}", "seed=2"]
    for experiment in TRAINED:
        cfg, folder = compose_command(
            "localise_train", [*words, f"experiment={experiment}", "from_overrides='recipe.lr=1'"]
        )
        assert folder == f"{cfg.paths.runs}/{data}/{experiment}+recipe.lr-1/seed_2"
        parent = "d" if experiment.endswith("_256") else "d_384"
        assert cfg.init.run == f"{cfg.paths.runs}/{data}/table3/{parent}+recipe.lr-1/seed_2"
        assert (cfg.init.layers, cfg.recipe.freeze) == ("all_but_last", "conv" if "_fc" in experiment else "none")
        assert cfg.regression == ("scr" if "scr" in experiment else "pcr")
    for experiment in TESTED:
        command = "fuse" if "fusion" in experiment else "evaluate"
        cfg, _ = compose_command(f"localise_{command}", [*words, f"experiment={experiment}", "overrides='recipe.lr=1'"])
        home = f"{cfg.paths.runs}/{data}"
        assert cfg.output == f"{home}/{experiment}+recipe.lr-1/seed_2"
        sources = cfg.members if command == "fuse" else [cfg.run, cfg.labels]
        assert all(str(source).startswith(home) and str(source).endswith("+recipe.lr-1/seed_2") for source in sources)


@pytest.mark.parametrize("experiment", PAPERS_BOXES)
def test_the_headers_tell_the_papers_figures_of_localisation(experiment: str) -> None:
    column, number, row = PAPERS_BOXES[experiment]
    header = (CONF / f"experiment/{experiment}.yaml").read_text()
    assert f"{printed_rows(number)[row][column]}%" in header
    command = "train" if number == 8 else "fuse" if "fusion" in experiment else "evaluate"
    assert f"python src/localise.py {command} experiment={experiment}" in header


def test_imagenets_box_regressors_are_the_papers() -> None:
    cfg, _ = compose_command("localise_train", ["experiment=table8/pcr_all", "data=imagenet"])
    assert (cfg.recipe.lr, cfg.recipe.batch_size, cfg.recipe.momentum) == (1e-3, 256, 0.9)


@pytest.mark.parametrize("source", ["digits", "imagenet"])
@pytest.mark.parametrize("number", [11, 12])
def test_the_experiments_of_tables_11_and_12_compose_on_every_data_set(number: int, source: str) -> None:
    points = points_of(number, source, None)
    assert {f"{point.experiment}.yaml" for point in points} == {
        f"table{number}/{file.name}" for file in CONF.glob(f"experiment/table{number}/*.yaml")
    }
    for point in points:
        cfg, _ = compose_command("transfer", words_of(point, source))
        config = to_config(cfg, TransferConfig)
        check(config)
        assert (config.experiment, config.source, config.data.name) == (point.experiment, source, point.target)
        header = (CONF / f"experiment/{point.experiment}.yaml").read_text()
        assert f"python src/transfer.py experiment={point.experiment} data=" in header


@pytest.mark.parametrize(
    ("experiment", "method"), [(experiment, method) for method, experiment in METHODS_OF_TRANSFER.items()]
)
def test_the_headers_tell_the_papers_figures_of_transfer(experiment: str, method: str) -> None:
    rows = [*printed_rows(11), *printed_rows(12)]
    (row,) = (row for row in rows if row["method"] == method)
    header = " ".join((CONF / f"experiment/{experiment}.yaml").read_text().split("nets:")[0].replace("#", "").split())
    for name, value in row.items():
        if name != "method":
            told = f"{value[0]:.1f} +- {value[1]:.1f}" if isinstance(value, list) else f"{value:.1f}"
            assert told in header
