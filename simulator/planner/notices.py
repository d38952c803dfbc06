"""What a table or a fit has to say beside its numbers: refusals and notices, each of one line."""

from typing import Any, NamedTuple


class Notice(NamedTuple):
    """Something that a reader of a fit must know.

    Attributes
    ----------
    code : str
        ``N-`` and a word.
    text : str
    """

    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class TableError(ValueError):
    """A table that cannot be fitted; the message is one line.

    Attributes
    ----------
    code : str
        ``E-`` and a word.
    """

    def __init__(self, code: str, text: str):
        super().__init__(" ".join(f"{code} {text}".split()))
        self.code = code


def cell(role: str, name: str, row: int, value: Any, what: str) -> str:
    """Column, row, value, and what is wrong with it or allowed.

    Parameters
    ----------
    role, name : str
        What the column is, and what it is called.
    row : int
        Of the data, the first is 1.
    value : object
    what : str
    """
    column = role if _plain(role) == _plain(name) else f"{role} ({name})"
    shown = f"{value:g}" if isinstance(value, float) else repr(str(value)[:40])
    return f"{column}, row {row}: {shown} {what}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
