"""The one kind of error that is the user's to mend; everything else is a defect and keeps its traceback."""


class UserError(ValueError):
    """A wrong input, told in one sentence: the value, what is allowed, and the override to type."""
