"""Hypothesis strategies that damage good files: as bytes, as text, and as arrays and states with odd parts."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
Bytes = st.SearchStrategy[bytes]

MOST_EDITS = 4
INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
WORD = re.compile(rb"[\w.+-]+")
# What stands where a word stood: numbers that are none, or too large; other types of JSON and YAML; tags, anchors and
# interpolations; what is no text, or leaves the line or the folder.
ODD_WORDS = (
    *(b"", b"0", b"-1", b"1", b"2", b"0.5", b"inf", b"-inf", b"nan", b".inf", b".nan", b"NaN", b"Infinity", b"1e308"),
    *(b"1e400", b"-1e-400", b"9" * 25, b"9" * 5000, b"0x10", b"1_000", b"2026-13-45", b"2026-02-30", b"1:60:60"),
    *(b"null", b"~", b"true", b"False", b"[]", b"{}", b"[[1]]", b"[1, 2]", b"{a: 1}", b'{"a": 1}', b'""', b'"a"'),
    *(b"???", b"${data.name}", b"${oc.env:HOME}", b"&a [*a]", b"*a", b"<<: *a", b"!!python/name:os.system", b"!!set"),
    *(b"\xff\xfe", b"\x00", b"\n", b"\r", b"\t", b"\xc3\xa9", b"\xe2\x80\xa8", b"\\ud800", b"\\u0000", b'"', b"'"),
    *(b"..", b"../..", b"/", b"/etc/passwd", b"a/b", b"." * 300, b"&#0;", b"&lol;", b"<", b"]]>", b"#", b"=", b"\\"),
)
ODD_VALUES = st.sampled_from(
    [
        *(None, True, 0, -1, 2**63, 2**200, 0.5, float("nan"), float("inf"), "", "a", "\ud800", "a\nb", b"a"),
        *([], [1], [[1]], [None] * 2, {}, {"a": 1}, {1: 2}, (), {0}, torch.zeros(2), torch.zeros(0), torch.tensor(1)),
        torch.zeros(1).expand(2**40),
    ]
)


def place(draw: Draw, data: bytes) -> int:
    """Somewhere in `data`, its end included."""
    return int(draw(st.integers(0, len(data))))


def span(draw: Draw, data: bytes) -> tuple[int, int]:
    """A part of `data`, mostly a short one."""
    start = place(draw, data)
    return start, min(len(data), start + draw(st.integers(0, 40) | st.integers(0, len(data))))


def flip(draw: Draw, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    at, bit = place(draw, data), draw(st.integers(0, 7))
    return data[:at] + bytes(byte ^ 1 << bit for byte in data[at : at + 1]) + data[at + 1 :]


def delete(draw: Draw, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    start, end = span(draw, data)
    return data[:start] + data[end:]


def double(draw: Draw, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    start, end = span(draw, data)
    return data[:end] + data[start:]


def insert(draw: Draw, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    at = place(draw, data)
    return data[:at] + draw(st.sampled_from([*tokens]) | st.binary(max_size=8)) + data[at:]


def cut(draw: Draw, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    return data[: place(draw, data)]


def splice(draw: Draw, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    other = draw(st.sampled_from(seeds))
    return data[: place(draw, data)] + other[place(draw, other) :]


def number(draw: Draw, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Overwrite a binary number by an interesting one."""
    at, length = place(draw, data), draw(st.sampled_from([1, 2, 4, 8]))
    value = draw(st.sampled_from(INTEGERS)) % 256**length
    return data[:at] + value.to_bytes(length, draw(st.sampled_from(["big", "little"]))) + data[at + length :]


def word(draw: Draw, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Put something odd, or another word of the file, where a word stands."""
    words = [match.span() for match in WORD.finditer(data)]
    if not words:
        return data
    start, end = draw(st.sampled_from(words))
    other = slice(*draw(st.sampled_from(words)))
    return data[:start] + draw(st.sampled_from([*ODD_WORDS, *tokens, data[other]])) + data[end:]


OF_BYTES = (flip, delete, double, insert, cut, splice, number)
OF_TEXT = (word, word, word, word, *OF_BYTES)


@st.composite
def mutated(
    draw: Draw, seeds: Sequence[bytes], tokens: Sequence[bytes] = (b"\x00",), edits: Sequence[Any] = OF_BYTES
) -> bytes:
    """One of `seeds`, edited up to `MOST_EDITS` times; `tokens` are what such files are made of."""
    data: bytes = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, MOST_EDITS))):
        data = draw(st.sampled_from(edits))(draw, data, seeds, tokens)
    return data


def text(seeds: Sequence[bytes], tokens: Sequence[bytes] = (b"\n",)) -> Bytes:
    """`mutated`, words above all."""
    return mutated(seeds, tokens, OF_TEXT)


def npz(arrays: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def odd_array(draw: Draw, array: np.ndarray) -> Any:
    """An array of other values, another type or another shape."""
    match draw(st.integers(0, 8)):
        case 0:
            return array[: draw(st.integers(0, len(array)))] if array.ndim else array
        case 1:
            return np.concatenate([array, array]) if array.ndim else np.array([array, array])
        case 2:
            return array[None] if draw(st.booleans()) else array.reshape(-1)
        case 3:
            return array.astype(draw(st.sampled_from([object, np.str_])))
        case 4:
            return np.array(draw(ODD_VALUES.filter(lambda value: not isinstance(value, torch.Tensor))), dtype=object)
        case 5:
            return np.zeros(
                draw(st.lists(st.integers(0, 3), max_size=4)), draw(st.sampled_from(["f4", "i8", "U2", "S2", "?"]))
            )
    if array.dtype.kind not in "iufb" or not array.size:
        return np.full(array.shape, draw(st.sampled_from(["", "a", "cat_000.png", "\ud800"])))
    flat = array.copy().reshape(-1)
    dtype = draw(st.sampled_from([array.dtype, np.dtype("f8"), np.dtype("i8"), np.dtype("u8"), np.dtype("c16")]))
    flat = flat.astype(dtype)
    with np.errstate(all="ignore"):
        flat[draw(st.integers(0, len(flat) - 1))] = np.float64(
            draw(st.sampled_from([-1, 0, 1, 7, 1e9, -(2.0**62), np.nan, np.inf]))
        ).astype(dtype)
    return flat.reshape(array.shape)


@st.composite
def odd_npz(draw: Draw, seeds: Sequence[Mapping[str, np.ndarray]]) -> bytes:
    """One of `seeds` with an array or two left out, added or made odd, perhaps damaged as bytes, too."""
    arrays: dict[str, Any] = dict(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(arrays) or [""]))
        if draw(st.integers(0, 5)) and name:
            arrays[name] = odd_array(draw, np.asarray(arrays[name]))
        else:
            arrays.pop(name, None)
    data = npz(arrays)
    return draw(mutated([data])) if draw(st.booleans()) else data


def saved(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


@st.composite
def odd_state(draw: Draw, seeds: Sequence[Any]) -> bytes:
    """One of `seeds`, nested dicts, with an entry or two left out or made odd, as torch saves it; perhaps damaged as
    bytes, too."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 2))):
        content = with_odd_part(draw, content)
    data = saved(content)
    return draw(mutated([data])) if draw(st.booleans()) else data


def with_odd_part(draw: Draw, content: Any) -> Any:
    """`content` with something odd at its own place, or deeper in it."""
    if not isinstance(content, dict) or not content or not draw(st.integers(0, 5)):
        return draw(ODD_VALUES)
    key = draw(st.sampled_from(list(content)))
    rest = {name: value for name, value in content.items() if name != key}
    match draw(st.integers(0, 7)):
        case 0:
            return rest
        case 1:
            return rest | {draw(st.sampled_from(["other", 7, None, "a.b"])): content[key]}
    return content | {key: with_odd_part(draw, content[key])}
