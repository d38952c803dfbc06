"""Beta tails against SciPy and mpmath, far out and for extreme shapes, with derivatives."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import special

from simulator.maths.beta import beta_tails
from simulator.runtime.compilation import float64_on_cpu

POINTS = [
    (a, b, x)
    for a in (1e-3, 0.2, 1.0, 7.5, 900.0)
    for b in (2e-3, 0.6, 3.0, 40.0, 2e4)
    for x in (1e-6, 0.02, 0.4, 0.97)
]


def test_both_tails_equal_scipy():
    with float64_on_cpu():
        tails = jax.jit(jax.vmap(beta_tails))(*map(jnp.asarray, zip(*POINTS, strict=True)))
    for (a, b, x), lower, upper in zip(POINTS, *map(np.asarray, tails), strict=True):
        for found, right in (
            (lower, special.betainc(a, b, x)),
            (upper, special.betaincc(a, b, x)),
        ):
            if right > 1e-200:
                assert found == pytest.approx(right, rel=3e-10, abs=1e-15), (a, b, x)


def test_far_tails_equal_mpmath():
    with float64_on_cpu():
        lower, upper = beta_tails(jnp.asarray(3000.0), jnp.asarray(7000.0), jnp.asarray(0.4))
    mpmath.mp.dps = 40
    right = float(mpmath.betainc(3000, 7000, 0.4, 1, regularized=True))
    assert float(upper) == pytest.approx(right, rel=1e-10)
    assert float(lower) == 1.0


def test_nothing_lies_below_0():
    with float64_on_cpu():
        assert [float(x) for x in beta_tails(0.3, 2.0, 0.0)] == [0.0, 1.0]


def test_derivatives_in_all_arguments():
    with float64_on_cpu():
        at = [jnp.asarray(v) for v in (2.3, 4.1, 0.35)]
        slopes = jax.grad(lambda *v: beta_tails(*v)[1], (0, 1, 2))(*at)
        for i, slope in enumerate(slopes):
            step = 1e-6
            high, low = (
                float(beta_tails(*(v + s * step * (j == i) for j, v in enumerate(at)))[1])
                for s in (1, -1)
            )
            assert float(slope) == pytest.approx((high - low) / (2 * step), rel=1e-7)


def test_float32():
    _, upper = beta_tails(jnp.float32(30), jnp.float32(70), jnp.float32(0.25))
    assert float(upper) == pytest.approx(special.betaincc(30, 70, 0.25), rel=1e-5)
