"""Check W&B sweep files without a server, and print the command lines that an agent would run:
python -m vggsuite.sweep_file sweeps/*.yaml
"""

import math
import shlex
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir

from vggsuite import cli
from vggsuite.checks import validate
from vggsuite.composing import compose_command, register, to_config
from vggsuite.config import PROJECT_ROOT, TrainConfig, uses_wandb
from vggsuite.errors import UserError, first_line

# No early_terminate: W&B ends such a run with the signal of a preemption, after which it is resumed.
PROGRAM = "src/train.py"
KEYS = ("program", "project", "entity", "name", "description", "method", "metric", "parameters", "command", "run_cap")
METRICS = ("val/top1_error", "val/top5_error", "val/loss", "train/loss", "test/top1_error", "test/top5_error")
PARAMETER_KEYS = ("value", "values", "probabilities", "distribution", "min", "max", "mu", "sigma", "q")
UNIFORM = ("int_uniform", "uniform", "q_uniform", "log_uniform_values", "q_log_uniform_values")
OF_EXPONENTS = ("log_uniform", "q_log_uniform", "log_normal", "q_log_normal")  # given by bounds of the logarithm
DISTRIBUTIONS = (*UNIFORM, "normal", "q_normal", *OF_EXPONENTS)
NORMAL_SIGMAS = 3  # so far from its middle a normal distribution's ends are taken to be


def check_file(file: Path) -> list[str]:
    """The command lines of a sweep file's points, each of which composes: all points of a grid; of a random or
    Bayesian search those with one parameter at each of its values, or ends, and the others at their first.

    Raises:
        UserError: naming the file, for what W&B or Hydra would refuse or misunderstand.
    """
    try:
        sweep = read(file)
        check_keys(sweep)
        values = {name: values_of(name, parameter, sweep["method"]) for name, parameter in sweep["parameters"].items()}
        commands = [command_words(sweep, point) for point in points(sweep["method"], values)]
        check_points(commands)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:  # of YAML's values, as a 13th month
        raise UserError(f"{file}: cannot be understood ({first_line(error)}); mend its parameters.") from error
    return [shlex.join(command) for command in commands]


def read(file: Path) -> dict[str, Any]:
    """The content of a sweep file."""
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({first_line(error)}); name a sweep file.") from error
    except yaml.YAMLError as error:
        raise UserError(f"is no YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise UserError(f"is no sweep; it needs the keys {', '.join(KEYS)}.")
    return content


def check_keys(sweep: dict[str, Any]) -> None:
    """Check everything but each parameter."""
    refuse_unknown("key", sweep, KEYS)
    require_one_of("method", sweep.get("method"), ("grid", "random", "bayes"))
    require_one_of("program", sweep.get("program"), (PROGRAM,))
    command, metric = sweep.get("command"), sweep.get("metric")
    for macro in ("${program}", "${args_no_hyphens}"):
        if not (isinstance(command, list) and macro in command):
            raise UserError(f"command={command} lacks what Hydra needs; write - {macro} as one of its words.")
    if not isinstance(metric, dict):
        raise UserError(f"metric={metric} has no name and goal; write metric: {{name: {METRICS[0]}, goal: minimize}}.")
    refuse_unknown("key of metric", metric, ("name", "goal", "target"))
    require_one_of("metric.name", metric.get("name"), METRICS)
    require_one_of("metric.goal", metric.get("goal"), ("minimize",))
    if not (isinstance(sweep.get("parameters"), dict) and sweep["parameters"]):
        raise UserError("parameters has nothing to vary; write e.g. parameters: {seed: {values: [0, 1]}}.")


def refuse_unknown(what: str, found: Iterable[str], allowed: Iterable[str]) -> None:
    for name in found:
        if name not in allowed:
            raise UserError(f"{name} is no {what} of a sweep file here; allowed: {', '.join(allowed)}.")


def require_one_of(key: str, value: Any, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise UserError(f"{key}={value} is not known here; allowed: {', '.join(allowed)}.")


def values_of(name: str, parameter: Any, method: str) -> list[Any]:
    """The values that a parameter lists, or the ends of its range."""
    if not isinstance(parameter, dict):
        raise UserError(f"parameter {name} is {parameter}; write {name}: {{value: {parameter}}}.")
    if "parameters" in parameter:
        inner = next(iter(parameter["parameters"] or ["..."]))
        raise UserError(f"parameter {name} is nested, which Hydra cannot read; write its settings as {name}.{inner}.")
    refuse_unknown(f"key of parameter {name}", parameter, PARAMETER_KEYS)
    if "value" not in parameter and "values" not in parameter:
        if method == "grid":
            raise UserError(f"parameter {name} has no values, which a grid needs; write {name}: {{values: [...]}}.")
        return ends(name, parameter)
    values = [parameter["value"]] if "value" in parameter else parameter["values"]
    if not (isinstance(values, list) and values):
        raise UserError(f"parameter {name} has values={values}; write a list, {name}: {{values: [...]}}.")
    if None in values:
        raise UserError(f"parameter {name} has the value null, which arrives as the word None; leave {name} out.")
    return values


def ends(name: str, parameter: dict[str, Any]) -> list[float]:
    """The least and the greatest value that a parameter's distribution draws."""
    distribution = parameter.get("distribution", "int_uniform" if isinstance(parameter.get("min"), int) else "uniform")
    require_one_of(f"{name}.distribution", distribution, DISTRIBUTIONS)
    normal = distribution.endswith("normal")
    bounds: list[Any] = [parameter.get(key) for key in (("mu", "sigma") if normal else ("min", "max"))]
    if None in bounds:
        raise UserError(f"parameter {name} has no values; allowed: value, values, min and max, mu and sigma (normal).")
    for bound in bounds:
        if type(bound) not in (int, float) or not math.isfinite(bound):
            raise UserError(f"parameter {name} has the bound {bound}, to YAML no number; write 1.0e-4, not 1e-4.")
    if normal:
        middle, reach = bounds[0], NORMAL_SIGMAS * bounds[1]
        bounds = [middle - reach, middle + reach]
    elif type(bounds[0]) is not type(bounds[1]):
        raise UserError(f"parameter {name} has min={bounds[0]}, max={bounds[1]}; write two integers or two floats.")
    if bounds[0] >= bounds[1]:
        allowed = "sigma above 0" if normal else "min below max"
        raise UserError(f"parameter {name} has the range {bounds[0]} to {bounds[1]}; allowed: {allowed}.")
    if distribution.endswith("log_uniform_values") and bounds[0] <= 0:
        raise UserError(f"parameter {name} has min={bounds[0]}, which has no logarithm; allowed: a number above 0.")
    return [math.exp(bound) for bound in bounds] if distribution in OF_EXPONENTS else bounds


def points(method: str, values: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The points of a sweep that `check_file` checks."""
    if method == "grid":
        return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
    first = {name: listed[0] for name, listed in values.items()}
    return [first] + [first | {name: value} for name, listed in values.items() for value in listed[1:]]


def command_words(sweep: dict[str, Any], point: dict[str, Any]) -> list[str]:
    """What an agent runs for a point, its macros expanded by W&B's own functions."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    macros = create_sweep_command_args({"args": {name: {"value": value} for name, value in point.items()}})
    macros |= {"env": ["/usr/bin/env"], "interpreter": ["python"], "program": [PROGRAM]}
    words: list[str] = []
    for word in map(str, create_sweep_command(list(sweep["command"]))):
        is_macro = word.startswith("${") and word.endswith("}")
        if is_macro:  # one that it does not know W&B leaves out
            require_one_of("command: macro", word[2:-1], macros)
        words += macros[word[2:-1]] if is_macro else [word]
    return words


def check_points(commands: Iterable[list[str]]) -> None:
    """Compose and validate the config of every command."""
    register()
    with initialize_config_dir(str(PROJECT_ROOT / "conf"), version_base="1.3"):
        for command in commands:
            words = command[command.index(PROGRAM) + 1 :]
            try:
                with cli.composing():
                    config = composed(words)
                validate(config)
                if not uses_wandb(config.logger):
                    raise UserError("W&B would see nothing of the run; write - logger=wandb as a word of command.")
            except UserError as error:
                raise UserError(f"point {shlex.join(words)}: {error}") from error


def composed(words: list[str]) -> TrainConfig:
    """The config that `words` after the program's name make."""
    cfg, _ = compose_command("train", words)
    return to_config(cfg, TrainConfig)


def main() -> None:
    """Check each file named on the command line, whatever is wrong with others."""
    if len(sys.argv) == 1:
        raise UserError("no sweep file is named; type python -m vggsuite.sweep_file sweeps/*.yaml.")
    for file in map(Path, sys.argv[1:]):
        with cli.user_errors():
            commands = check_file(file)
            print(*commands, f"{file}: {len(commands)} points, all of them compose", sep="\n", flush=True)


if __name__ == "__main__":
    cli.run(main)
