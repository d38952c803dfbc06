"""L1 distance between the empirical law of n Zipf tokens and the real law, exact at any n.

``sum_j E|N_j / n - p_j|`` with ``N_j ~ Binomial(n, q_j)`` and ``q_j = p_j 1{j <= k} / (1 - m_k)``.
As a function of the rank the summand has a kink wherever ``a = n p_j`` is a whole number, so the
sum is taken in four parts: single ranks; ranks with ``a > 64``, where the phase of the kinks
averages out; ``1 < a < 64``, integrated between the kinks; ``a < 1``, where it is smooth.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator.maths import binomial, zeta, zipf
from simulator.maths.quadrature import log_panel_rule, unit_rule

NUM_HEADS = 512
_LAST_KINK = 64
_PIECE_NODES = 6
_PHASES = 3
_PANELS = 12
_PANEL_NODES = 12


class Law(NamedTuple):
    """The real law and its cut: what a context's training tokens follow."""

    beta: Array
    log_a: Array
    cutoff: Array
    kept: Array  # 1 - m_k

    def p(self, rank):
        return jnp.exp(self.log_a - self.beta * jnp.log(rank))


def cut_law(beta, cutoff) -> Law:
    return Law(beta, zipf.log_amplitude(beta), cutoff, 1 - zipf.tail_mass(beta, cutoff))


class _Nodes(NamedTuple):
    """Points where ``E|N - n p|`` is wanted: ``p``, ``m`` (see `binomial`) and the weight."""

    p: Array
    below: Array
    weight: Array

    def join(self, other: "_Nodes") -> "_Nodes":
        return _Nodes(*(jnp.concatenate([a, b]) for a, b in zip(self, other, strict=True)))

    def total(self, law: Law, n) -> Array:
        mean = binomial.mean_absolute_deviation(n, self.p / law.kept, n * self.p, self.below)
        return self.weight @ mean / n


def error(law: Law, n, stride=None) -> Array:
    """``sum_j E|N_j / n - p_j|``; 1 for ``n = 0`` (no prediction).

    Parameters
    ----------
    n : float
        Whole number of tokens.
    stride : float, optional
        If ``n`` is one point of a grid of this stride over which the error will be averaged: the
        kinks of rank j recur with period ``1 / p_j`` in n, and where the grid cannot resolve that
        period their phase is averaged instead.
    """
    drawn = jnp.maximum(n, 1)
    ranks = jnp.arange(1, NUM_HEADS + 1, dtype=float)
    p = law.p(ranks)
    kept = jnp.where(ranks <= law.cutoff, 1.0, 0.0)
    if stride is None:
        heads = _Nodes(p, jnp.floor(drawn * p), kept)
    else:
        phases, shares = unit_rule(_PHASES)
        blurred = (stride > 1) & (p * stride > 0.5)
        phase = jnp.maximum(drawn * p - phases[:, None], 0)
        below = jnp.where(blurred, phase, jnp.floor(drawn * p))
        heads = _Nodes(jnp.tile(p, _PHASES), below.ravel(), (shares[:, None] * kept).ravel())
    nodes, smooth = _beyond(law, drawn, NUM_HEADS)
    missing = jnp.sum(jnp.where(kept > 0, 0.0, p))
    return jnp.where(n > 0, heads.join(nodes).total(law, drawn) + smooth + missing, 1.0)


def error_beyond(law: Law, n, num_heads: int) -> Array:
    """The part of `error` from ranks beyond ``num_heads``, for ``n >= 1``."""
    nodes, smooth = _beyond(law, n, num_heads)
    return nodes.total(law, n) + smooth


def _beyond(law: Law, n, num_heads: int) -> tuple[_Nodes, Array]:
    """Ranks beyond ``num_heads``: nodes for those with ``n p > 1``, and the sum of the others."""
    start = jnp.log(num_heads + 0.5)
    edge = jnp.maximum(law.cutoff, num_heads)
    cut = jnp.isfinite(law.cutoff)
    stop = jnp.where(cut, jnp.log(jnp.where(cut, edge, num_heads) + 0.5), jnp.inf)
    log_scale = jnp.log(n) + law.log_a

    def where_a_is(a):  # log rank at which n p = a, inside [start, stop]
        return jnp.minimum(jnp.maximum((log_scale - jnp.log(a)) / law.beta, start), stop)

    def panels(low, high):
        return log_panel_rule(jnp.linspace(low, high, _PANELS + 1), _PANEL_NODES)

    # a > 64: average over the phase a - m of the kinks
    rank, weight = panels(start, where_a_is(_LAST_KINK))
    p = law.p(rank)
    phases, shares = unit_rule(_PHASES)
    below = jnp.maximum(n * p - phases[:, None], 0).ravel()
    frequent = _Nodes(jnp.tile(p, _PHASES), below, (shares[:, None] * weight).ravel())
    # m < a < m + 1 for m = 63 .. 1
    kinks = jnp.arange(_LAST_KINK, 0, -1, dtype=float)
    rank, weight = log_panel_rule(where_a_is(kinks), _PIECE_NODES)
    p = law.p(rank)
    below = jnp.minimum(jnp.repeat(kinks[1:], _PIECE_NODES), n * p)  # a < m: width 0
    pieces = _Nodes(p, below, weight)

    # a < 1: (q - p) + 2 p (1 - q)^n, down to n p = 1e-10 and from there q + p
    def rare(rank):
        p = law.p(rank)
        q = jnp.minimum(p / law.kept, 0.5)  # beyond rank 512 q is far below
        return q - p + 2 * p * jnp.exp(n * jnp.log1p(-q))

    def end_correction(rank):  # sum over i > rank minus the integral from rank + 1/2
        return jnp.where(n * law.p(rank) < 1, (rare(rank + 1) - rare(rank)) / 24, 0.0)

    high = where_a_is(1e-10)
    rank, weight = panels(where_a_is(1.0), high)
    smooth = rare(rank) @ weight
    first = float(num_heads)
    at_edge = end_correction(jnp.where(cut, edge, first))
    smooth = smooth + end_correction(first) - jnp.where(cut, at_edge, 0.0)
    end = jnp.where(cut, stop, 0.0)
    last = jnp.exp(law.log_a + (1 - law.beta) * high)
    last = last - jnp.where(cut, jnp.exp(law.log_a + (1 - law.beta) * end), 0.0)
    smooth = smooth + jnp.maximum(last, 0) / (law.beta - 1) * (1 / law.kept + 1)
    smooth = smooth + jnp.where(cut, zipf.tail_mass(law.beta, edge), 0.0)
    return frequent.join(pieces), smooth


def two_term(beta, n) -> Array:
    """``C A^{1/beta} n^-c + sqrt(2 / (pi n)) [sqrt(A) zeta(beta/2) + corrections]``.

    Both terms have a pole at ``beta = 2``, and their sum has none: with ``e = 1 - beta/2`` the
    poles are ``sqrt(2A / (pi n)) [(A n / 64)^{e/beta} / e - 1 / e]``.
    """
    log_a, log_n = zipf.log_amplitude(beta), jnp.log(n)
    tail = _regular_constant(beta) * jnp.exp(log_a / beta - zipf.clean_exponent(beta) * log_n)
    log_ratio = (log_a + log_n - np.log(_LAST_KINK)) / beta
    poles = log_ratio * zeta.relative_expm1((1 - beta / 2) * log_ratio)
    root = jnp.sqrt(2 / (np.pi * n))
    heads = jnp.exp(log_a / 2) * (poles + zeta.zeta_without_pole(beta / 2))
    return tail + root * (heads + _head_corrections(beta))


def poisson_constant(beta) -> Array:
    """``C_beta = (1/beta) int_0^inf x^{-1-1/beta} h(x) dx``, continued to ``beta > 2``.

    ``h`` is the mean absolute deviation of Poisson(x); for ``beta > 2`` the integral is that of
    ``h - sqrt(2x / pi)``.
    """
    # sqrt(2x/pi) on average over a period, up to x^-2
    power = 1 / beta - 0.5
    rest = jnp.sqrt(2 / np.pi) * _LAST_KINK**-power / power
    return _regular_constant(beta) + rest / beta


def _regular_constant(beta) -> Array:
    """The part of `poisson_constant` from ``x`` below 64."""
    first = 2 * zeta.scaled_lower_gamma(1 - 1 / beta, 1.0)  # h = 2 x e^-x below 1
    x, w = unit_rule(8)
    m = jnp.arange(1, _LAST_KINK, dtype=float)[:, None]
    h = binomial.poisson_mean_absolute_deviation(m + x, m)
    return (first + jnp.sum(h * (m + x) ** (-1 - 1 / beta) * w)) / beta


def head_bracket(beta) -> Array:
    """``sqrt(A) zeta(beta/2) + sum_j (sqrt(p_j (1 - p_j)) - sqrt(p_j))``."""
    leading = jnp.exp(zipf.log_amplitude(beta) / 2) * zeta.hurwitz_zeta(beta / 2)
    return leading + _head_corrections(beta)


def _head_corrections(beta) -> Array:
    """``sum_j (sqrt(p_j (1 - p_j)) - sqrt(p_j))``."""
    log_a = zipf.log_amplitude(beta)
    ranks = jnp.arange(1, zipf.HEAD + 1, dtype=float)
    p = jnp.exp(log_a - beta * jnp.log(ranks))
    total = jnp.sum(jnp.sqrt(p) * (jnp.sqrt(1 - p) - 1))
    start = zipf.HEAD + 1.0  # sqrt(1 - p) - 1 = -p/2 - p^2/8 - p^3/16 - ...
    for power, share in ((1.5, 1 / 2), (2.5, 1 / 8), (3.5, 1 / 16)):
        total = total - share * jnp.exp(power * log_a) * zeta.hurwitz_zeta(power * beta, start)
    return total
