"""Fetches a data set by torchvision: `python -m vggsuite.data.download caltech101 datasets/caltech101`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from torchvision import datasets

from vggsuite.data.archives import plain_files_only
from vggsuite.errors import UserError


def voc(year: str, *image_sets: str) -> Callable[[Path], None]:
    """What fetches these image sets of VOC."""

    def fetch(root: Path) -> None:
        for image_set in image_sets:
            datasets.VOCDetection(root, year=year, image_set=image_set, download=True)

    return fetch


FETCHERS: dict[str, Callable[[Path], object]] = {
    "voc2007": voc("2007", "trainval", "test"),
    "voc2012": voc("2012", "trainval"),
    "caltech101": lambda root: datasets.Caltech101(root, download=True),
    "caltech256": lambda root: datasets.Caltech256(root, download=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=FETCHERS)
    parser.add_argument("root", type=Path, help="the folder to put it in, to be typed as data.root")
    arguments = parser.parse_args()
    arguments.root.mkdir(parents=True, exist_ok=True)
    try:
        with plain_files_only(arguments.root):
            FETCHERS[arguments.data](arguments.root)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
