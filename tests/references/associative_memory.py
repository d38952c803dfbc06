"""arXiv 2310.02984: the error integrals on uniform grids, token by token.

Trapezoidal sums converge exponentially for these integrands; they want no panels, only grids finer
than the narrowest step, which small vocabularies have.
"""

from math import inf

import numpy as np
from scipy import optimize, special, stats

_H = np.linspace(-9, 9, 1201)
_GAUSS = np.exp(-(_H**2) / 2) / np.sqrt(2 * np.pi) * (_H[1] - _H[0])
_NORMS = 61
_LEGENDRE = np.polynomial.legendre.leggauss(120)


def token_law(num_tokens, alpha):
    p = np.arange(1.0, num_tokens + 1) ** -alpha
    return p / p.sum()


def norms_of(dim, embedding):
    """Nodes and weights of ``R``, ``d R^2 ~ chi^2_d``."""
    if embedding == "sphere":
        return np.ones(1), np.ones(1)
    spread = 9 / np.sqrt(2 * dim)
    r = np.linspace(max(1e-9, 1 - spread), 1 + spread, _NORMS)
    weight = stats.chi.pdf(r * np.sqrt(dim), dim)
    return r, weight / weight.sum()


def probability_wrong(drive, own, others):
    """``1 - int phi(h) prod_c Phi((drive + sqrt(Q_f) h) / sqrt(Q_c)) dh`` for an array of drives.

    Ties, where neither the token nor its class is stored, are broken uniformly.
    """
    drive, others = np.atleast_1d(drive), np.asarray(others, float)
    silent = np.sum(others == 0)
    loud = np.sqrt(others[others > 0])

    def all_beaten(level):
        return np.prod(special.ndtr(level[..., None] / loud), axis=-1)

    if own == 0:
        tie = 0.5 ** len(loud) / (silent + 1)
        return np.where(drive == 0, 1 - tie, 1 - all_beaten(drive))
    if not silent:
        return (1 - all_beaten(drive[:, None] + np.sqrt(own) * _H)) @ _GAUSS
    # The token's class must be above 0: from there on, by Gauss and Legendre.
    x, w = _LEGENDRE
    low = np.clip(-drive / np.sqrt(own), -9, 9)[:, None]
    h = low + (9 - low) * (x + 1) / 2
    density = np.exp(-(h**2) / 2) / np.sqrt(2 * np.pi)
    right = np.sum((9 - low) / 2 * w * density * all_beaten(drive[:, None] + np.sqrt(own) * h), 1)
    return 1 - right


def error_of_token(signal, own, others, dim, embedding, unembedding):
    own, others = float(own), np.asarray(others, float)
    if unembedding == "sphere":
        leaked = (own + others.sum() - others - own) / dim
        own, others = own + leaked.mean(), others + leaked
    if signal == 0:
        return probability_wrong(0.0, own, others)[0]
    r, weight = norms_of(dim, embedding)
    return weight @ probability_wrong(signal * np.sqrt(dim) * r, own, others)


def noises_of(x, squares, num_classes):
    """``Q_f`` without the token itself, and the ``Q_c`` of the other classes."""
    classes = np.arange(len(squares)) % num_classes
    mine = classes == x % num_classes
    others = [squares[classes == c].sum() for c in range(num_classes) if c != x % num_classes]
    return np.sum(np.delete(squares, x)[np.delete(mine, x)]), others


def errors_of(weights, num_classes, dim, embedding, unembedding):
    """``err(x)`` of every token at fixed weights."""
    return np.array([
        error_of_token(
            q, *noises_of(x, weights**2, num_classes), dim, embedding, unembedding
        )
        for x, q in enumerate(weights)
    ])  # fmt: skip


def theory(
    num_tokens, num_classes, zipf_exponent, dim, scheme_exponent, threshold, embedding, unembedding
):
    p = token_law(num_tokens, zipf_exponent)
    rank = np.arange(num_tokens)
    weights = np.where(rank < threshold, p**scheme_exponent, 0.0)
    found = errors_of(weights, num_classes, dim, embedding, unembedding)
    lower, upper = bounds(p, weights, num_classes, dim, embedding, unembedding)
    best = [
        p @ errors_of((rank < P) * 1.0, num_classes, dim, embedding, unembedding)
        for P in range(1, num_tokens + 1)
    ]
    return {
        "test_error": p @ found,
        "per_token_error": found,
        "test_error_asymptotic": asymptotic(
            num_tokens, num_classes, zipf_exponent, dim, scheme_exponent, threshold
        ),
        "test_error_lower_bound": lower,
        "test_error_upper_bound": upper,
        "optimal_threshold": int(np.argmin(best)) + 1,
        "optimal_test_error": min(best),
        "test_error_std": np.sqrt(np.sum(p**2 * found * (1 - found))),
        "per_token_error_std": np.sqrt(found * (1 - found)),
    }


def asymptotic(num_tokens, num_classes, alpha, dim, rho, threshold):
    """``K d^-gamma/2`` for infinitely many tokens, ``K`` by adaptive quadrature."""
    if 2 * rho * alpha <= 1 or alpha <= 1 or threshold < num_tokens:
        return inf
    s, m, gamma = 2 * rho * alpha, num_classes, (1 - 1 / alpha) / rho
    noise = m**-s * special.zeta(s, np.arange(1, m + 1) / m)

    def mean_error(u):
        return np.mean([probability_wrong(u, noise[c], np.delete(noise, c)) for c in range(m)], 0)

    # u = e^x: the integrand is flat to the left and Gaussian to the right.
    start, stop = -30.0, np.log(40 * max(1, np.sqrt(noise.max())))
    x, w = _LEGENDRE
    u = np.exp(start + (stop - start) * (x + 1) / 2)
    integral = (stop - start) / 2 * np.sum(w * u**gamma * mean_error(u))
    integral += mean_error(0.0)[0] * np.exp(gamma * start) / gamma
    return integral / (special.zeta(alpha) * rho * alpha) * dim ** (-gamma / 2)


def bounds(p, weights, m, dim, embedding, unembedding):
    """Theorem 1 by trying every gamma at which a token joins, just below it."""
    if not (embedding == "gaussian" and unembedding == "sphere" and m >= 4 and dim > 8 * np.log(m)):
        return 0.0, 1.0
    squares = weights**2
    total = squares.sum()
    largest = max(squares[c::m].sum() for c in range(m))
    lower = p[3 * (dim + 1) * squares <= largest].sum() / 20

    def joins_at(square):
        if square == 0:
            return -inf

        def excess(log_c):
            c = np.exp(log_c)
            return np.log(16 * c * (largest + 8 * c * total / dim)) - np.log(dim * square)

        c = np.exp(optimize.brentq(excess, -200, 200, xtol=1e-15))
        return (c - np.log(m)) / np.log(dim)

    gammas = np.array([joins_at(square) for square in squares])
    values = [2 * dim**-g + p[gammas < g - 1e-12].sum() for g in gammas if g > 0]
    return lower, min([1.0, *values])


def theory_of_finite_data(
    num_tokens, num_classes, zipf_exponent, dim, num_samples, scheme_exponent, threshold, cutoff,
    embedding, unembedding,
):  # fmt: skip
    """All counts of every token, one by one."""
    p = token_law(num_tokens, zipf_exponent)
    rank = np.arange(num_tokens)
    train = np.where(rank < cutoff, p, 0)
    train = train / train.sum()
    n = np.arange(int(num_samples) + 1)
    weight = np.where(n > 0, (np.maximum(n, 1) / max(num_samples, 1)) ** scheme_exponent, 0.0)
    weights = np.where(rank[:, None] < threshold, weight, 0.0)
    return _over_counts(p, train, weights, num_samples, num_classes, dim, embedding, unembedding)


def theory_of_sgd(
    num_tokens, num_classes, zipf_exponent, dim, num_samples, batch_size, learning_rate,
    embedding, unembedding,
):  # fmt: skip
    """Logit gaps by iterating the map of one visit."""
    p = token_law(num_tokens, zipf_exponent)
    m, steps = num_classes, num_samples // batch_size

    def gap(visits):
        count = min(visits, steps)
        q = 0.0
        for _ in range(count):
            q += (
                learning_rate
                / batch_size
                * visits
                / count
                * m
                / (m - 1)
                / (1 + np.exp(q) / (m - 1))
            )
        return q

    weights = np.tile([gap(n) for n in range(num_samples + 1)], (num_tokens, 1))
    found = _over_counts(p, p, weights, num_samples, m, dim, embedding, unembedding)
    return {name: found[name] for name in ("test_error", "per_token_error")}


def _over_counts(p, train, weights, num_samples, num_classes, dim, embedding, unembedding):
    n = np.arange(int(num_samples) + 1)
    chance = stats.binom.pmf(n, int(num_samples), train[:, None])
    squares = np.sum(chance * weights**2, axis=1)
    found = np.zeros(len(p))
    for x in range(len(p)):
        noise = noises_of(x, squares, num_classes)
        # Counts beyond 1e-13 of the mass do not matter; equal weights are computed once.
        for value in np.unique(weights[x]):
            mass = chance[x, weights[x] == value].sum()
            if mass > 1e-13:
                found[x] += mass * error_of_token(value, *noise, dim, embedding, unembedding)
    return {
        "test_error": p @ found,
        "per_token_error": found,
        "per_token_error_std": np.sqrt(found * (1 - found)),
    }
