"""The population of a table: its spectrum, teacher and residual, and the fitted exponents."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import simulator
from simulator.data.feature_maps import standardise
from simulator.data.loading import DataError, from_arrays
from simulator.data.population import labeller_shift, population, power_law
from simulator.data.units import unit_columns


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


def test_a_direction_in_small_units_is_kept():
    """Right: R^2 of Z[:, 2] in Z[:, 2] plus noise of standard deviation 0.1."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(4000, 3))
    data = population(from_arrays(z * [5e4, 1, 0.02], z[:, 2] + 0.1 * rng.normal(size=4000)))
    assert data.dim == 3
    assert data.signal.sum() == pytest.approx(0.9900, abs=0.001)


TOY = table(num_rows=120, dim=4)
EXPONENTS = st.lists(st.floats(-12, 155), min_size=4, max_size=4)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@example([18.0, 0.0, 0.0, 17.0], 0.0, False)  # two long columns and two short ones
@given(EXPONENTS, st.floats(-12, 155), st.booleans())
def test_no_unit_changes_what_is_linear(exponents, target, repeated):
    """Scaled columns span the same space: R^2, noise, rank and residual are as they were."""
    units, unit = 10.0 ** np.array(exponents), 10.0**target
    features = TOY.features * units
    if repeated:  # a dependent feature, too, of some unit
        features = np.column_stack([features, (TOY.features @ [1, -2, 0.5, 3]) * units[0]])
    scaled = from_arrays(features, TOY.targets * unit, "scaled")
    one = population(TOY)
    try:
        data = population(scaled)
    except DataError as error:
        assert "standard deviations of features differ" in str(error)  # noqa: PT017
        assert np.ptp(exponents) > 150
        return
    assert data.dim == one.dim == 4
    assert data.noise_std == pytest.approx(one.noise_std, rel=1e-9)
    assert data.signal.sum() == pytest.approx(one.signal.sum(), rel=1e-9)
    np.testing.assert_allclose(data.residual, one.residual, atol=1e-9)
    np.testing.assert_allclose(data.rows @ data.teacher + data.residual,
                               one.rows @ one.teacher + one.residual, atol=1e-9)  # fmt: skip
    normal = data.rows / np.sqrt(data.eigenvalues)
    np.testing.assert_allclose(normal.T @ normal / 120, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(
        standardise(features, columnwise=True)[:, :4],
        standardise(TOY.features, columnwise=True),
        atol=1e-9,
    )


@pytest.mark.parametrize("units", [[5e4, 1, 0.02, 1], [1, 1e-12, 1, 1e30], [1e-12, 1e100, 1, 1e8]])
def test_small_eigenvalues_are_exact(units):
    """Against the eigenvalues of the same covariance in 400 digits."""
    features = TOY.features * units
    found = population(from_arrays(features, TOY.targets)).eigenvalues
    with mp.workdps(400):
        x = mp.matrix(features.tolist())
        for j in range(4):
            mean = mp.fsum(x[:, j]) / 120
            for i in range(120):
                x[i, j] -= mean
        covariance = x.T * x
        values = sorted(mp.eigsy(covariance, eigvals_only=True), reverse=True)
        exact = [float(value / mp.fsum(values)) for value in values]
    np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_theory_does_not_mind_one_huge_unit():
    """Beyond some size of the first feature the others are only a nuisance of the penalty."""
    errors = [
        simulator.predict(
            "ridge-collapse.resampled",
            num_samples=30,
            num_samples_generator=40,
            num_generations=2,
            **population(from_arrays(TOY.features * [unit, 1, 1, 1], TOY.targets)).parameters(),
        )["test_error"]
        for unit in (1e20, 1e150)
    ]
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-9)
    far = population(from_arrays(TOY.features * [1e155, 1, 1, 1], TOY.targets))
    with pytest.raises(DataError, match=r"smallest variance is .*, which float64 cannot hold"):
        far.parameters()


def test_a_labeller_is_the_fit_of_a_few_rows():
    data = population(TOY)
    chosen = np.random.default_rng(5).integers(0, data.num_rows, 30)
    x = data.rows[chosen]
    y = x @ data.teacher + data.residual[chosen]
    weights = np.linalg.solve(x.T @ x / 30 + 0.02 * np.eye(data.dim), x.T @ y / 30)
    found = labeller_shift(data, 30, 0.02, seed=5)
    np.testing.assert_allclose(found, weights - data.teacher, rtol=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [((0, 0.1), "num_samples = 0"), ((9, 0.0), "ridge = 0; allowed: a positive"),
     ((9, -1.0), "ridge = -1"), ((9, "a"), "ridge = a"), ((9, 0.1, -1), "seed = -1")],
)  # fmt: skip
def test_labellers_that_are_refused(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        labeller_shift(population(TOY), *given)


def test_constants_up_to_rounding_are_no_features():
    rng = np.random.default_rng(0)
    noisy = np.full(120, 0.1) * (1 + np.finfo(float).eps * rng.integers(-1, 2, 120))
    assert np.ptp(noisy) > 0
    for column in (np.full(120, 0.1), noisy, np.full(120, 1e300), np.zeros(120)):
        wide = np.column_stack([TOY.features, column])
        assert population(from_arrays(wide, TOY.targets)).dim == 4
        assert np.all(standardise(wide, columnwise=True)[:, 4] == 0)
        np.testing.assert_allclose(
            standardise(wide)[:, :4], standardise(TOY.features) * math.sqrt(5 / 4), rtol=1e-9
        )
    with pytest.raises(DataError, match="targets vary by no more than rounding"):
        population(from_arrays(TOY.features, noisy))
    with pytest.raises(DataError, match="features vary by no more than rounding"):
        population(from_arrays(np.column_stack([noisy, 3 * noisy]), TOY.targets))


def test_unit_columns():
    values = np.array([[1e308, 3e-320, 2.0], [-1e308, 1e-320, 2.0], [5e307, 7e-320, 2.0]])
    columns, spreads = unit_columns(values)
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(np.mean(columns**2, axis=0), [1, 1, 0])
    np.testing.assert_array_equal(spreads, [1, 0, 0])
    # Far from zero the first mean is only right to the rounding of the offset.
    far = 1e11 / 3 + np.random.default_rng(2).normal(size=(999, 30))
    np.testing.assert_allclose(unit_columns(far)[0].mean(axis=0), 0, atol=1e-14)


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


@pytest.mark.parametrize(
    ("eigenvalues", "signal", "message"),
    [
        (np.append(np.ones(30), 0), np.ones(31), "eigenvalues"),
        (np.arange(1, 31.0), np.ones(30), "eigenvalues"),
        (np.ones(30), np.ones(29), "one row of 30"),
        (np.ones(30), -np.ones(30), "signal = -1"),
        (np.ones(30), np.append(np.ones(10), np.zeros(20)), "signal"),
        (np.ones((3, 10)), np.ones((3, 10)), "eigenvalues"),
        (np.ma.array(np.ones(30)), np.ones(30), "masked"),
    ],
)
def test_power_law_refuses_what_has_no_logarithm(eigenvalues, signal, message):
    with pytest.raises((TypeError, ValueError), match=message):
        power_law(eigenvalues, signal)


def test_power_law_refuses_an_empty_range():
    with pytest.raises(DataError, match="at least four ranks between 1 and 19"):
        power_law(np.ones(20), np.ones(20), first=18, last=20)
