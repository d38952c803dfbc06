"""Gamma and chi variates: the law over nine decades of the shape parameter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from simulator.sampling import gamma as gamma_module
from simulator.sampling.gamma import chi, chi_square, gamma, log_gamma
from tests.sampling.laws import CountTraces

COUNT = 60_000


DOFS = [1, 1.3, 2, 2.7, 3, 5, 17, 300, 1e5, 1e7, 1e9]
MORE = [0.14, 2, 2, 2]  # for the tests of small shapes and of independence
_chi_squares = jax.jit(lambda key, dofs: chi_square(key, jnp.tile(dofs, (COUNT, 1))))


@functools.cache
def chi_squares(double):
    """``COUNT`` variates for each number of degrees of freedom, all in one compiled call."""
    with jax.enable_x64(double):
        drawn = _chi_squares(jax.random.key(3), np.array([*DOFS, *MORE], float))
        return np.split(np.asarray(drawn, float), [len(DOFS)], axis=1)


@pytest.mark.parametrize("double", [False, True])
def test_chi_square_law(double):
    """Degrees of freedom 1 to 1e9, integer and real."""
    for dof, column in zip(DOFS, chi_squares(double)[0].T, strict=True):
        # Single precision rounds a variate of 1e9 to multiples of 64, 1/700 of its spread.
        assert stats.kstest(column, stats.chi2(dof).cdf).pvalue > 1e-4, dof
        z = (column - dof) / np.sqrt(2 * dof)
        assert abs(z.mean()) < 5 / np.sqrt(COUNT), dof
        fourth = 3 + 12 / dof
        assert abs((z**2).mean() - 1) < 5 * np.sqrt((fourth - 1) / COUNT), dof


def test_small_shapes():
    """Far below 1 the variate is nearly ``U^(1/a)``."""
    sample = chi_squares(True)[1][:, 0] / 2
    assert stats.kstest(sample, stats.gamma(0.07).cdf).pvalue > 1e-4


def test_logarithms_go_where_floats_end():
    """Of the same variates, and for a shape of 1e-4 whose variates are 0 as floats."""
    shapes = jnp.array([0.3, 2.0, 70.0])
    key = jax.random.key(8)
    np.testing.assert_allclose(np.exp(log_gamma(key, shapes)), gamma(key, shapes), rtol=1e-5)
    tiny = np.asarray(log_gamma(key, jnp.full(4000, 1e-4)))
    assert np.all(np.isfinite(tiny))
    assert stats.kstest(-1e-4 * tiny, "expon").pvalue > 1e-4


def test_entries_are_independent_of_their_neighbours():
    """Redraws happen block by block: no correlation between entries, and the rest is untouched."""
    correlation = np.corrcoef(chi_squares(True)[1][:, 1:].T) - np.eye(3)
    assert np.abs(correlation).max() < 5 / np.sqrt(COUNT)


def test_no_freedom_is_zero_and_shapes_are_kept():
    dof = np.array([[3.0, 0.0, -2.0], [1.0, 4.0, 7.0]])
    got = np.asarray(jax.jit(chi)(jax.random.key(0), dof))
    assert got.shape == (2, 3)
    np.testing.assert_array_equal(got == 0, dof <= 0)
    assert jax.eval_shape(chi, jax.random.key(0), 5).shape == ()


def test_degrees_of_freedom_are_traced():
    sampler = CountTraces(lambda key, dof: chi_square(key, dof))
    for dof in (1, 40, 10**9):
        assert np.isfinite(sampler(jax.random.key(dof), np.int32(dof)))
    assert sampler.traces == 1


def test_every_draw_was_an_accepted_proposal(monkeypatch):
    """Refusals are so rare that a law hides what becomes of the second one: here half are."""

    def propose(key, a):
        draw = jax.random.uniform(key, a.shape, a.dtype)
        return draw, draw > 0.5

    monkeypatch.setattr(gamma_module, "_propose", propose)
    drawn = np.asarray(gamma_module.gamma(jax.random.key(0), jnp.full(1000, 2.0)))
    assert np.all(drawn > 0.5)
    assert np.unique(drawn).size > 990  # and none stands for its neighbours
