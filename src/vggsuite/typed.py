"""Whether what a file holds is of the types that a dataclass declares; pydantic judges."""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Kind = TypeVar("Kind")


def typed_json(kind: type[Kind], text: bytes) -> Kind:
    """The `kind`, a dataclass or a TypedDict, that is written in JSON; nothing is converted, a number in quotes is no
    number.

    Raises:
        ValueError: naming the first field that is missing or of another type.
    """
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from error


def typed(kind: type[Kind], content: Any) -> Kind:
    """`content`, if it is of the `kind`, a TypedDict or any other type; raises as `typed_json`."""
    try:
        return TypeAdapter(kind).validate_python(content, strict=True)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from error


def first_fault(error: ValidationError) -> str:
    """The first field that is wrong, and how."""
    found: Any = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}" if found["loc"] else str(found["msg"])
