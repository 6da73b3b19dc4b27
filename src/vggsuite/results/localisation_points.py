"""The figures of Tables 8, 9 and 10 (appendix A): which experiments there are, and the tests of those that exist."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vggsuite.errors import UserError
from vggsuite.results.localisation_records import (
    LOCALISATION_FILE,
    LOCALISER_FILE,
    Localisation,
    read_localisation,
    read_localiser,
)

TITLES = {
    8: "box regression, given the class, on the central crop",
    9: "localisation, top-5, over whole images",
    10: "the state of the art of localisation in 2014",
}
TRAINED = ("table8/scr_fc", "table8/pcr_fc", "table8/pcr_all", "table8/pcr_all_256")
WAYS = {"": "map", "_crops": "crops"}  # how the nets see the places of an image, by the endings of experiments' names
TESTED = tuple(f"table9/{name}{ending}" for ending in WAYS for name in ("s256", "s384", "s384_two", "fusion"))


@dataclass(frozen=True)
class Found:
    """A test that a table shows: its folder, and its record."""

    folder: Path
    record: Localisation

    @property
    def name(self) -> str:
        """Its folder below `runs/`."""
        return str(self.record.name)


BySeed = Mapping[int, Found]
Localisations = Mapping[str, BySeed]  # by experiment


def collect_localisations(runs: Path, *, data: str, variant: str) -> Localisations:
    """The tests below `runs` that the tables show, of one data set and one variant of the classification runs.

    Raises:
        UserError: where they are of different images.
    """
    found: dict[str, dict[int, Found]] = {}
    for experiment in (*TRAINED, *TESTED):
        for place in sorted((runs / data / f"{experiment}{variant}").glob("seed_*")):
            folder = test_of_training(place) if experiment in TRAINED else place
            seed = re.fullmatch(r"seed_(\d+)", place.name)
            if seed and folder and (folder / LOCALISATION_FILE).is_file():
                found.setdefault(experiment, {})[int(seed[1])] = Found(folder, read_localisation(folder))
    refuse_different_images([each for by_seed in found.values() for each in by_seed.values()])
    return found


def refuse_different_images(found: Sequence[Found]) -> None:
    """Make sure that all figures are on the same images and boxes."""
    for each in found:
        for key in ("fingerprint", "boxes"):
            if each.record.data[key] != found[0].record.data[key]:
                raise UserError(
                    f"{each.folder} and {found[0].folder} were tested on different images or boxes; repeat one of them "
                    "(rerun=true) or move it away."
                )


def test_of_training(run: Path) -> Path | None:
    """The folder of the test that ended the training of a box regressor; None where none has ended."""
    if not (run / LOCALISER_FILE).is_file():
        return None
    return run / read_localiser(run).test["folder"]
