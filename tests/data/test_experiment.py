"""Experiments on data: exact cases, a literal NumPy bootstrap, and the theory beside them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.data import experiment
from simulator.data.experiment import labeller_shift, simulate_generations, simulate_mixture
from simulator.data.loading import from_arrays
from simulator.data.population import Population, population
from simulator.data.prediction import predict_generations, predict_mixture


def skewed(num_rows=300, dim=12, seed=2) -> Population:
    """Rows that are far from Gaussian, with a residual that grows with the first feature."""
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=(num_rows, dim)) * np.arange(1, dim + 1) ** -0.6
    y = x @ rng.normal(size=dim) + 0.8 * x[:, 0] * rng.normal(size=num_rows)
    return population(from_arrays(x, y, "skewed"))


def spectrum_of(dim, seed=3, num_rows=1000) -> Population:
    """Any rows: for laws that use only the spectrum."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_rows, dim)) * np.arange(1, dim + 1) ** -0.7
    return population(from_arrays(x, x @ rng.normal(size=dim) + rng.normal(size=num_rows)))


DATA = skewed()


def z_scores(found, expected):
    error = np.maximum(found.standard_error, 1e-12)
    return (found.mean - expected) / error


# -- the building block ------------------------------------------------------------------------
@functools.partial(jax.jit, static_argnames="law")
def rows_twice(key, data, num_samples, law):
    """Normal equations whose labels are the rows themselves."""

    def columns(rows, noise, index, key):
        return rows * (index < num_samples)[:, None]

    return experiment._normal_equations(key, data, num_samples, law, columns)


@pytest.mark.parametrize("num_samples", [1, 255, 256, 257, 700])
@pytest.mark.parametrize("law", experiment.LAWS)
def test_normal_equations_sum_exactly_the_rows_asked_for(num_samples, law):
    """A column of ones on the right counts rows; a feature of +-1 has unit second moment."""
    rng = np.random.default_rng(0)
    rows = np.sign(rng.normal(size=(50, 2)))
    data = Population(rows, np.ones(2), np.ones(2), rng.normal(size=50), "signs")
    with jax.enable_x64(True):
        held = experiment._to_device(data)
        fit = jax.device_get(rows_twice(jax.random.key(1), held, num_samples, law))
    np.testing.assert_allclose(fit.gram, fit.cross, rtol=1e-12)
    if law != "gaussian":
        np.testing.assert_allclose(np.diag(fit.gram), 1, rtol=1e-12)


def test_rows_keep_their_residuals():
    """X^T r / T of the whole population vanishes; a huge sample with replacement comes close."""
    size = 400_000
    with jax.enable_x64(True):
        held = experiment._to_device(DATA)
        draw = jax.jit(experiment._normal_equations, static_argnums=(3, 4))
        fit = draw(jax.random.key(4), held, size, "targets", experiment._real_noise)
        fit = jax.device_get(fit)
    spread = np.sqrt(np.mean((DATA.rows * DATA.residual[:, None]) ** 2, axis=0) / size)
    assert np.all(np.abs(fit.cross[:, 0]) < 5 * spread / DATA.noise_std)
    np.testing.assert_allclose(fit.gram, np.diag(DATA.eigenvalues), atol=0.003)


# -- generations -------------------------------------------------------------------------------
def test_least_squares_on_gaussian_rows_is_exact():
    """variance = sigma^2 d/(T-d-1), generators n sigma_0^2 d/(T0-d-1), no bias."""
    found = simulate_generations(
        DATA, num_samples=40, num_samples_generator=60, num_generations=2, ridge=0.0,
        noise_std=0.4, noise_std_generator=0.7, law="gaussian", replicates=1500, dtype="float64",
    )  # fmt: skip
    n = np.arange(3)
    assert np.all(found["bias"].mean < 1e-18)
    generators = n * 0.49 * 12 / (60 - 12 - 1)
    expected = {
        "variance": 0.16 * 12 / (40 - 12 - 1) + 0 * n,
        "generator_variance": generators,
        "test_error": 0.16 * 12 / (40 - 12 - 1) + generators,
    }
    for name, value in expected.items():
        assert np.all(np.abs(z_scores(found[name], value)) < 5), name
    assert np.max(found["test_error"].standard_error / expected["test_error"]) < 0.02


def test_real_targets_equal_a_literal_bootstrap():
    """n = 0 on real targets is ridge regression on resampled rows, in original coordinates."""
    rng = np.random.default_rng(7)
    target = DATA.rows @ DATA.teacher + DATA.residual
    literal = []
    for _ in range(1500):
        chosen = rng.integers(0, DATA.num_rows, 50)
        x, y = DATA.rows[chosen], target[chosen]
        weights = np.linalg.solve(x.T @ x / 50 + 0.02 * np.eye(DATA.dim), x.T @ y / 50)
        literal.append(np.mean((DATA.rows @ (weights - DATA.teacher)) ** 2))
    found = simulate_generations(
        DATA, num_samples=50, num_samples_generator=30, num_generations=0, ridge=[0.5, 0.02],
        ridge_generator=0.1, replicates=1500, seed=5,
    )["test_error"]  # fmt: skip
    error = np.hypot(found.standard_error[1, 0], np.std(literal) / np.sqrt(1500))
    assert abs(found.mean[1, 0] - np.mean(literal)) < 5 * error
    assert error < 0.03 * np.mean(literal)
    # Here the noise depends on the features, and the law without that must be told apart.
    blind = simulate_generations(
        DATA, num_samples=50, num_samples_generator=30, num_generations=0, ridge=0.02,
        ridge_generator=0.1, replicates=1500, seed=5, law="features",
    )["test_error"]  # fmt: skip
    assert abs(blind.mean[0, 0] - np.mean(literal)) > 5 * error


def test_a_generation_is_a_fit_to_the_labels_of_the_one_before():
    """With endless samples every fit is its population value: S^n, S = lambda/(lambda + ridge)."""
    found = simulate_generations(
        DATA, num_samples=300_000, num_samples_generator=300_000, num_generations=3,
        ridge=[0.01, 0.1], ridge_generator=0.05, replicates=2, law="features",
    )  # fmt: skip
    for row, ridge in enumerate((0.01, 0.1)):
        keep = DATA.eigenvalues / (DATA.eigenvalues + ridge)
        for n in range(4):
            kept = keep * (DATA.eigenvalues / (DATA.eigenvalues + 0.05)) ** n
            expected = np.sum(DATA.signal * (1 - kept) ** 2)
            assert found["bias"].mean[row, n] == pytest.approx(expected, rel=0.02)
            assert found["test_error"].mean[row, n] == pytest.approx(expected, rel=0.02)


@pytest.mark.slow
def test_gaussian_rows_agree_with_the_theory_of_generations():
    data = spectrum_of(80)
    setting = {
        "num_samples": 150, "num_samples_generator": 110, "num_generations": 3,
        "ridge": [0.003, 0.03], "ridge_generator": 0.004, "noise_std_generator": 0.6,
    }  # fmt: skip
    theory = predict_generations(data, **setting)
    found = simulate_generations(data, law="gaussian", replicates=400, **setting)
    for name, value in theory.items():
        deviation = np.abs(found[name].mean - value)
        assert np.all(deviation <= 5 * found[name].standard_error + 0.015 * value), name
    assert np.max(found["test_error"].standard_error / theory["test_error"]) < 0.015


# -- mixtures ----------------------------------------------------------------------------------
MIXTURE = {
    "num_samples": 160,
    "synthetic_fraction": [0.0, 0.25, 0.5, 1.0],
    "ridge": [0.004, 0.04],
    "noise_std_synthetic": 0.3,
}


@pytest.mark.slow
def test_gaussian_rows_agree_with_the_theory_of_mixtures():
    data = spectrum_of(80)
    shift = labeller_shift(data, 60, 0.01, seed=3)
    theory = predict_mixture(data, shift=shift, **MIXTURE)
    found = simulate_mixture(data, shift=shift, law="gaussian", replicates=600, **MIXTURE)
    for name, value in theory.items():
        # Parts that depend on one teacher and one shift fluctuate more than their averages.
        slack = 0.02 * np.abs(value) + 0.003 * theory["test_error"]
        deviation = np.abs(found[name].mean - value)
        assert np.all(deviation <= 5 * found[name].standard_error + slack), name
    assert np.all(theory["synthetic_error"][:, 0] == 0)
    assert np.max(found["test_error"].standard_error / theory["test_error"]) < 0.015


def test_all_synthetic_labels_of_a_zero_model_leave_the_signal():
    found = simulate_mixture(
        DATA, shift=-DATA.teacher, num_samples=70, synthetic_fraction=1.0, ridge=0.01,
        replicates=3, dtype="float64",
    )["test_error"]  # fmt: skip
    np.testing.assert_allclose(found.mean, DATA.signal.sum(), rtol=1e-10)


def test_parts_of_one_fit_add_up_without_noise():
    found = simulate_mixture(
        DATA, shift=0.3 * DATA.teacher, num_samples=70, synthetic_fraction=[0.2, 0.7], ridge=0.01,
        noise_std_real=0.0, replicates=5, dtype="float64",
    )  # fmt: skip
    parts = found["bias"].mean + found["synthetic_error"].mean + found["cross_error"].mean
    np.testing.assert_allclose(parts, found["test_error"].mean, rtol=1e-10)
    assert np.all(found["variance"].mean == 0)


def test_fractions_are_rounded_to_whole_rows():
    shift = 0.5 * DATA.teacher
    setting = {"shift": shift, "num_samples": 9, "ridge": 0.05, "replicates": 4}
    rounded = simulate_mixture(DATA, synthetic_fraction=[0.3, 3 / 9, 0.4], **setting)
    values = rounded["synthetic_error"].mean[0]
    assert values[0] == values[1] != values[2]


def test_a_labeller_is_the_fit_it_says():
    """Its population error is that of a ridge fit: compare with the mean over many labellers."""
    errors = [
        np.sum(DATA.eigenvalues * labeller_shift(DATA, 50, 0.02, seed=s) ** 2) for s in range(300)
    ]
    # The program of the bootstrap above, with draws of its own.
    found = simulate_generations(
        DATA, num_samples=50, num_samples_generator=30, num_generations=0, ridge=[0.5, 0.02],
        ridge_generator=0.1, replicates=1500,
    )["test_error"]  # fmt: skip
    error = np.hypot(found.standard_error[1, 0], np.std(errors) / np.sqrt(300))
    assert abs(np.mean(errors) - found.mean[1, 0]) < 5 * error


# -- engine ------------------------------------------------------------------------------------
def test_numbers_do_not_depend_on_the_batch_and_sizes_share_a_compilation(monkeypatch):
    setting = {
        "num_samples_generator": 30, "num_generations": 1, "ridge": 0.02, "ridge_generator": 0.1,
    }  # fmt: skip
    experiment._batched.cache_clear()
    one = simulate_generations(DATA, num_samples=50, replicates=6, **setting)["test_error"]
    compiled = experiment._batched(
        experiment._generations, (("law", "targets"), ("num_generations", 1))
    )
    simulate_generations(DATA, num_samples=900, replicates=6, **setting)
    assert compiled._cache_size() == 1
    experiment._batched.cache_clear()
    monkeypatch.setattr(experiment, "BATCH", 3)
    two = simulate_generations(DATA, num_samples=50, replicates=6, **setting)["test_error"]
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-4)


def test_lowers_for_accelerators_in_single_precision():
    function = experiment._batched(
        experiment._generations, (("law", "targets"), ("num_generations", 2))
    )
    held = experiment._to_device(DATA)
    scalars = [jnp.float32(v) for v in (0.1, 0.3, 0.2)]
    keys = jax.random.split(jax.random.key(0), 8)
    exported = jax.export.export(function, platforms=("tpu", "cuda", "cpu"))(
        keys, held, jnp.ones(2), jnp.int32(40), jnp.int32(50), *scalars
    )
    assert "f64" not in exported.mlir_module()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ridge": 0.0, "num_samples": 13}, "ridge = 0 with 13 samples of 12 features"),
        ({"ridge_generator": 0.0}, "ridge_generator = 0 with 13 samples"),
        ({"ridge": -0.1}, "ridge = -0.1; allowed"),
        ({"ridge": np.nan}, "ridge = nan"),
        ({"law": "normal"}, "allowed: gaussian, features, targets"),
        ({"replicates": 1}, "at least 2"),
        ({"dtype": "float16"}, "float32 or float64"),
        ({"num_samples": 0}, "number of samples 0"),
        ({"num_generations": -1}, "num_generations = -1"),
        ({"noise_std": -0.2}, "noise = -0.2; allowed: finite and >= 0"),
    ],
)
def test_defects_of_generations(change, message):
    setting = {
        "num_samples": 40, "num_samples_generator": 13, "num_generations": 1, "ridge": 0.1,
        "ridge_generator": 0.1, "replicates": 2,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        simulate_generations(DATA, **(setting | change))


def test_a_singular_sample_is_refused_not_averaged():
    """Few distinct rows drawn with replacement: least squares has no answer."""
    few = skewed(num_rows=15, dim=12)
    with pytest.raises(ValueError, match="fewer independent rows than features"):
        simulate_generations(
            few, num_samples=14, num_samples_generator=14, num_generations=0, ridge=0.0,
            ridge_generator=0.1, replicates=50, dtype="float64",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ridge": np.ma.array([0.1], mask=[True])}, "ridge = .*masked arrays"),
        ({"ridge": "a"}, "ridge = a; allowed: finite and >= 0"),
        ({"ridge": []}, r"ridge has shape \(0,\)"),
        ({"ridge": [[0.1]]}, r"ridge has shape \(1, 1\)"),
        ({"num_samples": 40.5}, "num_samples = 40.5"),
        ({"num_samples": None}, "num_samples = None"),
        ({"num_samples": 2**31}, "num_samples = 2147483648"),
        ({"num_generations": True}, "num_generations = True"),
        ({"noise_std": "a"}, "standard deviation of noise = a"),
        ({"replicates": 2.5}, "replicates = 2.5"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": "a"}, "seed = a"),
    ],
)
def test_odd_arguments_are_refused_by_name(change, message):
    setting = {
        "num_samples": 40, "num_samples_generator": 13, "num_generations": 1, "ridge": 0.1,
        "ridge_generator": 0.1, "replicates": 2,
    }  # fmt: skip
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        simulate_generations(DATA, **(setting | change))
    assert "\n" not in str(caught.value)


def test_a_masked_shift_is_refused():
    shift = np.ma.array(DATA.teacher, mask=DATA.teacher > 0)
    for function in (simulate_mixture, predict_mixture):
        with pytest.raises(TypeError, match=r"shift = .*masked arrays"):
            function(DATA, shift=shift, num_samples=40, synthetic_fraction=0.5, ridge=0.1)


def test_single_precision_says_when_it_loses_a_direction():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    data = population(from_arrays(x * [1e21, 1, 1], x.sum(1) + rng.normal(size=60)))
    setting = {"num_samples": 30, "num_samples_generator": 9, "num_generations": 0, "ridge": 0.0,
               "ridge_generator": 0.1}  # fmt: skip
    with pytest.raises(ValueError, match=r"which float32 cannot hold; .*dtype = float64"):
        simulate_generations(data, replicates=2, **setting)
    found = simulate_generations(data, replicates=400, dtype="float64", law="gaussian", **setting)
    theory = predict_generations(data, **setting)["test_error"]
    error = found["test_error"]
    np.testing.assert_array_less(np.abs(error.mean - theory), 5 * error.standard_error)


def test_a_fraction_beyond_one_is_refused():
    for function in (simulate_mixture, predict_mixture):
        with pytest.raises(ValueError, match="from 0 to 1"):
            function(DATA, shift=DATA.teacher, num_samples=40, synthetic_fraction=1.2, ridge=0.1)
