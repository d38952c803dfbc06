"""What follows from the columns that are given: tokens from FLOP, shares from counts, ..."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.planner.checking import missing
from simulator.planner.laws import Law
from simulator.planner.notices import Notice, TableError, cell

K = 6.0  # FLOP a parameter and token: forward and backward
SAME, DIFFERENT = 0.01, 0.05  # spreads of the logarithm of flop / (6 params tokens)


def complete(
    given: Mapping[str, np.ndarray], law: Law, k: float | None, rows: np.ndarray
) -> tuple[dict[str, np.ndarray], float, list[Notice]]:
    """All columns that the law needs, the FLOP a parameter and token, and what must be said.

    Parameters
    ----------
    given : mapping role -> (rows,)
    law : Law
    k : float, optional
        FLOP a parameter and token, if it is known.
    rows : (rows,)
        Their numbers in the table.

    Raises
    ------
    TableError
        For a role that is missing, or columns that contradict each other.
    """
    c = dict(given)
    notices: list[Notice] = []
    _mixture(c, rows)
    if "tokens" not in c and {"unique_tokens", "epochs"} <= c.keys():
        c["tokens"] = c["unique_tokens"] * c["epochs"]
    factor = K if k is None else k
    if "flop" in c:
        if "tokens" not in c and "params" in c:
            c["tokens"] = c["flop"] / (factor * c["params"])
        elif "params" not in c and "tokens" in c:
            c["params"] = c["flop"] / (factor * c["tokens"])
        elif {"params", "tokens"} <= c.keys():
            factor, notices = _three(c, k)
    elif {"params", "tokens"} <= c.keys():
        c["flop"] = factor * c["params"] * c["tokens"]
    if "unique_tokens" not in c and {"tokens", "epochs"} <= c.keys():
        c["unique_tokens"] = c["tokens"] / c["epochs"]
    if "epochs" not in c and {"tokens", "unique_tokens"} <= c.keys():
        c["epochs"] = c["tokens"] / c["unique_tokens"]
    for role in law.needs:
        if role not in c:
            raise missing(role, given)
    keep = {"loss", "weight", "flop", "params", "tokens", "num_samples_generator", *law.needs}
    c.setdefault("weight", np.ones(len(c["loss"])))
    return {role: values for role, values in c.items() if role in keep}, factor, notices


def _three(c: Mapping[str, np.ndarray], k: float | None) -> tuple[float, list[Notice]]:
    """FLOP, parameters and tokens are all stated: do they agree?"""
    ratio = c["flop"] / (K * c["params"] * c["tokens"])
    spread = float(np.ptp(np.log(ratio)))
    if spread > DIFFERENT:
        text = (
            f"flop / (6 params tokens) runs from {ratio.min():.3g} to {ratio.max():.3g}: "
            "counting conventions differ (embeddings, attention); tokens as stated are used"
        )
        return (K if k is None else k), [Notice("N-FLOP", text)]
    if k is not None:
        return k, []
    mean = float(np.exp(np.mean(np.log(ratio))))
    if spread > SAME:
        text = (
            f"flop / (6 params tokens) runs from {ratio.min():.4g} to {ratio.max():.4g}: plans "
            f"count the mean, flop = {K * mean:.4g} params tokens; tokens as stated are used"
        )
        return K * mean, [Notice("N-FLOP", text)]
    if abs(np.log(mean)) <= 0.01:
        return (K if abs(np.log(mean)) <= 1e-6 else K * mean), []
    text = f"flop = {K * mean:.4g} params tokens in this table, not 6: plans count the same way"
    return K * mean, [Notice("N-FLOP", text)]


def _mixture(c: dict[str, np.ndarray], rows: np.ndarray) -> None:
    """Tokens and both shares from any two of tokens, real and synthetic tokens, and shares."""
    real, made = c.get("real_tokens"), c.get("synthetic_tokens")
    if "synthetic_fraction" in c and "real_fraction" in c:
        off = np.abs(c["synthetic_fraction"] + c["real_fraction"] - 1)
        _agree(off <= 1e-6, rows, "synthetic_fraction", c, "and real_fraction do not add up to 1")
    elif "real_fraction" in c:
        c["synthetic_fraction"] = 1 - c["real_fraction"]
    elif "synthetic_fraction" in c:
        c["real_fraction"] = 1 - c["synthetic_fraction"]
    q = c.get("synthetic_fraction")
    if "tokens" not in c:
        if real is not None and made is not None:
            c["tokens"] = real + made
        elif q is not None and real is not None and np.all(q < 1):
            c["tokens"] = real / (1 - q)
        elif q is not None and made is not None and np.all(q > 0):
            c["tokens"] = made / q
    if "tokens" not in c or (real is None and made is None):
        return
    real = c["tokens"] - made if real is None else real
    made = c["tokens"] - real if made is None else made
    total = (real + made) / c["tokens"]
    _agree(
        np.abs(total - 1) <= 1e-3, rows, "tokens", c, "is not the sum of real and synthetic ones"
    )
    _agree((real >= 0) & (made >= 0), rows, "tokens", c, "is fewer than those of one kind")
    if q is None:
        c["synthetic_fraction"], c["real_fraction"] = made / c["tokens"], real / c["tokens"]


def _agree(right: np.ndarray, rows: np.ndarray, role: str, c: Mapping[str, Any], what: str) -> None:
    if not np.all(right):
        index = int(np.argmax(~right))
        raise TableError("E-RANGE", cell(role, role, int(rows[index]), float(c[role][index]), what))
