"""Laws of training on a mixture of real and synthetic tokens.

``synthetic-share`` and its additive form follow the study `strong-collapse`, ``tail-mixture``
formula 6 of `tail-collapse`.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from simulator.maths.zeta import scaled_lower_gamma
from simulator.planner.laws.law import Columns, Law, Outer, centred


def _logs(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(values)


def _share(columns: Columns, centre: dict[str, float]) -> dict[str, np.ndarray]:
    q = columns["synthetic_fraction"]
    x = centred("tokens", columns["tokens"], centre, columns.get("weight"))
    return {"x": x, "q": q, "log_q": _logs(q)}


_THETA = Outer("theta", 0.05, 2.0, start=(0.08, 1.9))
_RHO = Outer("rho", 0.0, 100.0, start=(0.0, 8.0))


# --------------------------------------------------------------------------------------------
# A plateau that falls with the fit, and one that does not
# --------------------------------------------------------------------------------------------
def effective_variance(rho: Any, inverse_m: Any, n: Any, q: Any) -> Any:
    """``V = (1 + rho q (1 - q)) / n + q^2 / m``: what takes the place of ``1 / n``."""
    return (1 + rho * q * (1 - q)) / n + inverse_m * q**2


def _share_terms(theta: Any, row: Mapping[str, Any]) -> Any:
    e, k, exponent, rho, log_m = theta  # n and m in units of the mean n
    v = effective_variance(rho, jnp.exp(-log_m), jnp.exp(row["x"]), row["q"])
    return jnp.stack([e, k + exponent * jnp.log(v)])


def _share_raw(theta: Any, centre: Mapping[str, float]) -> dict[str, Any]:
    e, k, exponent, rho, log_m = theta
    return {
        "E": jnp.exp(e),
        "K": jnp.exp(k + exponent * centre["tokens"]),
        "theta": exponent,
        "rho": rho,
        "m": jnp.exp(log_m + centre["tokens"]),
    }


SYNTHETIC_SHARE = Law(
    name="synthetic-share",
    formula="E + K V^theta, V = (1 + rho q (1 - q)) / n + q^2 / m",
    needs=("tokens", "synthetic_fraction"),
    coefficients=("E", "K"),
    outers=(_THETA, _RHO, Outer("m", -30.0, 30.0, log=True, start=(-10.0, 8.0))),
    owner=(0, 1),
    prepare=_share,
    log_terms=_share_terms,
    raw=_share_raw,
    linear=False,
    status="theory (strong-collapse)",
)


def _additive_terms(theta: Any, row: Mapping[str, Any]) -> Any:
    e, k, p, exponent, rho = theta
    q = row["q"]
    shielded = k + exponent * (jnp.log1p(rho * q * (1 - q)) - row["x"])
    return jnp.stack([e, shielded, p + 2 * row["log_q"]])


def _additive_raw(theta: Any, centre: Mapping[str, float]) -> dict[str, Any]:
    e, k, p, exponent, rho = theta
    return {
        "E": jnp.exp(e),
        "K": jnp.exp(k + exponent * centre["tokens"]),
        "P": jnp.exp(p),
        "theta": exponent,
        "rho": rho,
    }


SYNTHETIC_SHARE_ADDITIVE = Law(
    name="synthetic-share-additive",
    formula="E + K [(1 + rho q (1 - q)) / n]^theta + P q^2",
    needs=("tokens", "synthetic_fraction"),
    coefficients=("E", "K", "P"),
    outers=(_THETA, _RHO),
    owner=(0, 1, 2),
    prepare=_share,
    log_terms=_additive_terms,
    raw=_additive_raw,
    linear=False,
    status="theory (strong-collapse)",
)


# --------------------------------------------------------------------------------------------
# A generator that lost its tail
# --------------------------------------------------------------------------------------------
def tail_sum(c: Any, log_t: Any, log_real: Any, log_k: Any) -> Any:
    """``T1^-c G(c, T1/Tk) + (pi T)^-c g(c, pi T/Tk)``: what is rarer than the cut, and the rest.

    ``G`` and ``g`` are the regularised incomplete gamma functions; sizes are given as logarithms,
    and without real tokens (``log_real = -inf``) the second term is ``Tk^-c / Gamma(1 + c)``.
    """
    log_gamma = gammaln(c)
    unit = jnp.exp(-c * log_k - log_gamma)  # Tk^-c / Gamma(c)
    head = jnp.exp(-c * log_t) - unit * scaled_lower_gamma(c, jnp.exp(log_t - log_k))
    return jnp.maximum(head, 0.0) + unit * scaled_lower_gamma(c, jnp.exp(log_real - log_k))


def lost_mass(log_k_coefficient: Any, c: Any, log_k: Any, scale: float) -> Any:
    """``mu = K Tk^-c / (Gamma(1 + c) S)``: the probability beyond the cut."""
    return jnp.exp(log_k_coefficient - c * log_k - gammaln(1 + c)) / scale


def tail_mixture(scale: float | None = None) -> Law:
    """The law of a generator that lost its tail.

    Parameters
    ----------
    scale : float, optional
        Loss of an untrained model minus E. With it the synthetic tokens, which are spread over
        fewer ranks, count ``1 / (1 - mu)`` times.
    """

    def prepare(columns: Columns, centre: dict[str, float]) -> dict[str, np.ndarray]:
        t = centred("tokens", columns["tokens"], centre, columns.get("weight"))
        real = columns["real_fraction"]
        return {"t": t, "real": real, "log_real": _logs(real)}

    def log_terms(theta: Any, row: Mapping[str, Any]) -> Any:
        e, k, c, log_k = theta
        log_t1 = row["t"]
        if scale is not None:
            mu = jnp.minimum(lost_mass(k, c, log_k, scale), 0.999)
            log_t1 = log_t1 + jnp.log(row["real"] + (1 - row["real"]) / (1 - mu))
        return jnp.stack([e, k + jnp.log(tail_sum(c, log_t1, row["t"] + row["log_real"], log_k))])

    def raw(theta: Any, centre: Mapping[str, float]) -> dict[str, Any]:
        e, k, c, log_k = theta
        return {
            "E": jnp.exp(e),
            "K": jnp.exp(k + c * centre["tokens"]),
            "c": c,
            "T_k": jnp.exp(log_k + centre["tokens"]),
        }

    return Law(
        name="tail-mixture",
        formula="E + K [T1^-c G(c, T1/T_k) + (pi T)^-c g(c, pi T/T_k)]",
        needs=("tokens", "real_fraction"),
        coefficients=("E", "K"),
        outers=(
            Outer("c", 0.02, 1.0, start=(0.04, 0.98)),
            Outer("T_k", -40.0, 40.0, log=True, start=(-12.0, 8.0)),
        ),
        owner=(0, 1),
        prepare=prepare,
        log_terms=log_terms,
        raw=raw,
        linear=False,
        status="theory (tail-collapse)",
    )
