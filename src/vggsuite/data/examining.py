"""What is wrong with one encoded image."""

import io
import os
import warnings
from typing import NamedTuple

from PIL import Image

from vggsuite.data import images, jpeg
from vggsuite.data.config import Problem
from vggsuite.errors import first_line

SAME_FORMAT = {"MPO": "JPEG"}  # JPEGs of several pictures, as some cameras write them, begin with a whole one
PREMATURE = "premature end"  # in what libjpeg-turbo says of data that end too early
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND\xaeB`\x82", b"GIF8": b";"}  # of formats, by how they begin


class Fault(NamedTuple):
    """A problem of an image, and what exactly it is, in one line."""

    kind: Problem
    reason: str


def examine(data: bytes, name: str, *, smallest: int, by_ending: bool = True) -> list[Fault]:
    """What is wrong with an image.

    Args:
        data: its file's content.
        name: of its file.
        smallest: a smaller side of fewer pixels is a problem.
        by_ending: whether the name's ending tells the format.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is in its EXIF data, and of large images, which training reads
        try:
            faults = seen_in_header(data, name, smallest, by_ending=by_ending)
        except Exception as error:  # whatever a decoder makes of bytes that are no image
            return [unread(data, error)]
        try:
            images.decode(io.BytesIO(data))
        except Exception as error:
            return [unread(data, error), *faults]
    return [*seen_by_turbo(data), *faults]


def seen_in_header(data: bytes, name: str, smallest: int, *, by_ending: bool) -> list[Fault]:
    """What the header tells; raises whatever Pillow does."""
    faults = []
    with Image.open(io.BytesIO(data)) as image:
        kind = SAME_FORMAT.get(str(image.format), image.format)
        ending = os.path.splitext(name)[1].lower()
        promised = Image.registered_extensions().get(ending)
        if by_ending and promised != kind:
            faults.append(Fault(Problem.wrong_extension, f"{kind} by its content"))
        if image.mode == "CMYK":
            faults.append(Fault(Problem.cmyk, "YCCK" if image.info.get("adobe_transform") == 2 else "CMYK"))
        if min(image.size) < smallest:
            faults.append(Fault(Problem.tiny, "{} x {} pixels".format(*image.size)))
    return faults


def unread(data: bytes, error: Exception) -> Fault:
    """What kept Pillow from reading an image."""
    reason = images.reason_of(error) if data else "the file is empty"
    cut = "truncated" in reason.lower() or is_cut_off(data)
    return Fault(Problem.truncated if cut else Problem.unreadable, reason)


def is_cut_off(data: bytes) -> bool:
    """Whether what begins as an image does not end as one."""
    if data.startswith(b"RIFF"):
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    end = next((end for begin, end in ENDS.items() if data.startswith(begin)), b"")
    return not data.rstrip(b"\0").endswith(end)


def seen_by_turbo(data: bytes) -> list[Fault]:
    """What libjpeg-turbo, which training reads plain JPEGs with, says of one that Pillow reads: it fills with grey what
    is missing, and goes on where it can."""
    header = jpeg.read_header(data)
    if header is None:
        return []
    try:
        jpeg.decode_upright(data, header, rows=header.size[1], reduction=1)
    except ValueError as error:
        reason = first_line(error)
        return [Fault(Problem.truncated if PREMATURE in reason.lower() else Problem.damaged, reason)]
    return []
