"""Fetches a data set by torchvision: `python -m vggsuite.data.download caltech101 datasets/caltech101`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from torchvision import datasets


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
    FETCHERS[arguments.data](arguments.root)


if __name__ == "__main__":
    main()
