"""Averages of the logistic function over a normal variate.

With ``s(t) = 1/(1 + e^-t)`` and ``t = m + R Z``, ``Z ~ N(0, 1)``,

    miss = E s(-t),     bend = E s(t) s(-t)

are all that the expected logistic loss ``E ln(1 + e^-t)`` needs: its derivatives are ``-miss`` in
``m`` and ``R bend`` in ``R`` (by parts). The poles of ``s`` lie ``pi/R`` from the real axis of
``Z``. Where that is far, the trapezoidal rule in ``Z`` errs by ``exp(-2 pi^2/(R h))`` for steps
``h``. Where ``R`` is large, ``s(-t)`` is a step and a remainder, odd and below ``e^-|t|``, which
the normal density hardly moves along: Gauss-Legendre panels in ``t``.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.quadrature import panel_table
from simulator.runtime.shapes import Scalar

_WIDE = 2.5  # standard deviation from which the panels in t are the better ones
_EDGES = np.array([0.0, 3.0, 9.0, 38.0])  # of the panels
#: Steps and reach of Z, nodes per panel.
_EXACT, _ROUGH = (0.25, 10.0, 16), (0.5, 7.0, 6)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def logistic_averages(
    mean: Scalar, std: Scalar, rough: bool = False
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """``miss`` and ``bend`` of the module docstring.

    Parameters
    ----------
    mean : scalar
    std : scalar >= 0
    rough : bool
        A third of the work, to 1e-3: for what is corrected later.
    """
    miss, bend, _, _ = _averages(mean, std, rough)
    return miss, bend


@logistic_averages.defjvp
def _logistic_averages_jvp(rough, primals, tangents):
    """By parts, ``E Z f(t) = R E f'(t)``: one exponential per node for values and slopes."""
    (mean, std), (by_mean, by_std) = primals, tangents
    miss, bend, turn, last = _averages(mean, std, rough)
    move = by_mean, std * by_std
    return (miss, bend), (-bend * move[0] - turn * move[1], turn * move[0] + last * move[1])


def _averages(mean: Scalar, std: Scalar, rough: bool) -> Float[Array, "4"]:
    """Means of ``s(-t)``, of ``b = s(t) s(-t)``, and of its first two derivatives."""
    step, reach, order = _ROUGH if rough else _EXACT
    z = np.arange(-reach, reach + step / 2, step)
    weight = jnp.asarray(step * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), float)
    inside = jnp.where(std < _WIDE, std, 0)
    miss = jax.nn.sigmoid(-(mean + inside * jnp.asarray(z, float)))
    bend, odd = miss * (1 - miss), 2 * miss - 1
    narrow = jnp.stack([miss, bend, bend * odd, bend * (odd**2 - 2 * bend)]) @ weight

    t, measure = panel_table(_EDGES, order)
    q = np.exp(-t) / (1 + np.exp(-t))
    b, c = q * (1 - q), 2 * q - 1
    even, odd = np.stack([b, b * (c**2 - 2 * b)]) * measure, np.stack([q, b * c]) * measure
    size = jnp.where(std < _WIDE, _WIDE, std)
    below, above = (normal_pdf((at - mean) / size) / size for at in jnp.asarray([-t, t], float))
    bend, last = jnp.asarray(even, float) @ (above + below)
    miss, turn = jnp.asarray(odd, float) @ (above - below)
    wide = jnp.stack([normal_cdf(-mean / size) + miss, bend, turn, last])
    return jnp.where(std < _WIDE, narrow, wide)
