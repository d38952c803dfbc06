"""Normal equations of resampled rows, against what they are sums of."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.data.loading import from_arrays
from simulator.data.population import population
from simulator.sampling.resampled import (
    LAWS,
    DataSet,
    check_data_set,
    example,
    normal_equations,
)


def skewed(num_rows=300, dim=12, seed=2):
    """Rows that are far from Gaussian, with a residual that grows with the first feature."""
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=(num_rows, dim)) * np.arange(1, dim + 1) ** -0.6
    y = x @ rng.normal(size=dim) + 0.8 * x[:, 0] * rng.normal(size=num_rows)
    return population(from_arrays(x, y, "skewed"))


@functools.partial(jax.jit, static_argnames=("law", "columns"))
def equations(key, data, num_samples, law, columns):
    return normal_equations(key, data, law, num_samples, columns)


@pytest.mark.parametrize("num_samples", [1, 255, 256, 257, 700])
@pytest.mark.parametrize("law", LAWS)
def test_normal_equations_sum_exactly_the_rows_asked_for(num_samples, law):
    """Labels that are the rows themselves; a feature of +-1 has unit second moment."""
    rng = np.random.default_rng(0)
    rows = np.sign(rng.normal(size=(50, 2)))
    with jax.enable_x64(True):
        data = DataSet(jnp.asarray(rows), jnp.ones(2), jnp.asarray(rng.normal(size=50)))
        found = equations(
            jax.random.key(1), data, num_samples, law, lambda rows, noise, index, key: rows
        )
    np.testing.assert_allclose(found.gram, found.cross, rtol=1e-6)
    if law != "gaussian":
        np.testing.assert_allclose(np.diag(found.gram), 1, rtol=1e-6)


def test_every_row_has_its_own_number_and_residual():
    """Columns that are the residual, and whether a row is among the first 300."""
    data = skewed()
    held = DataSet(*map(jnp.asarray, (data.rows, data.eigenvalues, data.residual)))
    size = 400_000

    def columns(rows, noise, index, key):
        return jnp.stack([noise, jnp.where(index < 100_000, rows[:, 0], 0)], axis=1)

    found = jax.device_get(equations(jax.random.key(4), held, size, "targets", columns))
    spread = np.sqrt(np.mean((data.rows * data.residual[:, None]) ** 2, axis=0) / size)
    assert np.all(np.abs(found.cross[:, 0]) < 5 * spread)
    np.testing.assert_allclose(found.cross[0, 1], data.eigenvalues[0] / 4, rtol=0.05)
    np.testing.assert_allclose(found.gram, np.diag(data.eigenvalues), atol=0.003)


def test_the_example_is_a_data_set_for_any_size():
    for given in (example(), example(40, 5), example(300, 30)):
        check_data_set(*given.values())
    assert example()["rows"][3] == example()["rows"][3]
    with pytest.raises(ValueError, match="share a frequency"):
        example(20, 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": lambda x: x + 0.1}, "rows are not centred"),
        ({"rows": lambda x: x @ np.linalg.qr(np.ones((5, 5)) + np.eye(5))[0]}, "correlated"),
        ({"eigenvalues": lambda x: 2 * x}, "mean squares are not the eigenvalues"),
        ({"residuals": lambda x: x + 0.2}, "residuals are not centred"),
        ({"residuals": lambda x: np.roll(x, 1) * np.arange(len(x))}, "residuals are"),
        ({"residuals": lambda x: x[1:]}, "have shapes .*take them from simulator.data"),
        ({"teacher": lambda x: x[1:]}, "have shapes"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(change, message):
    given = {name: np.asarray(values) for name, values in example(40, 5).items()}
    for name, function in change.items():
        given[name] = function(given[name])
    with pytest.raises(ValueError, match=message):
        check_data_set(**given)
