"""A user's own token counts as a rank law, and the Zipf law nearest to it.

`load_counts` reads a table of counts (``.csv``, ``.tsv``, ``.npy``) or any text file or pipe,
tokenised by whitespace; without a file the corpus is the docstrings of Python's standard library.
`RankLaw` holds the empirical rank-frequency law and its fitted Zipf exponent. What
arXiv 2402.07043 predicts for it is the study ``tail-collapse.corpus``:

>>> import simulator
>>> from simulator.data.corpus import corpus
>>> law = corpus("words.txt")
>>> simulator.predict("tail-collapse.corpus", num_samples=1e6, cutoff=100, **law.parameters())
"""

import ast
import math
import os
import re
import sysconfig
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import optimize, special

from simulator.data.files import (  # isort: skip
    DataError, check_widths, checked_path, is_number, kind_of, read_npy, read_rows, shown, text,
)  # fmt: skip
from simulator.checks import plain_array
from simulator.data.checks import number, numbers
from simulator.equality import ByValue
from simulator.large_array import LargeArray

MIN_TOKENS = 20
#: Totals are summed and drawn as 64-bit integers.
MAX_TOTAL = 2**63 - 1
#: What a header calls the column of counts.
COUNT_NAMES = ("count", "counts", "frequency", "frequencies", "freq", "occurrences", "n")
_MODULE_LIMIT = 100_000  # bytes of one source file of the standard library
_NO_TEXT = (".json", ".jsonl", ".npz", ".parquet", ".xls", ".xlsx")
#: Thai, Lao, Myanmar, Khmer, kana and ideographs: scripts that put no blanks between words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af]"
)
_LONGEST_MEAN_WORD = 5.0  # characters; segmented text of these scripts stays below
_THOUSANDS = re.compile(r"[+-]?\d{1,3}\.\d{3}", re.ASCII)
#: A line of at most three cells, the first or last of which is a whole number.
_ROW_OF_TABLE = re.compile(r"(?:\S+?[\s,;]+){0,2}\d+|\d+(?:[\s,;]+\S+?){1,2}")


# --------------------------------------------------------------------------------------------
# Counts
# --------------------------------------------------------------------------------------------
def load_counts(
    path: str | os.PathLike[str] | None = None, kind: Literal["counts", "tokens"] | None = None
) -> np.ndarray:
    """Counts per distinct token, in decreasing order.

    Parameters
    ----------
    path : str or path-like, optional
        The docstrings of Python's standard library unless given.
    kind : {"counts", "tokens"}, optional
        What the numbers of a ``.npy`` file are: how often each token occurs, or the tokens of a
        text, one after the other. It must be said unless the numbers are in order, as counts are.

    In a table (``.csv``, ``.tsv``, also ``.gz``) the counts are the column that the header calls
    ``count``, ``counts``, ``frequency``, ``frequencies``, ``freq``, ``occurrences`` or ``n``.
    Without a header they are the only column of numbers. Any other name is that of a text, whose
    tokens are what whitespace separates.

    Raises
    ------
    DataError
        One line, if the file is missing or empty, holds something else than whole counts, or could
        be read in two ways.
    """
    if path is None:
        return token_counts(standard_library_words())
    path = checked_path(path)
    ending = kind_of(path)
    if kind not in (None, "counts", "tokens"):
        raise ValueError(f"kind = {kind!r}; allowed: 'counts' or 'tokens'")
    if ending == ".npy":
        return checked_counts(_counts_of_array(read_npy(path), kind, str(path)), str(path))
    if kind is not None:
        raise DataError(
            f"{path}: kind = {kind}; allowed: for .npy files, whose numbers may be both"
        )
    if ending in (".csv", ".tsv"):
        return checked_counts(_counts_of_table(path), str(path))
    if ending in _NO_TEXT:
        raise DataError(f"{path}: unknown format; allowed: .csv, .tsv, .npy, or plain text")
    return checked_counts(token_counts(_words(path)), str(path))


def _counts_of_array(array: np.ndarray, kind: str | None, name: str) -> np.ndarray:
    """The array if it holds counts, the counts of its values if it holds a text."""
    flat = array.ravel()
    in_order = array.ndim == 1 and (np.all(flat[1:] <= flat[:-1]) or np.all(flat[1:] >= flat[:-1]))
    if kind == "counts" or (kind is None and (in_order or array.dtype.kind not in "iu")):
        return array
    if kind is None:
        raise DataError(
            f"{name}: {array.size} whole numbers in no order could be counts of tokens, or the "
            "tokens of a text; allowed: --kind counts or --kind tokens (kind=... in Python)"
        )
    if array.dtype.kind not in "iu":
        raise DataError(f"{name}: tokens have type {array.dtype}; allowed: whole numbers")
    return np.sort(np.unique(flat, return_counts=True)[1])[::-1]


def _words(path: Path) -> list[str]:
    """The tokens of a text, unless blanks do not separate its words or it is a table."""
    content = text(path)
    words = content.split()
    characters = sum(map(len, words))
    if 2 * len(_UNSPACED.findall(content)) > characters and characters > _LONGEST_MEAN_WORD * len(
        words
    ):
        raise DataError(
            f"{path}: this script puts no blanks between words; allowed: a text segmented into "
            "words by blanks, or a table of counts (.csv, .tsv)"
        )
    lines = [line.strip() for line in content.split("\n") if line.strip()]
    rows = lines[1:]  # below what may be a header
    if len(rows) > 1 and all(len(x) < 200 and _ROW_OF_TABLE.fullmatch(x) for x in rows):
        raise DataError(
            f"{path}: every line looks like a row of a table, such as {shown(rows[0])}; allowed: "
            "the ending .csv or .tsv for a table of counts, several tokens a line for a text"
        )
    return words


def _counts_of_table(path: Path) -> np.ndarray:
    rows = read_rows(path)
    check_widths(rows, path.name)
    width = len(rows[0])
    named = [j for j, cell in enumerate(rows[0]) if cell.casefold() in COUNT_NAMES]
    header = f"a header with one column named {', '.join(COUNT_NAMES[:-1])} or {COUNT_NAMES[-1]}"
    if not any(map(is_number, rows[0])):  # a row of data has its count
        if len(named) != 1:
            raise DataError(
                f"{path}: the first row ({shown(', '.join(rows[0]))}) holds no plain number and "
                f"{len(named)} names of a column of counts; allowed: counts such as 500000, or "
                f"{header}"
            )
        column, body = named[0], rows[1:]
    else:
        numeric = [j for j in range(width) if all(is_number(row[j]) for row in rows)]
        if len(numeric) > 1:
            raise DataError(
                f"{path}: {len(numeric)} columns hold numbers; allowed: one, or {header}"
            )
        # The column that fails in the fewest rows is the one to complain about.
        column = max(range(width), key=lambda j: (sum(is_number(row[j]) for row in rows), j))
        body = rows
    if not body:
        raise DataError(f"{path}: only a header; allowed: one row per token below it")
    return _exact([_count(row[column], path, number) for number, row in enumerate(body, 1)])


def _count(cell: str, path: Path, row: int) -> int:
    value = Decimal(cell) if is_number(cell) else None
    if value is None or value.adjusted() > 30 or value != value.to_integral_value() or value < 0:
        raise DataError(f"{path}: data row {row}: {shown(cell)}; allowed: a whole count >= 0")
    if _THOUSANDS.fullmatch(cell):
        raise DataError(
            f"{path}: data row {row}: {shown(cell)} could be {int(value)} or "
            f"{cell.replace('.', '')}; allowed: counts without a point"
        )
    return int(value)


def _exact(counts: list[int]) -> np.ndarray:
    """As int64, or as Python's numbers where one of them is too large for that."""
    return np.array(counts, dtype=np.int64 if max(counts) <= MAX_TOTAL else object)


def token_counts(tokens: Iterable[str]) -> np.ndarray:
    """How often each distinct token occurs, in decreasing order."""
    return np.array(sorted(Counter(tokens).values(), reverse=True), dtype=np.int64)


def standard_library_words() -> list[str]:
    """Lower-case words of the docstrings in Python's standard library: real text everywhere."""
    words: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if path.stat().st_size > _MODULE_LIMIT:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                words.extend((ast.get_docstring(node) or "").lower().split())
    return words


def checked_counts(values: Any, name: str) -> np.ndarray:
    """Positive whole numbers, sorted; zeros (words that never occur) are dropped.

    Raises
    ------
    DataError
        For anything else, for fewer than ``MIN_TOKENS``, and for a total beyond 64 bits.
    """
    try:
        array = plain_array(values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: counts: {error}; allowed: one column of numbers") from error
    if array.ndim != 1 or not (array.dtype.kind in "iuf" or _all_whole(array)):
        raise DataError(
            f"{name}: counts must be one column of numbers, not {array.dtype} of shape "
            f"{array.shape}"
        )
    if array.dtype.kind == "f" and not np.all(np.isfinite(array) & (array == np.round(array))):
        raise DataError(f"{name}: counts must be whole numbers >= 0")
    if np.any(array < 0):
        raise DataError(f"{name}: counts must be whole numbers >= 0")
    exact = sorted((int(count) for count in array[array > 0].tolist()), reverse=True)
    if sum(exact) > MAX_TOTAL:
        raise DataError(f"{name}: the counts sum to {sum(exact)}; allowed: below 2^63")
    array = np.array(exact, dtype=np.int64)
    if len(array) < MIN_TOKENS:
        raise DataError(f"{name}: {len(array)} distinct tokens; at least {MIN_TOKENS} are needed")
    if array[0] == array[-1]:
        raise DataError(f"{name}: all counts are equal; a rank law needs variation")
    return array


def _all_whole(array: np.ndarray) -> bool:
    """Python's own whole numbers, which know no limit."""
    return array.dtype.kind == "O" and all(type(value) is int for value in array.flat)


# --------------------------------------------------------------------------------------------
# The empirical law
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False, repr=False)
class RankLaw(ByValue):
    """The rank-frequency law of a corpus.

    Attributes
    ----------
    counts : (num_tokens,) decreasing counts
    exponent, exponent_error : float
        Maximum-likelihood Zipf exponent on the finite vocabulary and its standard error. The
        error allows for the law not being Zipf's (sandwich estimate): it is that of the exponent
        nearest to the truth (in relative entropy).
    """

    counts: np.ndarray
    exponent: float
    exponent_error: float

    def __post_init__(self):
        counts = numbers("counts", self.counts, 0)
        if counts.ndim != 1 or not len(counts) or not counts[0] or np.any(np.diff(counts) > 0):
            raise ValueError("counts are not allowed; allowed: one decreasing row of numbers > 0")
        number("exponent", self.exponent)
        number("exponent_error", self.exponent_error, 0)

    @property
    def probabilities(self) -> np.ndarray:
        return self.counts / self.counts.sum(dtype=float)

    @property
    def fitted(self) -> np.ndarray:
        """Zipf probabilities of the fitted exponent on the same vocabulary."""
        return _zipf(len(self.counts), self.exponent)

    @property
    def misfit(self) -> float:
        """Share of the tokens that Zipf's law would put elsewhere: among ranks 1, 2-3, 4-7, ..."""
        return float(np.abs(_octaves(self.probabilities) - _octaves(self.fitted)).sum() / 2)

    @property
    def misfit_of_sampling(self) -> float:
        """The misfit that a text of this length, drawn from the fitted law, has on average."""
        p, total = _octaves(self.fitted), self.counts.sum(dtype=float)
        return float(np.sum(np.sqrt(2 * p * (1 - p) / (np.pi * total))) / 2)

    def local_exponents(self) -> dict[tuple[int, int], float]:
        """Zipf exponents of ranks 1 to 10, 10 to 100, ...: all alike for a power law."""
        ends = [10**k for k in range(9) if 10**k < len(self.counts)]
        pairs = zip(ends, [*ends[1:], len(self.counts)], strict=True)
        log = np.log(self.counts)
        return {
            (a, b): float((log[a - 1] - log[b - 1]) / math.log(b / a)) for a, b in pairs if b > a
        }

    def __str__(self) -> str:
        local = ", ".join(f"{b:.2f} ({i}-{j})" for (i, j), b in self.local_exponents().items())
        ratio = self.misfit / self.misfit_of_sampling
        verdict = "as a Zipf law" if ratio < 3 else "no pure power law"
        return (
            f"{self.counts.sum(dtype=float):.0f} tokens, {len(self.counts)} distinct; "
            f"β = {self.exponent:.4f} ± {self.exponent_error:.4f} (if it were a Zipf law); misfit "
            f"{self.misfit:.1%} of the tokens, {ratio:.1f} times what sampling explains: "
            f"{verdict}; by ranks {local}"
        )

    def parameters(self) -> dict[str, LargeArray]:
        """What the study ``tail-collapse.corpus`` takes."""
        return {"counts": LargeArray.of(self.counts)}


def fit(counts: np.ndarray) -> RankLaw:
    """The rank law of a corpus, with its maximum-likelihood Zipf exponent."""
    counts = checked_counts(counts, "counts")
    return RankLaw(counts, *fit_ordered(counts))


def fit_ordered(counts: np.ndarray) -> tuple[float, float]:
    """Zipf exponent and standard error of counts whose order is the order of the ranks.

    The likelihood ``sum_i n_i log p_i(beta)``, ``p_i ~ i^-beta`` on the given ranks, is concave;
    its maximum solves ``mean log rank = -(log H_N)'(beta)``. Ranks that are read off the counts
    themselves make the law look steeper where counts are small.
    """
    counts = numbers("counts", counts, 0)
    if counts.ndim != 1 or np.count_nonzero(counts) < 2:
        raise ValueError("counts are not allowed; allowed: one row with at least two above 0")
    log_rank = np.log(np.arange(1, len(counts) + 1))
    total = counts.sum()
    observed = counts @ log_rank / total

    def score(beta: float) -> float:
        return float(_zipf(len(counts), beta) @ log_rank - observed)

    low, high = -50.0, 50.0
    while score(low) < 0:
        low *= 2
    while score(high) > 0:
        high *= 2
    beta = float(optimize.brentq(score, low, high))
    p = _zipf(len(counts), beta)
    information = p @ log_rank**2 - (p @ log_rank) ** 2
    variance = counts @ (log_rank - observed) ** 2 / total
    return beta, float(math.sqrt(variance / total) / information)


def corpus(
    path: str | Path | None = None, kind: Literal["counts", "tokens"] | None = None
) -> RankLaw:
    """Load (`load_counts`) and fit; the standard library's docstrings by default."""
    return fit(load_counts(path, kind))


def _zipf(num_tokens: int, beta: float) -> np.ndarray:
    return special.softmax(-beta * np.log(np.arange(1, num_tokens + 1)))


def _octaves(p: np.ndarray) -> np.ndarray:
    """The mass of ranks 1, 2-3, 4-7, ...: blocks so large that sorting hardly moves them."""
    return np.add.reduceat(p, 2 ** np.arange(int(math.log2(len(p))) + 1) - 1)
