"""Sums over the ranks of a Zipf law with infinite support, without truncation.

``p_i = A i^-beta`` for ``i = 1, 2, ...`` with ``A = 1 / zeta(beta)`` and ``beta > 1``. The tail
``i > k`` carries mass of order ``k^-(beta-1)`` (5.6 % beyond a million ranks at ``beta = 1.2``),
so it is never cut off: every sum here is

    explicit terms up to rank `HEAD`  +  integral beyond it  +  end-point corrections,

the last two from the Euler-Maclaurin formula at midpoints, with central differences for the
derivatives,

    sum_{i>k} f(i) = int_{k+1/2}^inf f(x) dx + (1/24) d f - (17/5760) d^3 f + ...,
    d f = f(k+1) - f(k),   d^3 f = f(k+2) - 3 f(k+1) + 3 f(k) - f(k-1).

For the occupancy sums of Poisson sampling the integrals are incomplete gamma functions: with
``c = 1 - 1/beta`` and ``z = t p_x``,

    int_x^inf p e^{-t p}       = (A x^{1-beta} / beta) g(c, z)
    int_x^inf (1 - e^{-t p})   = x (z g(c, z) - 1 + e^{-z}),
    g(a, z) = int_0^1 u^{a-1} e^{-zu} du,

and for general training laws (mixtures, several exponents, a fixed number of draws) they are a
composite Gauss-Legendre rule in ``log x`` (`rank_nodes`). In float64 both agree with brute-force
sums to 1e-10 relative for exponents from 1.05 and up to 1e12 samples; all are differentiable.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from simulator.maths.quadrature import log_panel_rule
from simulator.maths.slopes import at_least, only_slope
from simulator.maths.zeta import hurwitz_zeta, scaled_lower_gamma
from simulator.runtime.precision import float_dtype
from simulator.runtime.shapes import Numbers, Scalar

HEAD = 128
"""Ranks summed term by term; the end-point corrections at this rank are good to 1e-12."""


# --------------------------------------------------------------------------------------------
# The law itself
# --------------------------------------------------------------------------------------------
def log_amplitude(beta: Scalar) -> Float[Array, ""]:
    """``log A = -log zeta(beta)``."""
    return -jnp.log(hurwitz_zeta(beta))


def probability(beta: Scalar, rank: Numbers) -> Float[Array, "..."]:
    """``p_i = A i^-beta``."""
    return jnp.exp(log_amplitude(beta) - beta * jnp.log(rank))


def finite_law(beta: Scalar, count: int) -> Float[Array, " ranks"]:
    """``p_i ~ i^-beta`` on the ranks 1..count alone, for any ``beta``."""
    return jax.nn.softmax(-beta * jnp.log(jnp.arange(1, count + 1, dtype=float)))


def tail_mass(beta: Scalar, k: Numbers) -> Float[Array, "..."]:
    """``m_k = sum_{i>k} p_i = A zeta(beta, k + 1)``; 0 at ``k = inf``."""
    finite = jnp.isfinite(k)
    # Above the switch q + 16 ~ q: the formula keeps its relative precision at any k.
    mass = hurwitz_zeta(beta, jnp.where(finite, k, 1.0) + 1) * jnp.exp(log_amplitude(beta))
    return jnp.where(finite, mass, 0.0)


def clean_exponent(beta: Scalar) -> Float[Array, ""]:
    """``c = 1 - 1/beta``: the error of a memory falls as ``T^-c`` (arXiv 2402.07043, thm 2.1)."""
    return 1 - 1 / beta


# --------------------------------------------------------------------------------------------
# Occupancy sums of Poisson sampling: sum_{i>k} p_i e^{-t p_i} and sum_{i>k} (1 - e^{-t p_i})
# --------------------------------------------------------------------------------------------
def unseen_mass(beta: Scalar, t: Numbers, k: Numbers = 0.0) -> Float[Array, "..."]:
    """``sum_{i>k} p_i e^{-t p_i}``: expected mass beyond rank k unseen in ``Poisson(t)`` draws.

    Parameters
    ----------
    beta : float
        Zipf exponent, above 1.
    t : float
        Expected number of draws, at least 0.
    k : float
        Whole number, or inf (the sum is 0).
    """
    return _occupancy_sum(_UNSEEN_MASS, beta, t, k)


def distinct_ranks(beta: Scalar, t: Numbers, k: Numbers = 0.0) -> Float[Array, "..."]:
    """``sum_{i>k} (1 - e^{-t p_i})``: expected number of ranks beyond k that are seen."""
    return _occupancy_sum(_DISTINCT, beta, t, k)


class _Occupancy(NamedTuple):
    term: Callable  # (log p, t p) -> f
    integral: Callable  # (beta, x, log p_x, z = t p_x) -> int_x^inf f


_UNSEEN_MASS = _Occupancy(
    lambda log_p, z: jnp.exp(log_p - z),
    lambda beta, x, log_p, z: x * jnp.exp(log_p) / beta * scaled_lower_gamma(1 - 1 / beta, z),
)
_DISTINCT = _Occupancy(
    lambda log_p, z: -jnp.expm1(-z),
    lambda beta, x, log_p, z: x * (z * scaled_lower_gamma(1 - 1 / beta, z) + jnp.expm1(-z)),
)


def _occupancy_sum(kind: _Occupancy, beta, t, k):
    beta, t, k = (jnp.asarray(value, float) for value in (beta, t, k))
    log_a = log_amplitude(beta)

    def log_p(rank):
        return log_a - beta * jnp.log(rank)

    def term(rank):
        return kind.term(log_p(rank), t * jnp.exp(log_p(rank)))

    finite = jnp.isfinite(k)
    start = jnp.maximum(jnp.where(finite, k, 1.0), HEAD)
    x = start + 0.5
    tail = kind.integral(beta, x, log_p(x), t * jnp.exp(log_p(x))) + _end_correction(term, start)
    ranks = jnp.arange(1, HEAD + 1, dtype=float)
    shape = jnp.broadcast_shapes(beta.shape, t.shape, k.shape) + (HEAD,)
    beta, t, log_a = (value[..., None] for value in (beta, t, log_a))
    head = jnp.where(ranks > k[..., None], jnp.broadcast_to(term(ranks), shape), 0.0).sum(-1)
    return jnp.where(finite, head + tail, 0.0)


def _end_correction(f, k):
    """``sum_{i>k} f(i) - int_{k+1/2}^inf f`` by central differences at ``k + 1/2``."""
    before, left, right, after = f(k - 1), f(k), f(k + 1), f(k + 2)
    return (right - left) / 24 - 17 / 5760 * (after - before - 3 * (right - left))


# --------------------------------------------------------------------------------------------
# Any training law: mixture of the real law with a cut and narrowed one
# --------------------------------------------------------------------------------------------
class TrainingLaw(NamedTuple):
    """``q_i = pi p_i + (1 - pi) s_i``, ``s_i = i^-beta' 1{i <= k} / H``, and the real ``p``."""

    beta: Array
    log_a: Array  # log A, of p
    log_real: Array  # log(pi A)
    beta_synthetic: Array
    log_synthetic: Array  # log((1 - pi) / H)
    cutoff: Array
    share: Array  # pi

    def p(self, rank):
        return jnp.exp(self.log_a - self.beta * jnp.log(rank))

    def real_part(self, rank):
        part = jnp.exp(self.log_real - self.beta * jnp.log(rank))
        return jnp.where(self.share > 0, part, only_slope(part))

    def synthetic_part(self, rank):
        part = jnp.exp(self.log_synthetic - self.beta_synthetic * jnp.log(rank))
        return jnp.where(self.share < 1, part, only_slope(part))

    def q(self, rank):
        """The training law, vectorised over ranks."""
        return self.real_part(rank) + jnp.where(rank <= self.cutoff, self.synthetic_part(rank), 0.0)

    def q_beyond(self, k):
        """``sum_{i>k} q_i``, precise for any ``k`` (0 allowed)."""
        real = _power_tail(self.log_real, self.beta, k)
        at_cut = _power_tail(self.log_synthetic, self.beta_synthetic, self.cutoff)
        synthetic = _power_tail(self.log_synthetic, self.beta_synthetic, k) - at_cut
        return real + jnp.maximum(synthetic, 0.0)


def _power_tail(log_scale, beta, k):
    finite = jnp.isfinite(k)
    value = jnp.exp(log_scale) * hurwitz_zeta(beta, jnp.where(finite, k, 1.0) + 1)
    return jnp.where(finite, value, 0.0)


def training_law(
    beta: Scalar,
    cutoff: Scalar = jnp.inf,
    beta_synthetic: Scalar = 0.0,
    real_fraction: Scalar = 0.0,
) -> TrainingLaw:
    """The law of the training tokens (arXiv 2402.07043, sections 2 to 4).

    Parameters
    ----------
    beta : float
        Exponent of the real law.
    cutoff : float
        Rank ``k >= 1`` at which synthetic data lose the tail; inf for none.
    beta_synthetic : float
        Exponent of the synthetic data; values up to ``beta`` mean no narrowing.
    real_fraction : float
        ``pi`` in [0, 1].
    """
    beta, cutoff, pi = (jnp.asarray(v, float) for v in (beta, cutoff, real_fraction))
    beta_synthetic = jnp.maximum(beta, jnp.asarray(beta_synthetic, float))
    log_a = log_amplitude(beta)
    mass = hurwitz_zeta(beta_synthetic) - _power_tail(0.0, beta_synthetic, cutoff)
    # Shares of 0 keep their slope; the floor leaves room for the 1 / share of the derivative.
    floor = jnp.finfo(float_dtype()).tiny ** 0.75
    return TrainingLaw(
        beta,
        log_a,
        log_a + jnp.log(at_least(pi, floor)),
        beta_synthetic,
        jnp.log(at_least(1 - pi, floor)) - jnp.log(mass),
        cutoff,
        pi,
    )


class Rare(NamedTuple):
    """Sums over the ranks that are hardly ever drawn, ``t q < 1e-10``."""

    p: Scalar
    q: Scalar
    pq: Scalar
    ppq: Scalar
    pp: Scalar


class RankNodes(NamedTuple):
    """A rule for sums over all ranks of ``term(p_i, q_i)``: see `rank_nodes`."""

    p: Array  # (nodes,)
    q: Array
    weight: Array
    rare: Rare
    frequent: Scalar  # number of ranks beyond `HEAD` where t q > 60

    def sum(self, term, beyond=lambda p_mass, q_mass: 0.0, certain=0.0, correction=lambda r: 0.0):
        """``sum_i term(p_i, q_i)``.

        Parameters
        ----------
        term : (p, q) -> value
            Smooth in the rank; equal to ``certain`` where ``t q > 60``.
        beyond : (p_mass, q_mass) -> value
            Sum of ``term`` over ranks where ``t q < 1e-10``, from the sums of ``p`` and ``q``
            there (linear in both).
        certain : {0, 1}
        correction : Rare -> value
            What ``beyond`` leaves out in first order of ``t q``: no part of the value, but of its
            derivative in whatever makes the tail rare.
        """
        inside = self.weight @ term(self.p, self.q) + certain * self.frequent
        return inside + beyond(self.rare.p, self.rare.q) + correction(self.rare)

    def beyond_head(self) -> "RankNodes":
        """The rule without the ranks up to `HEAD`, which are its first nodes."""
        return self._replace(p=self.p[HEAD:], q=self.q[HEAD:], weight=self.weight[HEAD:])


_NOTHING = Rare(0.0, 0.0, 0.0, 0.0, 0.0)


def rank_nodes(law: TrainingLaw, t: Scalar) -> RankNodes:
    """Nodes of all sums over the ranks of one training law that ``t`` draws can resolve.

    Ranks up to `HEAD` one by one, then Gauss-Legendre in ``log x`` up to the cutoff and beyond it
    (where the law is another smooth function), each with its end-point correction. ``t`` fixes
    where ``t q`` is so large or so small that a term is certain or follows its limit.
    """

    def below(rank):
        return law.real_part(rank) + law.synthetic_part(rank)

    ranks = jnp.arange(1, HEAD + 1, dtype=float)
    scales = ((law.log_real, law.beta), (law.log_synthetic, law.beta_synthetic))
    cut = jnp.isfinite(law.cutoff)
    once = cut.astype(float)  # what is beyond a cutoff counts if there is one
    edge = jnp.maximum(jnp.where(cut, law.cutoff, HEAD), HEAD)
    top = jnp.where(cut, jnp.log(edge + 0.5), jnp.inf)
    head = jnp.asarray(HEAD, float)
    parts = [
        RankNodes(law.p(ranks), law.q(ranks), jnp.ones(HEAD, float), _NOTHING, 0.0),
        _segment(law, t, below, jnp.log(head + 0.5), top, scales),
        _end_nodes(law, below, head),
        _scaled(_segment(law, t, law.real_part, jnp.log(edge + 0.5), jnp.inf, scales[:1]), once),
        _scaled(_end_nodes(law, law.real_part, edge), once),
        _scaled(_end_nodes(law, below, edge), -once),
    ]
    p, q, weight, rare, frequent = zip(*parts, strict=True)
    return RankNodes(
        p=jnp.concatenate(p),
        q=jnp.concatenate(q),
        weight=jnp.concatenate(weight),
        rare=Rare(*(sum(field) for field in zip(*rare, strict=True))),
        frequent=sum(frequent),
    )


def _scaled(nodes: RankNodes, factor) -> RankNodes:
    rare = Rare(*(factor * mass for mass in nodes.rare))
    return RankNodes(nodes.p, nodes.q, factor * nodes.weight, rare, factor * nodes.frequent)


def _end_nodes(law: TrainingLaw, q_of, k) -> RankNodes:
    """`_end_correction` as a rule."""
    rank = k + jnp.arange(-1, 3, dtype=float)
    first = jnp.array([0, -1, 1, 0], float) / 24
    third = jnp.array([-1, 3, -3, 1], float) * (17 / 5760)
    return RankNodes(law.p(rank), q_of(rank), first - third, _NOTHING, 0.0)


_PANELS = 24
_PANEL_NODES = 12


def _segment(law: TrainingLaw, t, q_of, start, stop, scales) -> RankNodes:
    """The integral over ``exp(start) < x < exp(stop)``, where q is a sum of powers ``scales``."""
    log_t = jnp.log(jnp.maximum(t, jnp.finfo(float_dtype()).tiny))
    reach = [(log_t + log_scale, beta) for log_scale, beta in scales]
    frequent = jnp.stack([(height - np.log(60.0)) / beta for height, beta in reach]).max()
    rare = jnp.stack([(height + np.log(1e10)) / beta for height, beta in reach]).max()
    # Where the pieces meet does not change their sum: no derivative through it.
    low = lax.stop_gradient(jnp.minimum(jnp.maximum(start, frequent), stop))
    high = lax.stop_gradient(jnp.minimum(jnp.maximum(low, rare), stop))

    x, weight = log_panel_rule(jnp.linspace(low, high, _PANELS + 1), _PANEL_NODES)

    finite = jnp.isfinite(stop)
    last = jnp.where(finite, stop, 0.0)

    def power_integral(log_scale, beta):
        upper = jnp.where(finite, jnp.exp(log_scale + (1 - beta) * last), 0.0)
        return jnp.maximum(jnp.exp(log_scale + (1 - beta) * high) - upper, 0.0) / (beta - 1)

    def of_q(times_p):  # the integral of p^times_p q
        return sum(
            power_integral(log_scale + times_p * law.log_a, beta + times_p * law.beta)
            for log_scale, beta in scales
        )

    sums = Rare(
        p=power_integral(law.log_a, law.beta),
        q=of_q(0),
        pq=of_q(1),
        ppq=of_q(2),
        pp=power_integral(2 * law.log_a, 2 * law.beta),
    )
    return RankNodes(law.p(x), q_of(x), weight, sums, jnp.exp(low) - jnp.exp(start))
