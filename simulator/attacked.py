"""Linear regression under attack: parameters that several papers share, and their problem.

A study with an attacked linear model declares them by inheriting `AttackedParams`; `problem_of` is
the `Problem` of parameters, `completed` and `validate` are what its `Study` checks. Named spectra,
signals and metrics are shorthands for arrays, one entry for each feature (choice ``custom``).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator import checks
from simulator.maths.norms import Norm
from simulator.maths.robust_path import Problem
from simulator.maths.spectra import check_spectrum, eigenvalues
from simulator.parameters import array, choice, parameters, refuse_numbers, static, traced

SPECTRA = ("isotropic", "power_law", "custom")
SIGNALS = ("power_law", "sparse", "harmonic", "dense", "custom")
METRICS = ("power_law", "custom")
#: Each array, and the choice that needs it.
ARRAYS = {
    "eigenvalues": "spectrum",
    "signal_vector": "signal",
    "attack_metric_diagonal": "attack_metric",
}
LARGEST_METRIC = 1e100


def _is_spread(params: Any) -> bool:
    """Whether all features, or a share of them, count alike: no few directions carry the risk."""
    return params.spectrum != "power_law" and params.signal in ("sparse", "dense", "custom")


def _signal_growth(params: Any) -> float:
    """More directions with the same energy."""
    return -0.5 if _is_spread(params) else 0.0


def _radius_growth(params: Any) -> float:
    """The dual norm of so many entries of that energy grows as ``d^(1/p* - 1/2)``."""
    if not _is_spread(params):
        return 0.0
    powers = {"l1": 0.5, "l2": 0.0, "mahalanobis": 0.0, "linf": -0.5}
    kind = params.attack_norm
    return powers[kind] if kind in powers else 1 / params.attack_p - 0.5


@parameters
class AttackedParams:
    """Covariance, ground truth and attack."""

    dim: int = static(200, at_least=1, grows=1)
    spectrum: str = choice("power_law", SPECTRA)
    covariance_scale: float = traced(1.0, above=0)
    spectrum_exponent: float = traced(2.0, above=0)
    eigenvalues: tuple = array((), dims=("feature",), above=0, resampled=True)
    signal: str = choice("power_law", SIGNALS)
    signal_exponent: float = traced(0.5, at_least=0)
    sparsity: int = traced(10, at_least=1, grows=1)
    signal_vector: tuple = array((), dims=("feature",), resampled=True)
    signal_scale: float = traced(1.0, grows=_signal_growth)
    attack_metric: str = choice("power_law", METRICS)
    attack_metric_exponent: float = traced(1.0)
    attack_metric_diagonal: tuple = array((), dims=("feature",), above=0, resampled=True)
    attack_radius: float = traced(0.1, at_least=0, grows=_radius_growth)


def problem_of(params: Any) -> Problem:
    """The regression problem, with its covariance as a diagonal wherever it is one."""
    norm = Norm(params.attack_norm, getattr(params, "attack_p", 2.0), metric(params))
    if params.spectrum == "ar1":
        return Problem(*autoregressive(params), signal(params), norm)
    covariance = variances(params)
    return Problem(covariance, 1 / covariance, signal(params), norm)


def variances(params: Any) -> Array:
    """Eigenvalues of a diagonal covariance; shape (dim,)."""
    if params.spectrum == "custom":
        return params.covariance_scale * params.eigenvalues
    return params.covariance_scale * eigenvalues(
        params.spectrum, params.dim, params.spectrum_exponent
    )


def autoregressive(params: Any) -> tuple[Array, Array]:
    """``tau rho^|i-j|`` and its inverse, which is tridiagonal; shapes (dim, dim)."""
    d, rho, scale = params.dim, params.correlation, params.covariance_scale
    rank = jnp.arange(d)
    covariance = scale * _powers(rho, d)[jnp.abs(rank[:, None] - rank[None, :])]
    last = (rank == 0).astype(float) + (rank == d - 1).astype(float)
    diagonal = jnp.diag(1 + rho**2 - rho**2 * last)
    beside = jnp.eye(d, k=1, dtype=float) + jnp.eye(d, k=-1, dtype=float)
    return covariance, (diagonal - rho * beside) / (scale * (1 - rho**2))


def inputs(params: Any, normal: Array) -> Array:
    """An input ``x ~ N(0, Sigma)`` of standard normal entries; shape (dim,)."""
    if params.spectrum != "ar1":
        return jnp.sqrt(variances(params)) * normal
    rank = jnp.arange(params.dim)
    factor = jnp.tril(_powers(params.correlation, params.dim)[rank[:, None] - rank[None, :]])
    fresh = jnp.where(rank == 0, 1, jnp.sqrt(1 - params.correlation**2))
    return jnp.sqrt(params.covariance_scale) * (factor @ (fresh * normal))


def _powers(rho, count: int) -> Array:
    """``1, rho, rho^2, ...``, with derivatives also at ``rho = 0``."""
    return jnp.cumprod(jnp.concatenate([jnp.ones(1, float), jnp.full(count - 1, rho, float)]))


def signal(params: Any) -> Array:
    """The ground truth ``w0``; shape (dim,)."""
    rank = jnp.arange(1, params.dim + 1, dtype=float)
    law = {
        "power_law": lambda: jnp.exp(-params.signal_exponent / 2 * jnp.log(rank)),
        "sparse": lambda: (rank <= params.sparsity).astype(float),
        "harmonic": lambda: 1 / rank,
        "dense": lambda: jnp.ones_like(rank),
        "custom": lambda: params.signal_vector,
    }
    return params.signal_scale * law[params.signal]()


def metric(params: Any) -> Array:
    """The diagonal of ``B``, 1 unless the attack is ``mahalanobis``; shape (dim,)."""
    if params.attack_norm != "mahalanobis":
        return jnp.ones(params.dim, float)
    if params.attack_metric == "custom":
        return params.attack_metric_diagonal
    rank = jnp.arange(1, params.dim + 1, dtype=float)
    return jnp.exp(params.attack_metric_exponent * jnp.log(rank))


# --------------------------------------------------------------------------------------------
# At the door
# --------------------------------------------------------------------------------------------
def completed(given: dict[str, Any]) -> dict[str, Any]:
    """The given parameters, with the dimension that follows from arrays that are used.

    Raises
    ------
    ValueError
        For numbers where a name is asked for.
    """
    for name, chosen in ARRAYS.items():
        refuse_numbers(chosen, given, f"{name}, with {chosen} = 'custom'")
    used = [name for name, choice in ARRAYS.items() if given.get(choice) == "custom"]
    lengths = [np.size(given[name]) for name in used if np.size(given.get(name, ())) > 0]
    return {"dim": lengths[0]} | given if lengths else given


def validate(params: Any, side: str) -> Any:
    """Arrays that a choice needs, of the right length; no power law that underflows.

    Returns
    -------
    Whether values that JAX traces are allowed, which are not refused here.
    """
    for name, chosen in ARRAYS.items():
        if getattr(params, chosen) != "custom":
            continue
        count = np.size(getattr(params, name))
        if count != params.dim:
            raise ValueError(
                f"{name} = {checks.shown(getattr(params, name))} is not allowed: with {chosen} = "
                f"'custom' it must have dim = {params.dim} entries, not {count}"
            )
    allowed = check_spectrum(params.spectrum, params.dim, params.spectrum_exponent)
    if params.attack_norm != "mahalanobis" or params.attack_metric != "power_law":
        return allowed
    largest = math.log(LARGEST_METRIC) / math.log(max(params.dim, 2))
    within = abs(params.attack_metric_exponent) <= largest
    if not isinstance(within, jax.core.Tracer) and not np.all(within):
        raise ValueError(
            f"attack_metric_exponent = {params.attack_metric_exponent:g} is not allowed with dim = "
            f"{params.dim}: it must be at most {largest:.4g} in size, or the metric overflows"
        )
    return allowed & within


def validate_truth(params: Any, side: str) -> Any:
    """As `validate`, and the ground truth is not 0."""
    allowed = validate(params, side)
    for name in ("signal_scale", "signal_vector"):
        if name == "signal_vector" and params.signal != "custom":
            continue
        value = getattr(params, name)
        some = (value != 0).any() if np.ndim(value) else value != 0
        if not isinstance(some, jax.core.Tracer) and not some:
            raise ValueError(f"{name} = {checks.shown(value)} is not allowed: it must not be 0")
        allowed = allowed & some
    return allowed
