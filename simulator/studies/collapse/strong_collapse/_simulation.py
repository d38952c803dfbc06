"""One simulated fit on a mixture of two sources, drawn literally or through trapezoidal factors.

Work in whitened coordinates of the real inputs, ``theta = Sigma^(1/2) w``: the test error is
``||theta_hat - theta_1||^2``. A fit is linear in its labels, so each replicate propagates the true
labels, the shift and the label noise separately through the same design:

    a = (noise-free fit of w1) - w1,   b = response to delta,   c = response to the noise,
    test error = |a|^2 + |c|^2 + |b|^2 + 2 a.b   (terms linear in the noise have mean 0).

Exact reductions of the fast draws: the rows of source ``j`` enter through ``X_j^T X_j`` and
``X_j^T y_j`` only, hence an ``n_j x d`` Gaussian matrix may be replaced by its trapezoidal factor;
random features may be rotated, hence so may ``S^T``. The cost is O(d^3) for every n and m.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import cho_factor, cho_solve

from simulator.studies.collapse.strong_collapse._model import (  # isort: skip
    counts_of, geometric_mean, noise_of, sample_weights, shift_of,
)  # fmt: skip
from simulator.eigenbasis import is_given, spectrum_of
from simulator.maths.least_squares import smallest_norm
from simulator.sampling.trapezoid import active_rows, trapezoidal_factor


class Experiment(NamedTuple):
    """What a replicate needs to know; pairs have the real source first."""

    input_std: Array  # (2, d) Sigma_j^(1/2)
    label_std: Array  # (2, d) Sigma_j^(1/2) Sigma_1^(-1/2)
    signal: Array  # (d,) s_k
    shift: Array  # (d,) g_k
    correlation: Array  # rho
    noise_std: Array  # (2,)
    counts: Array  # (2,) n_j
    weights: Array  # (2,) a_j
    ridge: Array
    #: Of a teacher and a shift that are given: the signs of the one, and the other, whitened.
    signs: Array | None = None
    whitened_shift: Array | None = None


class Fit(NamedTuple):
    """A drawn design and what it makes of labels."""

    rows: Array  # (2, rows, d): labels of theta are rows @ theta
    active: Array  # (2, rows) rows that carry data
    respond: Callable[[Array], Array]  # labels (2, rows, columns) -> theta_hat (d, columns)
    projection: Array | None = None  # S (d, columns) of random features


def experiment(params, weighting="uniform", mixing_weight=0.0, correlation=0.0) -> Experiment:
    """The experiment with equal covariances of both sources."""
    spectrum = spectrum_of(params)
    counts = counts_of(params)
    share = counts.astype(float) / jnp.sum(counts)
    return Experiment(
        input_std=jnp.broadcast_to(jnp.sqrt(spectrum.eigenvalues), (2, params.dim)),
        label_std=jnp.ones((2, params.dim), float),
        signal=spectrum.signal,
        shift=shift_of(params),
        correlation=correlation,
        noise_std=noise_of(params),
        counts=counts,
        weights=sample_weights(share, weighting, mixing_weight),
        ridge=params.ridge,
        signs=jnp.where(params.teacher < 0, -1.0, 1.0) if is_given(params.teacher) else None,
        whitened_shift=(
            jnp.sqrt(spectrum.eigenvalues) * params.shift if is_given(params.shift) else None
        ),
    )


# --------------------------------------------------------------------------------------------
# Replicates
# --------------------------------------------------------------------------------------------
def sampled_errors(key, problem: Experiment, draw_fit) -> dict[str, Array]:
    """Four parts of the test error for drawn teacher, shift, design and noise.

    ``draw_fit(key, problem)`` is `drawn_fit` or `trapezoidal_fit`.
    """
    key_teacher, key_design, key_noise = jax.random.split(key, 3)
    truth, shift = draw_teacher(key_teacher, problem)
    fit = draw_fit(key_design, problem)
    labels = jnp.stack([truth, shift], axis=1) * jnp.ones((2, 1, 1), float)
    labels = labels.at[0, :, 1].set(0)  # only synthetic labels are shifted
    labels = jnp.concatenate(
        [fit.rows @ labels, draw_noise(key_noise, problem, fit)[:, :, None]], axis=2
    )
    fitted, shifted, noise = fit.respond(labels).T
    return summed(
        bias=jnp.sum((fitted - truth) ** 2),
        variance=jnp.sum(noise**2),
        synthetic_error=jnp.sum(shifted**2),
        cross_error=2 * jnp.sum((fitted - truth) * shifted),
    )


def averaged_errors(problem: Experiment, fit: Fit) -> dict[str, Array]:
    """The same for a drawn fit, averaged analytically over teacher, shift and noise.

    With ``K_j`` the response to unit labels on the rows of source ``j`` and ``H_j = K_j rows_j``:
    bias ``sum_k s_k ||(H_1 + H_2 - 1)_k||^2``, shift ``sum_k g_k ||(H_2)_k||^2``, variance
    ``sum_j sigma_j^2 ||K_j||^2``; two thirds of the noise of a replicate or more are gone.
    """
    response, kept = unit_responses(fit)
    error = kept[0] + kept[1] - jnp.eye(kept.shape[-1], dtype=float)
    both, rho = common_signal(problem)
    return summed(
        bias=jnp.sum(problem.signal * error**2),
        variance=jnp.sum(problem.noise_std[:, None, None] ** 2 * response**2),
        synthetic_error=jnp.sum(problem.shift * kept[1] ** 2),
        cross_error=2 * rho * jnp.sum(both * error * kept[1]),
    )


def common_signal(problem: Experiment) -> tuple[Array, Array]:
    """``sqrt(s_k g_k)`` (d,) and ``rho``: their product is the mean of teacher times shift."""
    if problem.signs is not None and problem.whitened_shift is not None:
        return jnp.sqrt(problem.signal) * problem.signs * problem.whitened_shift, jnp.ones(())
    return geometric_mean(problem.signal, problem.shift), problem.correlation


def unit_responses(fit: Fit) -> tuple[Array, Array]:
    """``K_j`` (2, d, rows) and ``H_j`` (2, d, d)."""
    num_rows, dim = fit.rows.shape[1:]
    unit = jnp.eye(2 * num_rows, dtype=float).reshape(2, num_rows, 2 * num_rows)
    response = fit.respond(unit * fit.active[:, :, None]).reshape(dim, 2, num_rows)
    response = response.transpose(1, 0, 2)
    return response, response @ fit.rows


def weighted_grams(problem: Experiment, rows: Array) -> Array:
    """``W_j = a_j R_j^T R_j / n`` (2, d, d) of rows (2, rows, d) whose inactive ones are zero."""
    share = problem.weights / jnp.sum(problem.counts)
    return share[:, None, None] * jnp.einsum("jrk,jrl->jkl", rows, rows)


def summed(**parts):
    return {"test_error": sum(parts.values())} | parts


def draw_teacher(key, problem: Experiment):
    """Whitened ``w1`` and ``delta``: as given, or random signs with the right second moments."""
    signs = jax.random.rademacher(key, (2, problem.signal.size), float)
    rho = problem.correlation
    # (1 - rho)(1 + rho) is exact at both ends.
    first = signs[0] if problem.signs is None else problem.signs
    truth = jnp.sqrt(problem.signal) * first
    if problem.whitened_shift is not None:
        return truth, problem.whitened_shift
    mixed = rho * first + jnp.sqrt((1 - rho) * (1 + rho)) * signs[1]
    return truth, jnp.sqrt(problem.shift) * mixed


def draw_noise(key, problem: Experiment, fit: Fit):
    """Label noise on the active rows of both sources; shape (2, rows)."""
    normal = jax.random.normal(key, fit.active.shape, float)
    return jnp.where(fit.active, problem.noise_std[:, None] * normal, 0)


# --------------------------------------------------------------------------------------------
# Literal designs
# --------------------------------------------------------------------------------------------
def drawn_fit(num_samples: int, width: int | None = None):
    """``draw_fit`` with all ``n x d`` inputs (and the ``d x m`` projection) drawn."""

    def draw_fit(key, problem: Experiment) -> Fit:
        dim = problem.signal.size
        key_inputs, key_projection = jax.random.split(key)
        normal = jax.random.normal(key_inputs, (num_samples, dim), float)
        # The first n1 samples are real. A source's rows are zero where the other's samples are.
        real = jnp.arange(num_samples) < problem.counts[0]
        active = jnp.stack([real, ~real])
        rows = jnp.where(active[:, :, None], normal, 0)
        inputs = jnp.sum(rows * problem.input_std[:, None, :], axis=0)
        projection = jnp.eye(dim, dtype=float)
        if width is not None:
            projection = jax.random.normal(key_projection, (dim, width), float)
            projection = projection / jnp.sqrt(dim)
        scale = jnp.sqrt(jnp.where(real, problem.weights[0], problem.weights[1]) / num_samples)
        solve = smallest_norm(scale[:, None] * inputs @ projection, problem.ridge)

        def respond(labels):
            coefficients = solve(scale[:, None] * jnp.sum(labels, axis=0))
            return problem.input_std[0][:, None] * (projection @ coefficients)

        return Fit(rows * problem.label_std[:, None, :], active, respond)

    return draw_fit


# --------------------------------------------------------------------------------------------
# Trapezoidal designs
# --------------------------------------------------------------------------------------------
def trapezoidal_fit(width=None):
    """``draw_fit`` through trapezoidal factors: ``n_j`` and ``width`` may be traced."""

    def draw_fit(key, problem: Experiment) -> Fit:
        dim, projection = problem.signal.size, None
        key_projection, *keys = jax.random.split(key, 3)
        rows = jax.vmap(lambda k, n: trapezoidal_factor(k, n, dim))(jnp.stack(keys), problem.counts)
        active = jax.vmap(lambda n: active_rows(n, dim))(problem.counts)
        features = rows * problem.input_std[:, None, :]
        num_features: Array | int = dim
        if width is not None:
            projection = trapezoidal_factor(key_projection, width, dim).T / jnp.sqrt(dim)
            features = features @ projection
            num_features = jnp.minimum(width, dim)
        scale = jnp.sqrt(problem.weights / jnp.sum(problem.counts))[:, None, None]
        used = jnp.where(problem.weights > 0, jnp.minimum(problem.counts, dim), 0)
        solve = _smaller_side(scale * features, used, problem.ridge, num_features)

        def respond(labels):
            coefficients = solve(scale * labels)
            weights = coefficients if projection is None else projection @ coefficients
            return problem.input_std[0][:, None] * weights

        return Fit(rows * problem.label_std[:, None, :], active, respond, projection)

    return draw_fit


def _smaller_side(features, counts, ridge, num_features):
    """Ridge regression of two blocks of ``counts`` rows, by Cholesky on the smaller side.

    Parameters
    ----------
    features : array (2, d, d)
        Of block ``j`` the first ``counts[j]`` rows and the first ``num_features`` columns count;
        the others are zero (or, for a block of weight zero, its count is).
    ridge : float
        May be 0: fewer rows than features give the interpolant of smallest norm.

    Notes
    -----
    Fewer active rows than features fit into one square block, where the Gram matrix of the rows
    is regular; otherwise that of the features is. Inactive rows and columns get a one on the
    diagonal. Which side it is may be traced: both are the same Cholesky of one matrix.
    """
    dim = features.shape[-1]
    total = jnp.sum(counts)
    few_rows = total < num_features

    def stacked(blocks):
        return blocks[0] + jnp.roll(blocks[1], counts[0], axis=0)

    def diagonal(active):
        return jnp.diag(jnp.where(jnp.arange(dim) < active, ridge, 1))

    rows = stacked(features)
    by_rows = rows @ rows.T + diagonal(total)
    by_columns = jnp.einsum("jrk,jrl->kl", features, features) + diagonal(num_features)
    factor = cho_factor(jnp.where(few_rows, by_rows, by_columns), lower=True)

    def solve(labels):
        correlation = jnp.einsum("jrk,jrc->kc", features, labels)
        solution = cho_solve(factor, jnp.where(few_rows, stacked(labels), correlation))
        return jnp.where(few_rows, rows.T @ solution, solution)

    return solve
