"""The members of a fusion: which evaluations are meant. Needs no torch, so that a finished fusion is told at once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from vggsuite.config import FuseConfig
from vggsuite.data.scale import Scale, parse_test_scales
from vggsuite.errors import UserError
from vggsuite.naming import repeat_command
from vggsuite.results.record import (
    EVALUATION_FILE,
    RECORD_FILE,
    Evaluation,
    as_member,
    current_evaluation,
    evaluation_folder,
    part_folders,
    read_evaluation,
    read_record,
    refuse_circle,
)
from vggsuite.results.run_folder import weights_of


def find_members(config: FuseConfig) -> dict[Path, Evaluation]:
    """The evaluations that `config.members` name, by folder.

    Raises:
        UserError: for fewer than two, one named twice, one that does not exist, and such as are not of one data set.
    """
    folders = [member_folder(Path(member), config) for member in config.members]
    if len(folders) < 2:
        raise UserError(f"members={config.members} are too few; allowed: two or more (members=[<folder>,<folder>]).")
    twice = next((folder for folder in folders if folders.count(folder) > 1), None)
    if twice:
        raise UserError(f"members has {twice} twice, which would count double; name each once.")
    members = {folder: read_evaluation(folder) for folder in folders}
    fusions = [folder for folder, member in members.items() if len(member.of) > 1]
    if fusions:
        raise UserError(f"members has {fusions[0]}, which is a fusion itself; name its members, each once.")
    for folder in folders:
        for part in parts_of(folder):
            if part in members:
                raise UserError(
                    f"members has {part}, which is part of {folder} and would count double; name one of them."
                )
    first, *others = members.items()
    for folder, other in others:
        for key, told in (("fingerprint", "other images"), ("num_classes", "another number of classes")):
            if other.data[key] != first[1].data[key]:
                raise UserError(f"{folder} was evaluated on {told} than {first[0]}; evaluate both on one data set.")
    return members


def parts_of(folder: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    """The evaluations that the one in `folder` is a mean of, theirs included; `above` are those that it is a part of.

    Raises:
        UserError: for one that is missing, or a part of itself.
    """
    refuse_circle(folder, above)
    if not (folder / EVALUATION_FILE).is_file():
        raise UserError(f"{folder} is missing, a part of {above[-1]}; repeat that with rerun=true.")
    places = part_folders(read_evaluation(folder), folder)
    return [part for place in places for part in (place, *parts_of(place, (*above, folder)))]


def member_folder(member: Path, config: FuseConfig) -> Path:
    """The folder of the evaluation that `member` means: itself, or that of a run by the protocol of `config`."""
    if (member / EVALUATION_FILE).is_file():
        return member.resolve()
    if not (member / RECORD_FILE).is_file():
        raise UserError(
            f"members has {member}, which holds neither a finished run nor an evaluation; name folders of such."
        )
    run = read_record(member)
    scales = parse_test_scales(config.scales, Scale(*run.train_scale), run.data["crop"])
    protocol = run.protocol(config.protocol, scales)
    folder = evaluation_folder(member, protocol)
    weights = weights_of(run.name, member, run.environment["started"])
    if not current_evaluation(folder, weights, {"fingerprint": run.data["fingerprint"]}):
        words = [f"run={member}", f"protocol={config.protocol}", f"scales={config.scales}".replace(" ", "")]
        raise UserError(
            f"members has {member}, which has no evaluation {protocol.name} of its weights yet; make it with: "
            f"{repeat_command('evaluate.py', words)}"
        )
    return folder.resolve()


def fusion_folder(config: FuseConfig, members: Sequence[Evaluation]) -> Path:
    """Where the fusion lies: `config.output`, or a folder named after the members.

    Raises:
        UserError: for an output that holds a run, or an evaluation of another kind.
    """
    if not config.output:
        digest = hashlib.sha256("\n".join(member.name for member in members).encode()).hexdigest()[:12]
        return Path(config.paths.runs) / members[0].data["name"] / "fusions" / f"{len(members)}_nets-{digest}"
    folder = Path(config.output)
    own = [member.name for member in members]
    there = read_evaluation(folder).members if (folder / EVALUATION_FILE).is_file() else None
    other = there is not None and [member["name"] for member in there] != own
    if (folder / RECORD_FILE).is_file() or (other and not config.rerun):
        raise UserError(
            f"output={folder} holds a run, an evaluation or another fusion, which this one would replace; name another."
        )
    return folder


def finished_fusion(folder: Path, members: Sequence[Evaluation]) -> Evaluation | None:
    """The record of the fusion of just these evaluations in `folder`, if there is one."""
    if not (folder / EVALUATION_FILE).is_file():
        return None
    record = read_evaluation(folder)
    same_nets = record.of == [weights for member in members for weights in member.of]
    same = same_nets and record.members == [as_member(member) for member in members]
    return record if same and record.data["fingerprint"] == members[0].data["fingerprint"] else None
