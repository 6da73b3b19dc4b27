"""The one kind of error that is the user's to mend; everything else is a defect and keeps its traceback."""


class UserError(ValueError):
    """A wrong input, told in one sentence: the value, what is allowed, and the override to type."""


def first_line(error: Exception) -> str:
    """The first line of an error's message, to be put into a sentence."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def last_sentence(text: str) -> str:
    """The sentence of a `UserError` from its message, or from the traceback that another process wrapped around it."""
    return text.strip().split("\n")[-1].removeprefix(f"{UserError.__module__}.{UserError.__name__}: ")


def printable(text: str) -> str:
    """`text`, perhaps a file's name, in one line: bytes that are no text, line breaks, and all else that steers a
    terminal as Python writes it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
