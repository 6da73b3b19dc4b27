"""The test of several box regressors together (appendix A): the union of what their tests saved, merged anew."""

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vggsuite.errors import UserError
from vggsuite.files import exclusive
from vggsuite.localisation.answers import answered, load_answers, metrics_of, save_answers
from vggsuite.localisation.candidates import joined, load_candidates
from vggsuite.localisation.config import BoxFuseConfig, BoxProtocol, TestSplit
from vggsuite.localisation.settings import free_output, merging_of, name_of_test
from vggsuite.naming import repeat_command
from vggsuite.results.environment import environment
from vggsuite.results.localisation_records import (
    LOCALISATION_FILE,
    Localisation,
    finished_test,
    read_localisation,
    write_localisation,
)


def fuse(config: BoxFuseConfig, typed: Sequence[str]) -> Localisation:
    """The record of the test of the union of boxes that `config` describes, which is made unless it is there.

    Args:
        config: checked.
        typed: the command line.

    Raises:
        UserError: for members that are none, or do not go together.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    members = find_members(config)
    folder = fusion_folder(config, members)
    first = next(iter(members.values()))
    identity: dict[str, Any] = {
        "of": [weights for member in members.values() for weights in member.of],
        "protocol": first.protocol,
        "settings": {"merging": merging_of(config.merging, BoxProtocol(first.protocol))},
        "labels": first.labels,
        "data": first.data,
    }
    with exclusive(folder, wait=True):
        if not config.rerun and (there := finished_test(folder, identity)):
            return there
        (folder / LOCALISATION_FILE).unlink(missing_ok=True)
        candidates = joined([load_candidates(place) for place in members])
        found = answered(load_answers(next(iter(members))), candidates, identity["settings"]["merging"])
        record = Localisation(
            name=name_of_test(config, folder),
            **identity,
            command=repeat_command("localise.py", ["fuse", *typed]),
            metrics=metrics_of(found),
            cost={"wall_seconds": round(time.perf_counter() - clock, 2), "devices": 1},
            environment=environment(started, gpu=False),
        )
        save_answers(found, folder)
        write_localisation(record, folder)
    return record


def find_members(config: BoxFuseConfig) -> dict[Path, Localisation]:
    """The tests that `config.members` name, by folder.

    Raises:
        UserError: for fewer than two, one named twice, and such as are not of one set of images and guesses.
    """
    folders = [Path(member).resolve() for member in config.members]
    if len(set(folders)) < max(2, len(folders)):
        raise UserError(
            f"members={config.members} are too few, or one of them twice; allowed: two or more different tests "
            "(members=[<folder>,<folder>])."
        )
    for folder in folders:
        if not (folder / LOCALISATION_FILE).is_file():
            raise UserError(
                f"members has {folder}, which holds no test of boxes; make one: python src/localise.py evaluate ..."
            )
    members = {folder: read_localisation(folder) for folder in folders}
    first = next(iter(members))
    for folder, member in members.items():
        if member.protocol == BoxProtocol.ground_truth or len(member.of) > 1:
            raise UserError(
                f"members has {folder}, which is no test of one box regressor over whole images; name such "
                "(protocol=dense or protocol=crops)."
            )
        for what, same in (
            ("protocol", member.protocol == members[first].protocol),
            ("labels", member.labels == members[first].labels),
            ("set of images or boxes", of_images(member) == of_images(members[first])),
        ):
            if not same:
                raise UserError(
                    f"{folder} is of another {what} than {first}; test both alike (protocol=, labels=, data=)."
                )
    return members


def of_images(test: Localisation) -> dict[str, Any]:
    """What a record says of the images and boxes that were tested, by whichever report others were left out."""
    return {key: value for key, value in test.data.items() if key != "skipped"}


def fusion_folder(config: BoxFuseConfig, members: dict[Path, Localisation]) -> Path:
    """Where the fusion lies: `config.output`, or a folder named after the members."""
    first = next(iter(members.values()))
    if config.output is not None:
        protocol, split = BoxProtocol(first.protocol), TestSplit(first.data["split"])
        scales = [weights["scales"] for member in members.values() for weights in member.of]
        return free_output(config, config.output, protocol, scales, split)
    names = "\n".join(member.name for member in members.values())
    digest = hashlib.sha256(names.encode()).hexdigest()[:12]
    return Path(config.paths.runs) / first.data["name"] / "localisations" / f"{len(members)}_nets-{digest}"
