"""Laws of chains of generators, each trained on what its predecessor made.

``generations`` and ``accumulate`` follow the study `ridge-collapse` (regression), and
``generations-tail`` `tail-collapse` (tokens).
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from simulator.planner.laws.law import Columns, Law, Outer, centred


def effective_tokens(tokens: Any, generation: Any, generator: Any) -> np.ndarray:
    """``T_1 (1 - exp(-theta))``: tokens that count after a chain that replaces its data.

    The last model has ``tokens``, all generators before it ``generator`` tokens each; from the last
    one back ``theta <- T_m / T_{m-1} (1 - exp(-theta))``.

    Parameters
    ----------
    tokens, generation, generator : array_like, shape (n,)
        Generation 1 is trained on real data.
    """
    t, g, t0 = np.broadcast_arrays(
        np.asarray(tokens, float), np.asarray(generation, float), np.asarray(generator, float)
    )
    exponent = t / t0
    for step in range(2, int(np.max(g, initial=1))):
        exponent = np.where(g > step, -np.expm1(-exponent), exponent)
    return np.where(g > 1, -t0 * np.expm1(-exponent), t)


def harmonic_squares(generation: Any) -> np.ndarray:
    """``sum_{i <= g} i^-2``."""
    g = np.asarray(generation).astype(int)
    return np.cumsum(1.0 / np.arange(1, g.max(initial=1) + 1) ** 2)[g - 1]


def _power_terms(theta: Any, row: Mapping[str, Any]) -> Any:
    e, a, alpha = theta
    return jnp.stack([e, a - alpha * row["t"] + row.get("factor", 0.0)])


# --------------------------------------------------------------------------------------------
# Every generation replaces the data
# --------------------------------------------------------------------------------------------
def _chain(columns: Columns, centre: dict[str, float]) -> dict[str, np.ndarray]:
    t = centred("tokens", columns["tokens"], centre, columns.get("weight"))
    with np.errstate(divide="ignore"):
        return {"t": t, "log_age": np.log(columns["generation"] - 1.0)}


def _chain_terms(theta: Any, row: Mapping[str, Any]) -> Any:
    e, a, h, alpha = theta
    return jnp.stack([e, a - alpha * row["t"], h + row["log_age"]])


def _chain_raw(theta: Any, centre: Mapping[str, float]) -> dict[str, Any]:
    e, a, h, alpha = theta
    return {
        "E": jnp.exp(e),
        "A": jnp.exp(a + alpha * centre["tokens"]),
        "H": jnp.exp(h),
        "alpha": alpha,
    }


GENERATIONS = Law(
    name="generations",
    formula="E + A T^-alpha + H (g - 1)",
    needs=("tokens", "generation"),
    coefficients=("E", "A", "H"),
    outers=(Outer("alpha", 0.01, 3.0, start=(0.08, 1.4)),),
    owner=(0, 1, 2),
    prepare=_chain,
    log_terms=_chain_terms,
    raw=_chain_raw,
    status="theory (ridge-collapse)",
)


def _tail_chain(columns: Columns, centre: dict[str, float]) -> dict[str, np.ndarray]:
    tokens = columns["tokens"]
    generator = columns.get("num_samples_generator", tokens)
    left = effective_tokens(tokens, columns["generation"], generator)
    return {"t": centred("effective_tokens", left, centre, columns.get("weight"))}


GENERATIONS_TAIL = Law(
    name="generations-tail",
    formula="E + K T_eff(g)^-c",
    needs=("tokens", "generation"),
    coefficients=("E", "K"),
    outers=(Outer("c", 0.02, 1.0, start=(0.04, 0.98)),),
    owner=(0, 1),
    prepare=_tail_chain,
    log_terms=_power_terms,
    raw=lambda theta, centre: {
        "E": jnp.exp(theta[0]),
        "K": jnp.exp(theta[1] + theta[2] * centre["effective_tokens"]),
        "c": theta[2],
    },
    status="theory (tail-collapse)",
)


# --------------------------------------------------------------------------------------------
# Every generation adds to the data
# --------------------------------------------------------------------------------------------
def _accumulated(columns: Columns, centre: dict[str, float]) -> dict[str, np.ndarray]:
    t = centred("tokens", columns["tokens"], centre, columns.get("weight"))
    return {"t": t, "factor": np.log(harmonic_squares(columns["generation"]))}


ACCUMULATE = Law(
    name="accumulate",
    formula="E + A T^-alpha H2(g), H2 = sum_{i <= g} i^-2",
    needs=("tokens", "generation"),
    coefficients=("E", "A"),
    outers=(Outer("alpha", 0.01, 3.0, start=(0.08, 1.4)),),
    owner=(0, 1),
    prepare=_accumulated,
    log_terms=_power_terms,
    raw=lambda theta, centre: {
        "E": jnp.exp(theta[0]),
        "A": jnp.exp(theta[1] + theta[2] * centre["tokens"]),
        "alpha": theta[2],
    },
    status="theory (ridge-collapse) for alpha = 1; a guess elsewhere",
)
