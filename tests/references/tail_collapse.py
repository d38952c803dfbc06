"""arXiv 2402.07043: sums over ranks one by one, and integrals in mpmath for all that remain.

A sum over an infinite tail of a smooth summand is Euler and Maclaurin's: the integral, half the
first term and two derivatives.
"""

from math import inf

import mpmath
import numpy as np
from scipy import special, stats

_HEAD = 20_000


def law_of(beta, ranks):
    """``p_i = i^-beta / zeta(beta)``."""
    return np.asarray(ranks, float) ** -beta / special.zeta(beta)


def tail_mass(beta, rank):
    return 0.0 if np.isinf(rank) else special.zeta(beta, rank + 1) / special.zeta(beta)


def mixture_of(beta, cutoff, synthetic_exponent, real_fraction, ranks):
    """``q_i = pi p_i + (1 - pi) s_i``."""
    ranks = np.asarray(ranks, float)
    exponent = max(beta, synthetic_exponent)
    norm = special.zeta(exponent)
    if np.isfinite(cutoff):
        norm = norm - special.zeta(exponent, cutoff + 1)
    cut = np.where(ranks <= cutoff, ranks**-exponent, 0) / norm
    return real_fraction * law_of(beta, ranks) + (1 - real_fraction) * cut


def sum_over_ranks(term, edge=inf):
    """``sum_i term(i)`` for a smooth summand beyond 20,000, up to a jump behind ``edge``.

    ``term`` takes an array of ranks; the integral runs over the logarithm of the rank.
    """
    total = np.sum(term(np.arange(1.0, _HEAD + 1)))
    pieces = [(_HEAD + 1.0, np.inf)]
    if _HEAD < edge < inf:
        pieces = [(_HEAD + 1.0, edge), (edge + 1.0, np.inf)]
    nodes, weights = np.polynomial.legendre.leggauss(40)
    for first, last in pieces:
        low, high = np.log(first), min(np.log(last), np.log(first) + 400)
        bounds = np.linspace(low, high, max(2, int(4 * (high - low))) + 1)
        width = np.diff(bounds)[:, None]
        rank = np.exp(bounds[:-1, None] + width * (nodes + 1) / 2)
        total += np.sum(width / 2 * weights * rank * term(rank))
        for end, sign in ((first, -1), *([(last, 1)] if np.isfinite(last) else [])):
            step = 0.5
            slope = (term(np.array(end + step)) - term(np.array(end - step))) / (2 * step)
            total += term(np.array(end)) / 2 + sign * slope / 12
    return float(total)


def _missed(sampling, t, q):
    with np.errstate(divide="ignore"):
        return np.exp(t * np.log1p(-q)) if sampling == "multinomial" else np.exp(-t * q)


def _seen(sampling, t, q):
    with np.errstate(divide="ignore"):
        return -np.expm1(t * np.log1p(-q)) if sampling == "multinomial" else -np.expm1(-t * q)


def theory(
    zipf_exponent, num_samples, cutoff, zipf_exponent_synthetic, real_fraction, sampling,
):  # fmt: skip
    """One training; the spread over pairs of ranks one by one (so for laws that fall fast)."""
    beta, t = zipf_exponent, num_samples

    def q_of(rank):
        return mixture_of(beta, cutoff, zipf_exponent_synthetic, real_fraction, rank)

    def total(term):
        return sum_over_ranks(lambda rank: term(law_of(beta, rank), q_of(rank)), cutoff)

    spread = total(lambda p, q: p**2 * _missed(sampling, t, q) * _seen(sampling, t, q))
    if sampling == "multinomial":
        spread += _covariances(beta, t, q_of)
    return {
        "test_error": total(lambda p, q: p * _missed(sampling, t, q)),
        "test_error_asymptotic": _closed_form(
            beta, t, cutoff, zipf_exponent_synthetic, real_fraction, total
        ),
        "test_error_std": np.sqrt(spread),
        "plateau_error": tail_mass(beta, cutoff),
        "num_distinct_tokens": total(lambda p, q: _seen(sampling, t, q)),
    }


def _covariances(beta, t, q_of, pairs=3000):
    """``sum_{i != j} p_i p_j [(1 - q_i - q_j)^T - (1 - q_i)^T (1 - q_j)^T]``."""
    ranks = np.arange(1.0, pairs + 1)
    p, q = law_of(beta, ranks), q_of(ranks)
    a = _missed("multinomial", t, q)
    rest = np.maximum(1 - q[:, None] - q[None, :], 0)
    both = rest**t - a[:, None] * a[None, :]
    np.fill_diagonal(both, 0)
    return p @ both @ p


def _closed_form(beta, t, k, exponent, pi, total):
    """The closed form in T where there is one: what Poisson sampling gives up to its error."""
    c = 1 - 1 / beta
    constant = special.zeta(beta) ** (-1 / beta) * special.gamma(c) / beta
    if exponent <= beta:

        def tail(rate):  # sum over the ranks beyond the cut
            if np.isinf(k):
                return 0.0
            return sum_over_ranks(
                lambda rank: np.where(
                    rank > k, law_of(beta, rank) * np.exp(-rate * law_of(beta, rank)), 0
                ),
                k,
            )

        faster = t * (pi + (1 - pi) / (1 - tail_mass(beta, k)))
        return constant * faster**-c - tail(faster) + tail(pi * t)
    if np.isinf(k) and pi == 0:
        slow = (beta - 1) / exponent
        rate = t / special.zeta(exponent)
        return rate**-slow * special.gamma(slow) / exponent / special.zeta(beta)
    return total(lambda p, q: p * np.exp(-t * q))


def theory_of_generations(
    zipf_exponent, num_samples, num_samples_generator, num_generations, cutoff, sampling
):
    """The backward recursion with its list of sizes, and sums over ranks."""
    beta, sizes = zipf_exponent, [num_samples_generator] * (num_generations - 1) + [num_samples]
    effective = sizes[0]
    if num_generations > 1:
        theta = sizes[-1] / sizes[-2]
        for m in range(num_generations - 2, 0, -1):
            theta = sizes[m] / sizes[m - 1] * (1 - np.exp(-theta))
        effective = sizes[0] * (1 - np.exp(-theta))
    plateau = tail_mass(beta, cutoff)

    def kept(rank):
        return np.where(rank <= cutoff, law_of(beta, rank) / (1 - plateau), 0)

    c = 1 - 1 / beta
    constant = special.zeta(beta) ** (-1 / beta) * special.gamma(c) / beta
    return {
        "test_error": sum_over_ranks(
            lambda rank: law_of(beta, rank) * np.exp(-effective * kept(rank)), cutoff
        ),
        "num_samples_effective": effective,
        "num_distinct_tokens": sum_over_ranks(
            lambda rank: -np.expm1(-effective * kept(rank)), cutoff
        ),
        "test_error_upper_bound": constant * sum(size**-c for size in sizes) + plateau,
    }


def theory_of_bigrams(zipf_exponent, num_samples, cutoff, num_contexts, zipf_exponent_context):
    """Binomial laws token by token in every context, all sizes of a context one by one."""
    beta, total = zipf_exponent, num_samples
    contexts = np.arange(1.0, num_contexts + 1) ** -zipf_exponent_context
    contexts = contexts / contexts.sum()
    plateau = 2 * tail_mass(beta, cutoff)
    if num_contexts == 1:
        l1 = l1_error(beta, cutoff, total)
    else:
        size = np.arange(total + 1)
        at_size = np.array([1.0] + [l1_error(beta, cutoff, n) for n in size[1:]])
        l1 = sum(w * (stats.binom.pmf(size, total, w) @ at_size) for w in contexts)
    two_terms = plateau
    if np.isinf(cutoff):
        two_terms = sum(w * two_term(beta, w * total) for w in contexts)
    return {"l1_error": l1, "l1_error_asymptotic": two_terms, "plateau_error": plateau}


def l1_error(beta, cutoff, n, ranks=100_000):
    """``sum_j E|N_j / n - p_j|``, ranks one by one as long as ``n q_j`` is not small."""
    kept = 1 - tail_mass(beta, cutoff)
    j = np.arange(1.0, min(ranks, cutoff) + 1)
    p = law_of(beta, j)
    q = np.minimum(p / kept, 1)
    m = np.floor(n * p)
    below = stats.binom.cdf(m, n, q)
    before = np.where(m >= 1, stats.binom.cdf(m - 1, n - 1, q), 0)
    deviation = (n * q - n * p) + 2 * (n * p * below - n * q * before)
    total = deviation.sum() / n
    if cutoff > ranks:  # n p < 1: |N/n - p| has mean q - p + 2 p (1 - q)^n

        def rare(rank):
            p = law_of(beta, rank)
            inside = p / kept - p + 2 * p * np.exp(n * np.log1p(-p / kept))
            return np.where(rank <= ranks, 0, np.where(rank <= cutoff, inside, 0))

        assert n * p[-1] < 1
        total += _sum_beyond(rare, ranks, cutoff)
    return total + tail_mass(beta, cutoff)


def _sum_beyond(term, start, stop):
    """``sum_{start < i <= stop}`` by panels in log rank with midpoint ends."""
    high = np.log(stop + 0.5) if np.isfinite(stop) else np.log(start) + 400
    bounds = np.linspace(np.log(start + 0.5), high, 2000)
    nodes, weights = np.polynomial.legendre.leggauss(10)
    width = np.diff(bounds)[:, None]
    rank = np.exp(bounds[:-1, None] + width * (nodes + 1) / 2)
    return np.sum(width / 2 * weights * rank * term(rank))


def two_term(beta, n):
    """mpmath: ``C`` by the sum over whole parts, brackets by the continued zeta function."""
    if beta == 2:
        return inf
    with mpmath.workdps(20):
        beta, n = mpmath.mpf(beta), mpmath.mpf(n)
        amplitude = 1 / mpmath.zeta(beta)

        def deviation(x):  # mean absolute deviation of Poisson(x)
            m = mpmath.floor(x)
            return 2 * mpmath.exp(-x + (m + 1) * mpmath.log(x) - mpmath.loggamma(m + 1))

        last = 400
        constant = mpmath.mpf(0)
        for m in range(last):
            # The root's singularity at 0 is integrated by its own rule.
            if m == 0:
                constant += 2 * mpmath.gammainc(1 - 1 / beta, 0, 1)
            else:
                constant += mpmath.quad(
                    lambda x: x ** (-1 - 1 / beta) * deviation(x), [m, m + 1], maxdegree=4
                )
        # Beyond, sqrt(2 x / pi) on average over a period up to x^-2: continued for beta > 2.
        power = 1 / beta - mpmath.mpf(1) / 2
        constant += mpmath.sqrt(2 / mpmath.pi) * mpmath.mpf(last) ** -power / power
        constant /= beta
        p = lambda j: amplitude * j**-beta  # noqa: E731
        bracket = mpmath.sqrt(amplitude) * mpmath.zeta(beta / 2) + mpmath.nsum(
            lambda j: mpmath.sqrt(p(j) * (1 - p(j))) - mpmath.sqrt(p(j)), [1, mpmath.inf]
        )
        tail = constant * amplitude ** (1 / beta) * n ** (-(1 - 1 / beta))
        return float(tail + mpmath.sqrt(2 / (mpmath.pi * n)) * bracket)
