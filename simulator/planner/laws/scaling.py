"""Laws in the size of the model and the number of tokens, fresh or repeated."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from simulator.planner.laws.law import Columns, Law, Outer, centred

EXPONENT = (0.01, 3.0)
GRID = (0.08, 1.4)  # where stage one looks for an exponent
LOG_R = (float(np.log(1e-3)), float(np.log(1e6)))


def _exponent(name: str) -> Outer:
    return Outer(name, *EXPONENT, start=GRID)


def _sizes(columns: Columns, centre: dict[str, float]) -> dict[str, np.ndarray]:
    weight = columns.get("weight")
    return {
        "x": centred("params", columns["params"], centre, weight),
        "y": centred("tokens", columns["tokens"], centre, weight),
    }


# --------------------------------------------------------------------------------------------
# One variable
# --------------------------------------------------------------------------------------------
def power(column: str) -> Law:
    """``E + A x^-alpha`` in any one column."""

    def prepare(columns: Columns, centre: dict[str, float]) -> dict[str, np.ndarray]:
        return {"x": centred(column, columns[column], centre, columns.get("weight"))}

    def log_terms(theta: Any, row: Mapping[str, Any]) -> Any:
        e, a, alpha = theta
        return jnp.stack([e, a - alpha * row["x"]])

    def raw(theta: Any, centre: Mapping[str, float]) -> dict[str, Any]:
        e, a, alpha = theta
        return {"E": jnp.exp(e), "A": jnp.exp(a + alpha * centre[column]), "alpha": alpha}

    return Law(
        name="power",
        formula=f"E + A {column}^-alpha",
        needs=(column,),
        coefficients=("E", "A"),
        outers=(_exponent("alpha"),),
        owner=(0, 1),
        prepare=prepare,
        log_terms=log_terms,
        raw=raw,
    )


# --------------------------------------------------------------------------------------------
# Parameters and tokens
# --------------------------------------------------------------------------------------------
def _chinchilla_terms(theta: Any, row: Mapping[str, Any]) -> Any:
    e, a, b, alpha, beta = theta
    return jnp.stack([e, a - alpha * row["x"], b - beta * row["y"]])


def _chinchilla_raw(theta: Any, centre: Mapping[str, float]) -> dict[str, Any]:
    e, a, b, alpha, beta = theta
    return {
        "E": jnp.exp(e),
        "A": jnp.exp(a + alpha * centre["params"]),
        "B": jnp.exp(b + beta * centre["tokens"]),
        "alpha": alpha,
        "beta": beta,
    }


CHINCHILLA = Law(
    name="chinchilla",
    formula="E + A N^-alpha + B D^-beta",
    needs=("params", "tokens"),
    coefficients=("E", "A", "B"),
    outers=(_exponent("alpha"), _exponent("beta")),
    owner=(0, 1, 2),
    prepare=_sizes,
    log_terms=_chinchilla_terms,
    raw=_chinchilla_raw,
)


def _equal(theta: Any) -> Any:
    e, a, b, alpha = theta
    return e, a, b, alpha, alpha


TIED = Law(
    name="tied",
    formula="E + A N^-alpha + B D^-alpha",
    needs=("params", "tokens"),
    coefficients=("E", "A", "B"),
    outers=(_exponent("alpha"),),
    owner=(0, 1, 2),
    prepare=_sizes,
    log_terms=lambda theta, row: _chinchilla_terms(_equal(theta), row),
    raw=lambda theta, centre: _chinchilla_raw(_equal(theta), centre),
    status="standard; assumes equal exponents",
)


# --------------------------------------------------------------------------------------------
# Repeated tokens
# --------------------------------------------------------------------------------------------
def _repetition(columns: Columns, centre: dict[str, float]) -> dict[str, np.ndarray]:
    features = _sizes(columns, centre)
    return features | {"u": np.log(columns["unique_tokens"]) - centre["tokens"]}


def saturated(log_ratio: Any, log_r: Any) -> Any:
    """``ln(1 + R (1 - exp(-excess / R)))``, where ``excess = max(ratio - 1, 0)``.

    What is spent beyond ``excess = 0`` counts less and less, and never more than ``R`` times as
    much as the first.
    """
    excess = jnp.expm1(jnp.maximum(log_ratio, 0.0))
    r = jnp.exp(log_r)
    return jnp.log1p(-r * jnp.expm1(-excess / r))


def _repetition_terms(theta: Any, row: Mapping[str, Any]) -> Any:
    e, b, alpha, beta, g, log_rd, log_rn = theta
    a = b + jnp.log(beta / alpha) + alpha * g  # at the optimum both terms fall at one rate
    best = jnp.minimum(g + beta / alpha * row["u"], row["x"])  # model that the unique tokens feed
    size = best + saturated(row["x"] - best, log_rn)
    unique = jnp.minimum(row["u"], row["y"])
    data = unique + saturated(row["y"] - row["u"], log_rd)
    return jnp.stack([e, a - alpha * size, b - beta * data])


def _repetition_raw(theta: Any, centre: Mapping[str, float]) -> dict[str, Any]:
    e, b, alpha, beta, g, log_rd, log_rn = theta
    a = b + jnp.log(beta / alpha) + alpha * g
    sizes = _chinchilla_raw((e, a, b, alpha, beta), centre)
    return sizes | {"R_D": jnp.exp(log_rd), "R_N": jnp.exp(log_rn)}


def _tied_repetition(theta: Any) -> Any:
    e, b, alpha, g, log_rd, log_rn = theta
    return e, b, alpha, alpha, g, log_rd, log_rn


_RATIOS = (
    Outer("G", -15.0, 15.0, log=True, start=(-3.0, 3.0)),
    Outer("R_D", *LOG_R, log=True, start=(0.0, 7.0)),
    Outer("R_N", *LOG_R, log=True, start=(-2.0, 6.0)),
)
_REPEATED = {
    "formula": "E + A N'^-alpha + B D'^-beta, N' and D' saturating in repetitions",
    "needs": ("params", "tokens", "unique_tokens"),
    "coefficients": ("E", "B"),
    "owner": (0, 1, 1),
    "prepare": _repetition,
    "linear": False,
}
REPETITION = Law(
    name="data-constrained",
    outers=(_exponent("alpha"), *_RATIOS),
    log_terms=lambda theta, row: _repetition_terms(_tied_repetition(theta), row),
    raw=lambda theta, centre: _repetition_raw(_tied_repetition(theta), centre),
    status="standard; assumes equal exponents",
    **_REPEATED,  # type: ignore[arg-type]  # a dict of all types
)
REPETITION_UNTIED = Law(
    name="data-constrained",
    outers=(_exponent("alpha"), _exponent("beta"), *_RATIOS),
    log_terms=_repetition_terms,
    raw=_repetition_raw,
    **_REPEATED,  # type: ignore[arg-type]  # a dict of all types
)
