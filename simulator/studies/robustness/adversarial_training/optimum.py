"""Optimal regularisation and geometry, by differentiating through the saddle point.

The robust error is a smooth function of ``log lambda``, of the penalty's order ``r`` and of the
spectrum of a Mahalanobis penalty; its gradient comes from the implicit function theorem. A search
that ends on its boundary says so: for strong attacks and few samples the best ``lambda`` runs to
the corner where ``w = 0`` (arXiv 2410.16073, figures on the optimal penalty).
"""

import functools
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from simulator.maths.compilation import float64_on_cpu, jit_on_cpu
from simulator.studies.robustness.adversarial_training import isotropic, mahalanobis
from simulator.study import RESIDUAL

_RESIDUAL = 1e-6


@dataclass(frozen=True)
class Optimum:
    """Arguments and value of a minimum; ``at_boundary`` names the arguments on their bounds."""

    value: float
    arguments: dict[str, Any]
    at_boundary: tuple[str, ...]


def optimal_regularization(
    params: Any, *, output: str = "adversarial_error", bounds: tuple[float, float] = (1e-4, 10.0)
) -> Optimum:
    """The ``lambda`` within ``bounds`` that minimises an output, for either study's ``Params``.

    A grid in ``log lambda`` brackets the minimum (there may be several), bounded quasi-Newton
    steps with exact gradients refine it.
    """
    low, high = np.log(bounds)
    limits = [(low, high)]
    starts = np.linspace(low, high, 17)[:, None]
    found, x = _minimum(_at_regularization, params, output, starts, limits)
    return Optimum(
        found, {"regularization": float(np.exp(x[0]))}, _on_bounds(x, limits, ["regularization"])
    )


def _at_regularization(params, x):
    theory = isotropic.theory if isinstance(params, isotropic.Params) else mahalanobis.theory
    return theory(replace(params, regularization=jnp.exp(x[0])))


def optimal_penalty(
    params: isotropic.Params,
    *,
    output: str = "adversarial_error",
    orders: tuple[float, float] = (1.02, 3.0),
    bounds: tuple[float, float] = (1e-4, 10.0),
) -> Optimum:
    """The penalty ``lambda sum |w|^r`` that minimises an output, over ``lambda`` and ``r``.

    ``r = 1`` itself, whose solutions are sparse, is approached but not reached.
    """
    low, high = np.log(bounds)
    limits = [(low, high), orders]
    levels = (np.linspace(low, high, 9), np.linspace(*orders, 6))
    starts = np.stack(np.meshgrid(*levels), axis=-1).reshape(-1, 2)
    found, x = _minimum(_at_penalty, params, output, starts, limits)
    return Optimum(
        found,
        {"regularization": float(np.exp(x[0])), "penalty_order": float(x[1])},
        _on_bounds(x, limits, ["regularization", "penalty_order"]),
    )


def _at_penalty(params, x):
    return isotropic.theory_of_order(replace(params, regularization=jnp.exp(x[0])), x[1])


def optimal_penalty_spectrum(
    params: Any,
    *,
    output: str = "adversarial_error",
    bounds: tuple[float, float] = (1e-4, 1e3),
) -> Optimum:
    """The Mahalanobis penalty ``Sigma_w`` that minimises an output, and its strength.

    Every block's ``lambda sigma_w`` is free within ``bounds``; the result is normalised to weighted
    mean ``sigma_w = 1``.
    """
    low, high = np.log(bounds)
    spectrum = np.asarray(params.spectrum, float)
    count = len(spectrum)
    tilts = np.concatenate([np.zeros((1, count)), np.eye(count), -np.eye(count)])
    starts = np.linspace(low, high, 9)[:, None, None] + tilts
    starts = np.clip(starts.reshape(-1, count), low, high)
    limits = [(low, high)] * count
    given = replace(params, spectrum=spectrum)
    found, x = _minimum(_at_penalty_spectrum, given, output, starts, limits)
    strength = spectrum[:, 0] @ np.exp(x)
    return Optimum(
        found,
        {"regularization": float(strength), "sigma_w": np.exp(x) / strength},
        _on_bounds(x, limits, [f"sigma_w[{i}]" for i in range(count)]),
    )


def _at_penalty_spectrum(params, x):
    spectrum = jnp.asarray(params.spectrum).at[:, 4].set(jnp.exp(x))
    return mahalanobis.theory(replace(params, regularization=jnp.ones(()), spectrum=spectrum))


# --------------------------------------------------------------------------------------------
# The search
# --------------------------------------------------------------------------------------------
def _objective(x, theory, params, output):
    outputs = theory(params, x)
    return outputs[output], outputs[RESIDUAL]


@functools.partial(jit_on_cpu, static_argnames=("theory", "output"))
def _gradient(theory, params, output, x):
    return jax.value_and_grad(_objective, has_aux=True)(x, theory, params, output)


def _minimum(theory, params, output, starts, limits) -> tuple[float, np.ndarray]:
    """The lowest of the starts, refined by L-BFGS-B with implicit gradients, in float64."""
    with float64_on_cpu():

        def evaluate(x):
            (value, residual), slope = _gradient(theory, params, output, jnp.asarray(x))
            _check(residual)
            return float(value), np.asarray(slope)

        # One compiled program serves the starts and the search.
        first = starts[int(np.argmin([evaluate(x)[0] for x in starts]))]
        result = scipy.optimize.minimize(
            evaluate, first, jac=True, bounds=limits, method="L-BFGS-B",
            options={"ftol": 1e-14, "gtol": 1e-8},
        )  # fmt: skip
    return float(result.fun), result.x


def _check(residual) -> None:
    if not residual <= _RESIDUAL:
        raise RuntimeError(
            "the saddle point did not converge during the search (relative residual "
            f"{float(residual):.1e} > "
            f"{_RESIDUAL:.0e}); narrow the bounds"
        )


def _on_bounds(x, limits, names) -> tuple[str, ...]:
    return tuple(
        name
        for name, value, (low, high) in zip(names, x, limits, strict=True)
        if min(value - low, high - value) < 1e-6 * (high - low)
    )
