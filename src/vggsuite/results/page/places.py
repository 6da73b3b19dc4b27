"""Paths as a page that is sent to others may show them: without where they lie on the machine that they are of."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from vggsuite.config import PathsConfig

AFTER = r"(?<![\w./~}<-])"  # no path begins within a word, nor after what stands for a folder
FIRST, WORD = r"(?=[\w.@~+-])", r"""[^\s"',;:)\]}]"""
HOME = re.compile(rf"{AFTER}/(?:home|Users)/[^/\s\"',;:)\]}}]+")
# What is absolute: a value of YAML, which may have blanks, a quoted one, and a word.
ANY = re.compile(rf"""(?<=: )/{FIRST}[^\n"']+$|(?<=")/{FIRST}[^"\n]+(?=")|(?:{AFTER}|(?<=//))/{FIRST}{WORD}+""", re.M)
SAVED_PATHS = re.compile(r"^paths:\n((?: +.*\n?)*)", re.M)
SAVED_PATH = re.compile(r"^ +(root|datasets|runs): ['\"]?(.*?)['\"]?$", re.M)


def places_of(paths: PathsConfig) -> dict[str, str]:
    """What stands for the folders of this machine."""
    home = os.environ.get("HOME", "").rstrip("/")
    return ({home: "~"} if home else {}) | named({"root": paths.root, "datasets": paths.datasets, "runs": paths.runs})


def saved_places(config: str) -> dict[str, str]:
    """What stands for the folders that a run's saved config tells, maybe of another machine."""
    found = SAVED_PATHS.search(config)
    return named(dict(SAVED_PATH.findall(found[1]))) if found else {}


def named(paths: Mapping[str, str]) -> dict[str, str]:
    """What stands for folders: "." for the project's, where all paths begin that lie in it, and {runs} or {datasets}
    for those that do not."""
    absolute = {name: path.rstrip("/") for name, path in paths.items() if path.startswith("/") and path.strip("/")}
    root = absolute.pop("root", None)
    outside = {path: f"{{{name}}}" for name, path in absolute.items() if not (root and Path(path).is_relative_to(root))}
    return outside | ({root: "."} if root else {})


def without_places(text: str, places: Mapping[str, str]) -> str:
    """`text` without absolute paths: of one that lies nowhere known, {elsewhere} and the last name are left.

    Args:
        text: of any kind.
        places: what stands for folders.
    """
    for place in sorted(places, key=len, reverse=True):
        begin, word = f"{AFTER}{re.escape(place)}", places[place]
        text = re.sub(rf"{begin}/+{FIRST}", "" if word == "." else f"{word}/", text)
        text = re.sub(rf"{begin}/*(?![\w.@~+-])", word, text)
    text = HOME.sub("~", text)
    return ANY.sub(lambda found: "{elsewhere}/" + found[0].rstrip("/").rpartition("/")[2], text)
