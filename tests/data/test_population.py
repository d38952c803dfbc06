"""The population of a table: its spectrum, teacher and residual, and the fitted exponents."""

import numpy as np
import pytest

from simulator.data.loading import DataError, from_arrays
from simulator.data.population import population, power_law


def table(num_rows=400, dim=7, seed=2):
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=(num_rows, dim)) @ rng.normal(size=(dim, dim)) + 3
    y = x @ rng.normal(size=dim) + np.sin(x[:, 0]) + 5
    return from_arrays(x, y, "toy")


def test_teacher_is_the_best_linear_fit_and_residual_is_what_it_leaves():
    toy = table()
    data = population(toy)
    design = np.column_stack([toy.features, np.ones(400)])
    fitted = design @ np.linalg.lstsq(design, toy.targets, rcond=None)[0]
    scale = toy.targets.std()
    np.testing.assert_allclose(
        data.rows @ data.teacher, (fitted - toy.targets.mean()) / scale, atol=1e-9
    )
    np.testing.assert_allclose(data.residual, (toy.targets - fitted) / scale, atol=1e-9)


def test_units_and_eigenbasis():
    data = population(table())
    assert data.eigenvalues.sum() == pytest.approx(1)
    np.testing.assert_allclose(data.rows.T @ data.rows / 400, np.diag(data.eigenvalues), atol=1e-12)
    np.testing.assert_allclose(data.rows.T @ data.residual, 0, atol=1e-9)
    assert data.signal.sum() + data.noise_std**2 == pytest.approx(1)
    assert np.all(np.diff(data.eigenvalues) < 0)


def test_units_of_the_input_do_not_matter():
    toy = table()
    one = population(toy)
    other = population(from_arrays(40 * toy.features - 7, -3 * toy.targets + 2, "scaled"))
    np.testing.assert_allclose(other.eigenvalues, one.eigenvalues, rtol=1e-9)
    np.testing.assert_allclose(other.signal, one.signal, rtol=1e-7)
    assert other.noise_std == pytest.approx(one.noise_std)


def test_dependent_features_are_dropped():
    toy = table()
    repeated = np.column_stack([toy.features, toy.features[:, :3], np.full(400, 2.0)])
    data = population(from_arrays(repeated, toy.targets))
    assert data.dim == 7
    assert data.noise_std == pytest.approx(population(toy).noise_std)


def test_more_columns_than_rows_of_low_rank():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 90))
    data = population(from_arrays(x, rng.normal(size=60)))
    assert data.dim == 5
    np.testing.assert_allclose(data.rows.T @ data.rows / 60, np.diag(data.eigenvalues), atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((30, 29), "30 rows are too few for 29"), ((30, 80), "too few"), ((30, 1), "at least 2")],
)
def test_too_small(shape, message):
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=message):
        population(from_arrays(rng.normal(size=shape), rng.normal(size=30), "small"))


def test_diagnostics_of_gaussian_rows_are_one_and_see_what_is_not():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(40_000, 6)) * [3, 2, 1.5, 1, 0.5, 0.2]
    noise = rng.normal(size=40_000)
    size = rng.exponential(size=40_000)
    fair = population(from_arrays(x, x @ np.ones(6) + noise))
    assert fair.spikiness(0.01) == pytest.approx(1, rel=0.03)
    assert fair.felt_noise(0.01) == pytest.approx(1, rel=0.03)
    heavy = population(from_arrays(x * size[:, None], x @ np.ones(6) * size + noise))
    assert heavy.spikiness(0.01) > 3
    assert heavy.felt_noise(0.01) == pytest.approx(1, rel=0.1)
    uneven = population(from_arrays(x * size[:, None], x @ np.ones(6) * size + noise * size))
    # E s^4 / (E s^2)^2 = 24 / 4 for exponential sizes
    assert uneven.felt_noise(0.01) == pytest.approx(6, rel=0.15)


@pytest.mark.parametrize(("capacity", "source"), [(1.7, 0.4), (1.1, 0.8)])
def test_power_law_recovers_its_exponents(capacity, source):
    rank = np.arange(1, 4001.0)
    fit = power_law(rank**-capacity, rank ** -(1 + 2 * capacity * source), first=10, last=300)
    assert fit.capacity == pytest.approx(capacity, rel=1e-9)
    # The tail sum is cut at the last rank, which bends it a little.
    assert fit.source == pytest.approx(source, rel=0.07)
    np.testing.assert_allclose(fit.local_capacity, capacity, rtol=1e-9)
    assert "capacity beta = " in str(fit)


def test_power_law_shows_a_bend_in_its_local_slopes():
    rank = np.arange(1, 2001.0)
    spectrum = np.where(rank < 50, rank**-1.0, 50 * rank**-2.0)
    fit = power_law(spectrum, rank**-2.0, first=4, last=1000)
    assert fit.local_capacity[0] == pytest.approx(1, abs=1e-6)
    assert fit.local_capacity[-1] == pytest.approx(2, abs=1e-6)
    assert 1 < fit.capacity < 2


def test_power_law_refuses_an_empty_range():
    with pytest.raises(DataError, match="at least four ranks between 1 and 19"):
        power_law(np.ones(20), np.ones(20), first=18, last=20)
