"""Adversarial training: saddle points against a NumPy/SciPy loop, fits against scikit-learn."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import erfc, expit, ndtr
from sklearn.linear_model import LogisticRegression

from benchmarks.report import Row, seconds
from simulator.maths.robust_erm import robust_erm
from simulator.studies.robustness.adversarial_training.main import Params, theory

RATIOS = np.geomspace(0.1, 10, 50)
RADII = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
REGULARIZATION = 0.01
RESIDUAL = 1e-12
BATCH = 100
LABEL_NOISE = 0.3


def run() -> Iterator[Row]:
    yield _curves()
    for n, d in ((100, 200), (200, 100), (400, 100)):
        yield _logistic_regression(n, d)


def _curves() -> Row:
    """linf attack, l2 penalty, logistic loss: 50 sample ratios at 5 radii, in float64."""
    alpha, eps = (x.ravel() for x in np.meshgrid(RATIOS, RADII))

    def numpy_loop() -> np.ndarray:
        return np.array([_fixed_point(a, e) for a, e in zip(alpha, eps, strict=True)])

    def point(alpha, eps):
        found = theory(Params(sample_ratio=alpha, attack_radius_train=eps))
        return jnp.stack([found[name] for name in ("m", "q", "V", "P", "residual")])

    with jax.enable_x64(True):
        # lax.map over small batches lets finished lanes stop.
        grid = (jnp.asarray(alpha), jnp.asarray(eps))
        curves = jax.jit(lambda grid: jax.lax.map(lambda x: point(*x), grid, batch_size=25))
        found = np.asarray(curves(grid))
        own = seconds(lambda: curves(grid), repeats=9)
    error = np.max(np.abs(found[:, :4] / numpy_loop() - 1))
    if error > 1e-9 or np.max(found[:, 4]) > RESIDUAL:
        raise AssertionError(f"the two solvers differ by {error:.1e}")
    return Row(
        f"saddle points, {len(RATIOS)} ratios x {len(RADII)} radii, residual < {RESIDUAL:g}",
        "NumPy/SciPy iteration",
        seconds(numpy_loop, repeats=1),
        own,
        20.0,
    )


NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
FIELDS = np.unique(np.r_[np.linspace(-10, 10, 21), np.linspace(-2, 2, 9)])


def _fixed_point(alpha: float, eps: float) -> np.ndarray:
    """Damped iteration of the same equations, as a user would write it: panels of 24 nodes over
    the field, Newton's method for the proximal map, closed forms on the weights' side."""
    m, q, v, p = 0.1, 1.0, 1.0, 1.0
    while True:
        c, root, v0 = eps * p, np.sqrt(q), 1 - m**2 / q
        shape = m / np.sqrt(q * v0)
        turn = np.arange(-8, 17, 4)
        corner = np.array([-4, -2, -1, 1, 2, 4]) / shape
        kinks = np.r_[corner, (turn + c - v * expit(-turn)) / root]
        edges = np.unique(np.r_[FIELDS, kinks[np.abs(kinks) < 10]])
        half = np.diff(edges)[:, None] / 2
        xi = ((edges[:-1] + edges[1:])[:, None] / 2 + half * NODES).ravel()
        omega = root * xi - c
        z = np.zeros_like(xi)
        for _ in range(50):
            s = expit(-z)
            step = (z - omega - v * s) / (1 + v * s * (1 - s))
            z -= step
            if np.max(np.abs(step)) < 1e-14 * (1 + v):
                break
        s = expit(-z)
        law = 2 * np.exp(-(xi**2) / 2) / np.sqrt(2 * np.pi) * (half * WEIGHTS).ravel()
        drift = law * np.exp(-((shape * xi) ** 2) / 2) / np.sqrt(2 * np.pi)
        law = law * ndtr(shape * xi)
        m_hat = alpha * drift @ s / np.sqrt(v0)
        q_hat = alpha * law @ s**2
        v_hat = alpha * law @ (s * (1 - s) / (1 + v * s * (1 - s)))
        p_hat = alpha * eps * law @ s

        scale, d = np.sqrt(q_hat + m_hat**2), v_hat + 2 * REGULARIZATION
        u = p_hat / scale
        e, g = erfc(u / np.sqrt(2)), np.sqrt(2 / np.pi) * np.exp(-(u**2) / 2)
        square = (scale / d) ** 2 * ((1 + u**2) * e - u * g)
        new = np.array([m_hat * e / d, square, e / d, scale / d * (g - u * e)])
        old = np.array([m, q, v, p])
        if np.max(np.abs(np.log(new / old))) < RESIDUAL:
            return new
        m, q, v, p = old**0.4 * new**0.6


def _logistic_regression(n: int, d: int) -> Row:
    """Radius 0: the optimum to a relative error of 1e-8, in float64."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, n, d)) / np.sqrt(d)
    teacher = rng.standard_normal((BATCH, d, 1))
    y = np.sign((x @ teacher)[..., 0] + LABEL_NOISE * rng.standard_normal((BATCH, n)))
    strength = 0.1

    def scikit_learn() -> np.ndarray:
        model = LogisticRegression(
            C=1 / (2 * strength), fit_intercept=False, tol=1e-7, max_iter=1000
        )
        return np.stack([model.fit(a, b).coef_[0] for a, b in zip(x, y, strict=True)])

    def objective(w: np.ndarray) -> np.ndarray:
        margins = y * np.einsum("bnd,bd->bn", x, w)
        return np.logaddexp(0, -margins).sum(axis=1) + strength * np.sum(w**2, axis=1)

    with jax.enable_x64(True):
        signed = jnp.asarray(y[..., None] * x)
        # lax.map over small batches, whose data stay in the cache.
        batch = jax.jit(
            lambda signed: jax.lax.map(
                lambda z: robust_erm(z, 0.0, strength, attack="l2", tolerance=1e-8),
                signed,
                batch_size=10,
            )
        )
        weights, gap = (np.asarray(x) for x in (batch(signed).weights, batch(signed).relative_gap))
        own = seconds(lambda: batch(signed))
    best, theirs = objective(weights), objective(scikit_learn())
    if np.max(np.abs(theirs / best - 1)) > 1e-8 or np.max(gap) > 1e-8:
        raise AssertionError("the two optima differ")
    return Row(
        f"logistic regression, n = {n}, d = {d}, {BATCH} fits",
        "scikit-learn",
        seconds(scikit_learn, repeats=3),
        own,
        2.0,
    )
