"""Linear predictors under attack: adversarial risk, the best one, and what comes close to it.

For inputs ``N(0, Sigma)``, labels ``w0.x + N(0, sigma^2)`` and the worst perturbation of norm at
most ``r`` the risk of a predictor is exact,

    E(w, r) = s^2 + 2 c0 r s b + r^2 b^2,    s^2 = a^2 + sigma^2,    c0 = sqrt(2 / pi),

with ``a = ||w - w0||_Sigma`` and the dual norm ``b = ||w||_*`` (arXiv 2308.00556, 2301.13486). It
is convex in ``w`` and increasing in ``a`` and ``b``: what is best, and its proxies, lie on the path
of `robust_path`, at its ends for small and for large radii.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from simulator.maths.robust_path import (  # isort: skip
    MEAN_ABSOLUTE, RULES, Problem, Setting, residual_std, stopped,
)  # fmt: skip
from simulator.maths import separable
from simulator.maths.roots import increasing_root
from simulator.maths.slopes import only_slope, ratio, square_root
from simulator.runtime.shapes import Scalar

TIES = 16  # roundings, relative, within which the ends of the path win


class Predictor(NamedTuple):
    """Weights, with all that their risk depends on; ``residual`` bounds the error of a solver."""

    weights: Array  # (dim,)
    distance: Array  # a
    dual_norm: Array  # b
    residual: Array


def adversarial_risk(
    distance: Scalar, dual_norm: Scalar, radius: Scalar, noise_std: Scalar
) -> Float[Array, ""]:
    """``E = s^2 + 2 c0 r s b + r^2 b^2``."""
    s, exposed = residual_std(distance, noise_std), radius * dual_norm
    return s**2 + 2 * MEAN_ABSOLUTE * s * exposed + exposed**2


def attack(
    problem: Problem, weights: Float[Array, " dim"], residual: Scalar, radius: Scalar
) -> Float[Array, " dim"]:
    """The perturbation that costs most: ``r u(w)`` in the direction of the residual."""
    sign = jnp.where(residual < 0, -1, 1)
    return sign * radius * problem.norm.maximiser(weights)


def truth(problem: Problem) -> Predictor:
    """``w0`` itself."""
    zero = jnp.zeros((), float)
    return Predictor(problem.truth, zero, problem.norm.dual(problem.truth), zero)


def null(problem: Problem) -> Predictor:
    """The predictor 0."""
    zero = jnp.zeros((), float)
    return Predictor(jnp.zeros_like(problem.truth), problem.signal(), zero, zero)


# ------------------------------------------------------------------------------------------------
# Radii at which the optimum leaves the ground truth, and arrives at zero
# ------------------------------------------------------------------------------------------------
def steepness(problem: Problem) -> Float[Array, ""]:
    """``min ||g||_{Sigma^-1}`` over subgradients ``g`` of ``||.||_*`` at ``w0``.

    The limit of ``a / lambda`` where the path begins. For ``linf`` and a full covariance the
    entries of ``g`` where ``w0`` is 0 are taken as the least squares has them, which is right while
    they stay in [-1, 1] (as for an autoregressive covariance).
    """
    kind, w0 = problem.norm.kind, problem.truth
    if kind == "linf":
        sign = jnp.sign(w0)
        if problem.diagonal:
            return square_root(jnp.sum(jnp.where(sign != 0, problem.precision, 0)))
        support = sign != 0
        both = support[:, None] & support[None, :]
        block = jnp.where(both, problem.covariance, jnp.eye(len(w0), dtype=float))
        return square_root(sign @ jnp.linalg.solve(block, sign))
    if kind == "l1":
        return 1 / square_root(_weight_of_the_largest(problem))
    g = problem.norm.maximiser(w0)
    return square_root(g @ problem.whitened(g))


def _weight_of_the_largest(problem) -> Array:
    """``1 / min pi^T G pi``, ``pi`` on the simplex over the entries with the largest ``|w0|``."""
    size = jnp.abs(problem.truth)
    largest = size == size.max()
    if problem.diagonal:
        return jnp.sum(jnp.where(largest, problem.covariance, 0))
    # min y^T G y / 2 - sum(y) for y >= 0 is at a multiple of pi; y = 0 outside of the ties.
    sign = jnp.where(problem.truth < 0, -1, 1).astype(size.dtype)
    gram = problem.precision * sign[:, None] * sign[None, :]
    upper = jnp.where(largest, jnp.inf, 0)
    ones = jnp.ones_like(size)
    y, _ = separable.minimum(gram, ones, separable.bounded, jnp.zeros_like(size), upper)
    return y.sum()


def radius_low(problem: Problem) -> Float[Array, ""]:
    """Up to here the ground truth is optimal, without label noise."""
    return MEAN_ABSOLUTE / steepness(problem)


def radius_high(problem: Problem, noise_std: Scalar) -> Float[Array, ""]:
    """From here on the predictor 0 is optimal."""
    return problem.strongest() / (MEAN_ABSOLUTE * residual_std(problem.signal(), noise_std))


# ------------------------------------------------------------------------------------------------
# Predictors
# ------------------------------------------------------------------------------------------------
def robust(
    problem: Problem,
    radius: Scalar,
    noise_std: Scalar = 0.0,
    budget: Scalar | None = None,
    regularised: bool = False,
) -> dict[str, Predictor]:
    """The optimum and its proxy, and on request two more.

    Parameters
    ----------
    problem : Problem
        With ``w0 != 0``.
    radius, noise_std : float
        ``r >= 0``, ``sigma >= 0``.
    budget : float, optional
        ``epsilon > 0``, may be infinite: the optimum among ``a <= epsilon``, too.
    regularised : bool
        The minimiser of ``a^2 + r^2 b^2``, too.

    Returns
    -------
    dict of str to Predictor
        ``optimum`` and ``proxy``; ``constrained`` with a budget, and ``regularised`` if asked for.
        ``residual`` of each is the gap of its certificate, or the error of its rule.
    """
    low, high = radius_low(problem), radius_high(problem, noise_std)
    signal, ends = problem.signal(), (truth(problem), null(problem))
    still, noiseless = radius == 0, noise_std == 0
    factor = 1 + TIES * jnp.finfo(signal.dtype).eps
    at_truth = {
        "optimum": still | (noiseless & (radius <= low * factor)),
        # The proxy is the optimum with 1 in place of c0.
        "proxy": still | (noiseless & (radius * MEAN_ABSOLUTE <= low * factor)),
        "regularised": still,
    }
    at_zero = {
        "optimum": radius * factor >= high,
        "proxy": radius * factor >= MEAN_ABSOLUTE * high,
        "regularised": jnp.zeros((), bool),
    }
    rules = ["optimum", "proxy"]
    rules += ["regularised"] * regularised + ["budget"] * (budget is not None)
    # What an end of the path wins is replaced by something inside, and thrown away.
    inside = jnp.where(noiseless, jnp.sqrt(low * high), high / 2)
    limit = signal if budget is None else budget
    settings = []
    for rule in rules:
        at_end = at_truth[rule] | at_zero[rule] if rule in at_truth else jnp.zeros((), bool)
        settings.append(
            Setting(
                jnp.where(at_end, RULES.index("optimum"), RULES.index(rule)),
                jnp.where(at_end, inside, radius),
                jnp.asarray(noise_std, float),
                jnp.where(limit < signal, limit, signal / 2),
            )
        )
    points, errors = stopped(problem, jax.tree.map(lambda *leaves: jnp.stack(leaves), *settings))
    found: dict[str, Predictor] = {}
    for i, rule in enumerate(rules):
        residual = jnp.maximum(points.gap[i], errors[i])
        inner = Predictor(points.weights[i], points.distance[i], points.dual_norm[i], residual)
        if rule == "budget":
            best = found["optimum"]
            found["constrained"] = _chosen(limit < best.distance, inner, best)
            continue
        start = ends[0]
        if rule != "regularised":
            start = _leaving(problem, start, radius, noise_std, low, rule)
        inner = _chosen(at_zero[rule], ends[1], inner)
        found[rule] = _chosen(at_truth[rule], start, inner)
    return found


def _leaving(problem, start, radius, noise_std, low, rule) -> Predictor:
    """``w0``, with the slopes in ``r`` at ``r = 0`` of the path that leaves it: there
    ``lambda = c0 r sigma`` (``r sigma`` for the proxy), ``a = lambda G`` and ``b = b0 - a G``."""
    pull = radius * noise_std * (MEAN_ABSOLUTE if rule == "optimum" else 1)
    steep = MEAN_ABSOLUTE / low
    return start._replace(
        distance=only_slope(pull * steep), dual_norm=start.dual_norm - only_slope(pull) * steep**2
    )


def _chosen(condition: Bool[Array, ""], first: Predictor, second: Predictor) -> Predictor:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)


def shrunk(problem: Problem, radius: Scalar, noise_std: Scalar) -> Predictor:
    """``gamma w0`` with the best factor in [0, 1].

    Half the derivative of its risk, ``D = -t A^2 + c0 r B (s - gamma t A^2 / s) + r^2 gamma B^2``
    with ``t = 1 - gamma``, ``s^2 = t^2 A^2 + sigma^2``, does not decrease. The factor is handed on
    without its slope, which does not matter for the risk at its minimum.
    """
    arguments = lax.stop_gradient(
        (problem.signal(), radius * problem.norm.dual(problem.truth), jnp.asarray(noise_std, float))
    )
    signal, exposed, noise = arguments
    scale = signal**2 + exposed**2
    noisy = jnp.where(noise > 0, noise, jnp.sqrt(scale))

    def half_slope(gamma, noise):
        t = 1 - gamma
        s = jnp.hypot(t * signal, noise)
        cross = MEAN_ABSOLUTE * exposed * (s - gamma * t * signal**2 / s)
        return (cross + exposed**2 * gamma - t * signal**2) / scale

    ends = jnp.asarray(jnp.finfo(scale.dtype).tiny, float), jnp.ones((), float)
    root = increasing_root(half_slope, *ends, noisy)
    at_zero = half_slope(jnp.zeros((), float), noisy) >= 0
    noiseless = ratio(
        signal * (signal - MEAN_ABSOLUTE * exposed),
        signal**2 - 2 * MEAN_ABSOLUTE * signal * exposed + exposed**2,
    )
    gamma = jnp.where(noise > 0, jnp.where(at_zero, 0, root), noiseless)
    gamma = lax.stop_gradient(jnp.clip(gamma, 0, 1))
    zero = jnp.zeros((), float)
    return Predictor(
        gamma * problem.truth,
        (1 - gamma) * problem.signal(),
        gamma * problem.norm.dual(problem.truth),
        zero,
    )
