"""A user's own token counts as a Zipf law: what theory predicts for that corpus, and a simulation.

`load_counts` reads a table of counts (``.csv``, ``.tsv``: the last numeric column; ``.npy``) or
any text file, tokenised by whitespace; without a file the corpus is the docstrings of Python's
standard library. `RankLaw` holds the empirical rank-frequency law and its fitted Zipf exponent,
and predicts what arXiv 2402.07043 predicts for an ideal Zipf law: the learning curve of an
infinite memory, its plateau when training data lose the tail, the sample size at which a small
share of real data brings the curve down again. The sums are over the corpus' own frequencies; the
fitted law is drawn beside them.
"""

import ast
import csv
import math
import sysconfig
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import optimize, special

from simulator.data.loading import DataError

MIN_TOKENS = 20
_MODULE_LIMIT = 100_000  # bytes of one source file of the standard library


# --------------------------------------------------------------------------------------------
# Counts
# --------------------------------------------------------------------------------------------
def load_counts(path: str | Path | None = None) -> np.ndarray:
    """Counts per distinct token, in decreasing order.

    Raises
    ------
    DataError
        If the file is missing, empty, or holds something else than whole counts above 0.
    """
    if path is None:
        return token_counts(standard_library_words())
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix == ".npy":
        try:
            return checked_counts(np.load(path, allow_pickle=False), str(path))
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error
    if path.suffix in (".csv", ".tsv"):
        return checked_counts(_last_numeric_column(path), str(path))
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; give .csv, .tsv, .npy or plain text") from error
    return checked_counts(token_counts(text.split()), str(path))


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


def checked_counts(values: np.ndarray, name: str) -> np.ndarray:
    """Positive whole numbers, sorted; zeros (words that never occur) are dropped."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise DataError(f"{name}: counts must be one column of numbers, not shape {array.shape}")
    array = array.astype(float)
    if not np.all(np.isfinite(array)) or np.any(array < 0) or np.any(array != np.round(array)):
        raise DataError(f"{name}: counts must be whole numbers >= 0")
    array = np.sort(array[array > 0])[::-1].astype(np.int64)
    if len(array) < MIN_TOKENS:
        raise DataError(f"{name}: {len(array)} distinct tokens; at least {MIN_TOKENS} are needed")
    if array[0] == array[-1]:
        raise DataError(f"{name}: all counts are equal; a rank law needs variation")
    return array


def _last_numeric_column(path: Path) -> np.ndarray:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",") if r]
    if not rows:
        raise DataError(f"{path}: empty")
    column = [row[-1] for row in rows]
    try:
        float(column[0])
    except ValueError:
        column = column[1:]  # a header
    try:
        return np.array([float(entry) for entry in column])
    except ValueError as error:
        raise DataError(f"{path}: the last column must hold counts ({error})") from error


# --------------------------------------------------------------------------------------------
# The empirical law
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class RankLaw:
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

    @property
    def probabilities(self) -> np.ndarray:
        return self.counts / self.counts.sum()

    @property
    def fitted(self) -> np.ndarray:
        """Zipf probabilities of the fitted exponent on the same vocabulary."""
        return _zipf(len(self.counts), self.exponent)

    def training_law(self, cutoff: float = math.inf, real_fraction: float = 0.0) -> np.ndarray:
        """``pi p + (1 - pi) s``, with ``s`` the law cut at rank ``cutoff`` and renormalised."""
        return _mixture(self.probabilities, cutoff, real_fraction)

    def plateau(self, cutoff: float) -> float:
        """Mass of the corpus beyond rank ``cutoff``: where the error of cut data ends."""
        return float(self.probabilities[_kept(cutoff, len(self.counts)) :].sum())

    def learning_curve(
        self, samples: np.ndarray, cutoff: float = math.inf, real_fraction: float = 0.0
    ) -> np.ndarray:
        """``sum_i p_i (1 - q_i)^T`` at every T: exact for T independent tokens of this corpus."""
        return _learning_curve(self.probabilities, samples, cutoff, real_fraction)

    def fitted_curve(
        self, samples: np.ndarray, cutoff: float = math.inf, real_fraction: float = 0.0
    ) -> np.ndarray:
        """The same for the fitted Zipf law."""
        return _learning_curve(self.fitted, samples, cutoff, real_fraction)

    def grokking_time(self, cutoff: float, real_fraction: float) -> float:
        """The T at which real data have halved the lost mass: ``sum_{i>k} p_i (1 - pi p_i)^T``.

        ``inf`` without real data.
        """
        lost = self.probabilities[_kept(cutoff, len(self.counts)) :]
        if len(lost) == 0:
            raise ValueError(f"cutoff = {cutoff} keeps all {len(self.counts)} tokens: no plateau")
        if not 0 <= real_fraction <= 1:
            raise ValueError(
                f"real_fraction = {real_fraction} is not allowed: it must be in [0, 1]"
            )
        if real_fraction == 0:
            return math.inf
        rates = np.log1p(-real_fraction * lost)

        def excess(log_t: float) -> float:
            return float(np.sum(lost * np.exp(np.exp(log_t) * rates)) - lost.sum() / 2)

        low, high = 0.0, math.log(50 / -rates.max())
        return math.exp(optimize.brentq(excess, low, high)) if excess(low) > 0 else 1.0

    def simulate(
        self,
        num_samples: int,
        *,
        cutoff: float = math.inf,
        real_fraction: float = 0.0,
        replicates: int = 100,
        seed: int = 0,
    ) -> tuple[float, float]:
        """Mean and standard error of the error after ``num_samples`` resampled tokens."""
        rng = np.random.default_rng(seed)
        p = self.probabilities
        drawn = rng.multinomial(
            num_samples, self.training_law(cutoff, real_fraction), size=replicates
        )
        errors = (drawn == 0) @ p
        return float(errors.mean()), float(errors.std(ddof=1) / math.sqrt(replicates))


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
    log_rank = np.log(np.arange(1, len(counts) + 1))
    total = counts.sum()
    observed = counts @ log_rank / total

    def score(beta: float) -> float:
        return float(_zipf(len(counts), beta) @ log_rank - observed)

    beta = float(optimize.brentq(score, -50.0, 50.0))
    p = _zipf(len(counts), beta)
    information = p @ log_rank**2 - (p @ log_rank) ** 2
    variance = counts @ (log_rank - observed) ** 2 / total
    return beta, float(math.sqrt(variance / total) / information)


def corpus(path: str | Path | None = None) -> RankLaw:
    """Load and fit; the standard library's docstrings by default."""
    return fit(load_counts(path))


def _zipf(num_tokens: int, beta: float) -> np.ndarray:
    return special.softmax(-beta * np.log(np.arange(1, num_tokens + 1)))


def _kept(cutoff: float, num_tokens: int) -> int:
    if not cutoff >= 1:
        raise ValueError(f"cutoff = {cutoff} is not allowed: it must be a whole number >= 1 or inf")
    return int(min(cutoff, num_tokens))


def _mixture(p: np.ndarray, cutoff: float, real_fraction: float) -> np.ndarray:
    if not 0 <= real_fraction <= 1:
        raise ValueError(f"real_fraction = {real_fraction} is not allowed: it must be in [0, 1]")
    synthetic = np.where(np.arange(len(p)) < _kept(cutoff, len(p)), p, 0.0)
    return real_fraction * p + (1 - real_fraction) * synthetic / synthetic.sum()


def _learning_curve(p, samples, cutoff, real_fraction) -> np.ndarray:
    log_missed = np.log1p(-_mixture(p, cutoff, real_fraction))
    return np.array([p @ np.exp(t * log_missed) for t in np.atleast_1d(samples)])
