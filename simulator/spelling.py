"""What somebody may have meant by a name that there is not. Imports nothing heavy."""

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """``"; did you mean 'ridge'?"`` for the nearest allowed name, or those that begin like it."""
    known = list(allowed)
    near = difflib.get_close_matches(name, known, n=1)
    if not near and name:
        near = [one for one in known if one.startswith(name) and "." not in one][:3]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def meant(name: str, symbols: Mapping[str, Sequence[str]]) -> list[str]:
    """The names of ``symbols`` that ``name`` may stand for: by their symbols, or by likeness.

    Parameters
    ----------
    name : what was given: ``"n"``, ``"λ"``, ``"lambda"``, ``"sigma_0"``, ``"rigde"``
    symbols : mapping from the names that there are to their symbols, the most telling first
    """
    written = in_ascii(name)
    for rank in range(max(map(len, symbols.values()), default=0)):
        exact = [
            known
            for known, letters in symbols.items()
            if written and written in map(in_ascii, letters[rank : rank + 1])
        ]
        if exact:
            return exact
    return difflib.get_close_matches(name, list(symbols), n=1)


def in_ascii(symbol: str) -> str:
    """A symbol as one types it: ``λ`` is ``lambda``, ``σ₀`` and ``sigma_0`` are ``sigma0``."""
    letters = []
    for letter in unicodedata.normalize("NFKD", symbol):
        words = unicodedata.name(letter, "").split()
        if words[:1] == ["GREEK"] and "LETTER" in words:
            greek = words[words.index("LETTER") + 1].lower().replace("lamda", "lambda")
            letters.append(greek if words[1] == "SMALL" else greek.capitalize())
        elif letter.isascii() and letter.isalnum():
            letters.append(letter)
        elif letter == "ℓ":
            letters.append("l")
    return "".join(letters)
