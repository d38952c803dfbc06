"""Probability that a matrix of random associations recalls the wrong class of a token.

The score of class c for token x of class f is, in law and up to a common positive factor,

    a_c = q(x) sqrt(d) R 1{c = f} + g_c sqrt(Q_c),        g_c ~ N(0, 1) independent,

with ``R`` the norm of the token's embedding and ``Q_c = sum_{x' != x, f(x') = c} q(x')^2``. Hence

    err(x) = 1 - E_R int phi(h) prod_{c != f} Phi((q sqrt(d) R + sqrt(Q_f) h) / sqrt(Q_c)) dh.

The integrand is a step whose width ``sqrt(Q_c / Q_f)`` can be a hundred times below that of
``phi`` (plain Gauss-Hermite fails), so the rule is Gauss-Legendre on panels placed at the step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.quadrature import panel_rule
from simulator.maths.slopes import square_root
from simulator.maths.zipf import finite_law
from simulator.runtime.precision import float_dtype

_GAUSSIAN_EDGES = (-9.0, -6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0, 9.0)
_STEP_EDGES = (-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0)


class Rule(NamedTuple):
    """Sizes of the quadrature: nodes per panel in h, and nodes in R."""

    panel_nodes: int = 6
    norm_nodes: int = 21


FINE = Rule()
COARSE = Rule(panel_nodes=3, norm_nodes=11)


class Noise(NamedTuple):
    """Noise powers that a token meets: of its own class and of the others."""

    own: Array  # Q_f without the token itself
    others: Array  # (kinds,) Q_c of the other classes
    multiplicity: Array  # (kinds,) number of other classes with that power


def token_error(signal, noise: Noise, dim, embedding: str, unembedding: str, rule: Rule = FINE):
    """``err`` of one token of weight ``signal = q(x)``.

    Exact for Gaussian embeddings and orthonormal unembeddings; R = 1 for embeddings on the sphere
    (relative error O(1/d)); unembeddings on the sphere by equivalent noise powers.
    """
    if unembedding == "sphere":
        noise = with_random_unembeddings(noise, dim)
    norms, weights = _norms(dim, embedding, rule.norm_nodes)
    drive = signal * jnp.sqrt(dim)
    errors = jax.vmap(lambda r: _error_at(drive * r, noise, rule.panel_nodes))(norms)
    untouched = (drive == 0) & (noise.own == 0)
    return jnp.where(untouched, _tie_error(noise), weights @ errors)


def mean_token_error(signals, chance, noise: Noise, dim, embedding: str, unembedding: str):
    """``token_error`` averaged over a random weight: ``signals`` with probabilities ``chance``.

    Weights and norms enter through their product only, the drive, in which the error is smooth:
    its logarithm is interpolated, which takes 128 integrals for any number of weights.
    """
    if unembedding == "sphere":
        noise = with_random_unembeddings(noise, dim)
    norms, weights = _norms(dim, embedding, FINE.norm_nodes)
    drives = signals[:, None] * jnp.sqrt(dim) * norms
    stored = _interpolated_error(drives, noise) @ weights
    silent = jnp.zeros((), float)
    unstored = token_error(silent, noise, dim, "sphere", "orthonormal")
    return chance @ jnp.where(signals > 0, stored, unstored)


_GRID_PANELS = 16
_GRID_NODES = 8
_REACH = 12.0  # e^-72 of tokens fail beyond


def _interpolated_error(drives, noise: Noise):
    """`_error_at` for positive drives, its logarithm piecewise polynomial in ``arcsinh(drive)``."""
    counted = (noise.others > 0) & (noise.multiplicity > 0)
    smallest = jnp.min(jnp.where(counted, noise.others, jnp.inf))
    largest = jnp.max(jnp.where(counted, noise.others, 0.0))
    step = (noise.own > 0) & jnp.any((noise.others <= 0) & (noise.multiplicity > 0))
    smallest = jnp.where(step | jnp.isinf(smallest), 0.0, smallest)
    scale = jnp.sqrt(noise.own + smallest)
    scale = jax.lax.stop_gradient(jnp.where(scale > 0, scale, 1.0))
    far = _REACH * jnp.maximum(jnp.sqrt(noise.own + largest), scale)
    last = jnp.arcsinh(jnp.minimum(far, jnp.maximum(jnp.max(drives), scale)) / scale)
    width = jax.lax.stop_gradient(last) / _GRID_PANELS

    angles = (np.arange(_GRID_NODES) + 0.5) * np.pi / _GRID_NODES
    x = -np.cos(angles)  # Chebyshev
    coefficients = np.linalg.inv(np.vander(x, increasing=True))
    middles = jnp.arange(_GRID_PANELS, dtype=float)[:, None] + 0.5
    at = scale * jnp.sinh(width * (middles + jnp.asarray(x / 2, float)))
    errors = jax.vmap(lambda drive: _error_at(drive, noise, FINE.panel_nodes))(at.ravel())
    logs = jnp.log(jnp.maximum(errors, jnp.finfo(float_dtype()).tiny)).reshape(at.shape)
    polynomials = logs @ jnp.asarray(coefficients.T, float)

    position = jnp.minimum(jnp.arcsinh(drives / scale) / width, _GRID_PANELS)
    panel = jnp.clip(jnp.floor(position).astype(int), 0, _GRID_PANELS - 1)
    local = 2 * (position - panel) - 1
    mine = polynomials[panel]
    value = mine[..., -1]
    for power in range(_GRID_NODES - 2, -1, -1):
        value = value * local + mine[..., power]
    return jnp.exp(value)


def _norms(d, embedding: str, nodes: int) -> tuple[Array, Array]:
    if embedding == "sphere":
        return jnp.ones(1, float), jnp.ones(1, float)
    return norm_rule(d, nodes)


def norm_rule(d, nodes: int) -> tuple[Array, Array]:
    """Trapezoid for the norm, ``d R^2 ~ chi^2_d``, in ``sqrt(R)`` over 8 standard deviations.

    With 21 nodes right to 1e-8 for d >= 5, 1e-5 at d = 3, 1e-2 at d = 1.
    """
    width = 8 / jnp.sqrt(2 * d)
    low = jnp.maximum(1 - width / 2, 0)
    high = jnp.sqrt(1 + width)
    root = low + (high - low) * jnp.arange(nodes, dtype=float) / (nodes - 1)
    # R^{d-1} e^{-d R^2 / 2} dR = 2 w^{2d-1} e^{-d w^4 / 2} dw
    log_density = (2 * d - 1) * jnp.log(jnp.maximum(root, 1e-12)) - d * root**4 / 2
    ends = jnp.zeros(nodes, float).at[jnp.array([0, nodes - 1])].set(-np.log(2))
    return root**2, jax.nn.softmax(log_density + ends)


def with_random_unembeddings(noise: Noise, d) -> Noise:
    """Unit vectors in d dimensions leak the noise of other classes into each score, as 1/d.

    The signal leaks too, but into all scores alike: it adds nothing.
    """
    total = noise.own + noise.multiplicity @ noise.others
    leaked = jnp.maximum(total - noise.others - noise.own, 0) / d
    count = jnp.maximum(jnp.sum(noise.multiplicity), 1)
    return Noise(
        noise.own + noise.multiplicity @ leaked / count,
        noise.others + leaked,
        noise.multiplicity,
    )


def _error_at(drive, noise: Noise, panel_nodes: int):
    """``1 - int phi(h) prod_c Phi((drive + sqrt(Q_f) h) / sqrt(Q_c)) dh``."""
    own = square_root(noise.own)
    silent = noise.others <= 0
    power = jnp.where(silent, 1.0, noise.others)
    scale = jnp.sqrt(power)

    counted = ~silent & (noise.multiplicity > 0)
    log_scale = jnp.log(power) / 2
    smallest = jnp.min(jnp.where(counted, log_scale, jnp.inf))
    largest = jnp.max(jnp.where(counted, log_scale, -jnp.inf))
    some = jnp.any(counted)
    smallest, largest = jnp.where(some, smallest, 0.0), jnp.where(some, largest, 0.0)
    widths = jnp.exp(jnp.stack([smallest, (smallest + largest) / 2, largest]))
    steps = (widths[:, None] * jnp.asarray(_STEP_EDGES, float)).ravel()
    at_steps = (steps - drive) / jnp.where(own > 0, own, 1.0)
    # Where the panels end does not change the integral: no derivative through them.
    edges = jax.lax.stop_gradient(
        jnp.sort(
            jnp.concatenate([jnp.asarray(_GAUSSIAN_EDGES, float), jnp.clip(at_steps, -9.0, 9.0)])
        )
    )

    h, weight = panel_rule(edges, panel_nodes)
    mass = weight * normal_pdf(h)
    level = drive + own * h
    beaten = normal_cdf(-level[:, None] / scale)
    beaten = jnp.where(silent, jnp.where(level[:, None] > 0, 0.0, 1.0), beaten)
    below_one = jnp.minimum(beaten, 1 - jnp.finfo(float_dtype()).eps)
    return mass @ -jnp.expm1(jnp.log1p(-below_one) @ noise.multiplicity)


def _tie_error(noise: Noise):
    """Nothing stored for the token or its class: it ties with the other silent classes at 0."""
    silent = jnp.sum(jnp.where(noise.others <= 0, noise.multiplicity, 0.0))
    loud = jnp.sum(noise.multiplicity) - silent
    return 1 - 2.0**-loud / (silent + 1)


# --------------------------------------------------------------------------------------------
# Tokens of a Zipf law, f(x) = x mod M
# --------------------------------------------------------------------------------------------
def outputs(params, per_token: Array) -> dict[str, Array]:
    """The error of every token and its mean over the token law."""
    p = finite_law(params.zipf_exponent, params.num_tokens)
    return {"test_error": p @ per_token, "per_token_error": per_token}


def check_dimension(params, side: str) -> None:
    """Refuse more orthonormal unembeddings than dimensions."""
    if params.unembedding == "orthonormal" and params.dim < params.num_classes:
        raise ValueError(
            f"dim = {params.dim} is not allowed: orthonormal unembeddings need "
            f"dim >= num_classes = {params.num_classes} (or unembedding = 'sphere')"
        )


def below(num_tokens: int, limit) -> Array:
    """``1{x < limit}`` (``limit`` may be inf)."""
    return jnp.arange(num_tokens) < limit


def noise_of_tokens(squares: Array, num_classes: int) -> Noise:
    """The noise every token meets, from the squared weights ``q(x)^2`` (or their means).

    A class sum without the token itself is a sum of what comes before and after it: no
    cancellation, however large the token's own share.
    """
    num_tokens = squares.shape[0]
    rows = -(-num_tokens // num_classes)
    table = jnp.pad(squares, (0, rows * num_classes - num_tokens)).reshape(rows, num_classes)
    before = jnp.concatenate([jnp.zeros_like(table[:1]), jnp.cumsum(table, 0)[:-1]])
    after = jnp.concatenate([jnp.cumsum(table[::-1], 0)[::-1][1:], jnp.zeros_like(table[:1])])
    own = (before + after).ravel()[:num_tokens]
    powers = jnp.sum(table, axis=0)
    classes = jnp.arange(num_tokens) % num_classes
    others = (classes[:, None] + jnp.arange(1, num_classes)) % num_classes
    ones = jnp.ones((num_tokens, num_classes - 1), float)
    return Noise(own, powers[others], ones)


def errors_of_tokens(signals, noise: Noise, dim, embedding: str, unembedding: str) -> Array:
    """``err`` of all tokens of weights ``signals``."""

    def one(signal, mine):
        return token_error(signal, mine, dim, embedding, unembedding)

    return _one_by_one(one, signals, noise)


def mean_errors_of_tokens(signals, chance, noise: Noise, dim, embedding: str, unembedding: str):
    """``err`` of all tokens averaged over ``signals`` of probability ``chance``."""

    def one(values, chances, mine):
        return mean_token_error(values, chances, mine, dim, embedding, unembedding)

    return _one_by_one(one, signals, chance, noise)


def _one_by_one(error, *per_token) -> Array:
    """One quadrature at a time: grids are vectorised outside, and memory stays small."""
    return jax.lax.map(jax.checkpoint(lambda inputs: error(*inputs)), per_token)
