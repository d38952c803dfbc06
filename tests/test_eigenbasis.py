"""Explicit eigenvalues, teachers and covariances, of which named spectra are shorthands."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.cli import main
from simulator.engine.cells import identity
from simulator.engine.theory import theory_of_cells
from simulator.maths.spectra import named_spectrum
from simulator.parameters import counted_fields
from simulator.runtime.compilation import float64_on_cpu
from tests.cases import load
from tests.studies.battery import STUDIES
from tests.studies.test_compilation import compilations

RIDGE = simulator.get("ridge-collapse")
WITH_SPECTRUM = [name for name, study in STUDIES.items() if "covariance" in study.declarations]
PADDED = [name for name, study in STUDIES.items() if counted_fields(study.declarations)]
QUICK = ("ridge-regression", "strong-collapse.multi-step", "strong-collapse.two-covariances")
LAMBDA = np.array([2.0, 1.0, 0.5, 0.2, 0.05])
TEACHER = np.array([0.5, -1.2, 0.3, 0.8, 1.5])
FIT = {"num_samples": 12, "num_samples_generator": 9, "num_generations": 2}


@pytest.fixture(scope="module")
def rotation():
    return np.linalg.qr(np.random.default_rng(5).normal(size=(5, 5)))[0]


def matrix(values, basis):
    return basis @ np.diag(values) @ basis.T


@pytest.mark.parametrize("law", ["isotropic", "power_law"])
def test_a_named_spectrum_is_a_shorthand(law):
    with jax.enable_x64(True):
        spectrum = named_spectrum(law, 9, 1.3, 0.4, 1.7)
    options = {"spectrum_exponent": 1.3, "source_exponent": 0.4, "signal_variance": 1.7} | FIT
    named = simulator.predict(RIDGE, spectrum=law, dim=9, **options)
    explicit = simulator.predict(
        RIDGE,
        eigenvalues=spectrum.eigenvalues,
        teacher=-np.sqrt(spectrum.signal / spectrum.eigenvalues),
        **FIT,
    )
    for output, value in named.items():
        np.testing.assert_allclose(explicit[output], value, rtol=1e-12, err_msg=output)


def test_a_covariance_is_diagonalised_at_the_door(rotation):
    found = RIDGE.canonical({"covariance": matrix(LAMBDA, rotation), "teacher": rotation @ TEACHER})
    assert found["dim"] == 5
    assert found["covariance"].size == 0
    np.testing.assert_allclose(found["eigenvalues"], LAMBDA, rtol=1e-12)
    np.testing.assert_allclose(np.abs(found["teacher"]), np.abs(TEACHER), rtol=1e-12)


def test_two_covariances_that_commute_have_one_eigenbasis(rotation):
    study = simulator.get("strong-collapse.two-covariances")
    other = np.array([0.3, 2.0, 0.3, 1.0, 0.7])
    degenerate = np.array([2.0, 1.0, 1.0, 0.2, 0.05])  # the other one tells the two apart
    found = study.canonical(
        {
            "covariance": matrix(degenerate, rotation),
            "covariance_synthetic": matrix(other, rotation),
            "teacher": rotation @ TEACHER,
        }
    )
    np.testing.assert_allclose(found["eigenvalues"], degenerate, rtol=1e-12)
    both = np.stack([found["eigenvalues_synthetic"], np.abs(found["teacher"])], axis=1)
    expected = np.stack([other, np.abs(TEACHER)], axis=1)
    np.testing.assert_allclose(sorted(both.tolist()), sorted(expected.tolist()), rtol=1e-10)


def test_directions_without_variance_are_left_out():
    full = RIDGE.canonical({"eigenvalues": [2, 0, 1, 0], "teacher": [1, 2, 3, 4]})
    assert full["dim"] == 2
    np.testing.assert_array_equal(full["eigenvalues"], [2, 1])
    np.testing.assert_array_equal(full["teacher"], [1, 3])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spectrum": [1, 0.5]}, r"spectrum = \[1, 0.5\] .* go into eigenvalues or covariance"),
        ({"eigenvalues": [1, 2, -1]}, "eigenvalues = -1 is not allowed"),
        ({"eigenvalues": [1, np.nan]}, "finite numbers"),
        ({"eigenvalues": [1, 2], "dim": 3}, "dim = 3 is not allowed: eigenvalues has 2 entries"),
        ({"eigenvalues": [1, 1e-160]}, "eigenvalues = 1e-160 is not allowed"),
        ({"teacher": [1, 2, 3], "dim": 4}, "dim = 4 is not allowed: teacher has 3 entries"),
        ({"eigenvalues": [1, 2], "teacher": [1, 2, 3]}, "teacher has 3 entries"),
        ({"covariance": [[1, 2], [0, 1]]}, "covariance is not allowed: it is not symmetric"),
        ({"covariance": [[1, 2], [2, 1]]}, "eigenvalue -1"),
        ({"covariance": [[1, 2, 3], [2, 1, 3]]}, "must be square"),
        ({"covariance": np.eye(2), "eigenvalues": [1, 2]}, "are both given"),
        ({"covariance": np.eye(2), "teacher": [1, 2, 3]}, "covariance of 2 features"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        simulator.predict(RIDGE, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shift": [1, 2]}, "shift is given without teacher"),
        ({"covariance": np.eye(2)}, "without covariance_synthetic"),
        (
            {"covariance": [[2, 0], [0, 1]], "covariance_synthetic": [[1, 0.5], [0.5, 1]]},
            "do not commute",
        ),
        ({"eigenvalues": [1, 0], "eigenvalues_synthetic": [1, 2]}, "is positive in a direction"),
        (
            {"eigenvalues": [1, 2], "eigenvalues_synthetic": [1, 0]},
            "eigenvalues_synthetic = 0 is not allowed",
        ),
    ],
)
def test_a_second_covariance_that_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        simulator.predict("strong-collapse.two-covariances", **given)


def test_cells_that_do_not_use_it_keep_their_identity():
    """The name of this cell before there were such parameters: so its key, and its draws."""
    cell = RIDGE.canonical({"dim": 7, "num_samples": 20})
    text = identity(RIDGE, cell, method="fast", dtype="float64", seed=0)
    assert not {"eigenvalues", "teacher", "covariance"} & json.loads(text)["parameters"].keys()
    assert hashlib.sha256(text.encode()).hexdigest().startswith("2f778d440654349147095e6b")
    other = RIDGE.canonical({"eigenvalues": np.ones(7), "num_samples": 20})
    assert identity(RIDGE, other, method="fast", dtype="float64", seed=0) != text


@pytest.mark.parametrize("name", WITH_SPECTRUM)
def test_theory_has_derivatives_in_the_arrays(name):
    """`jax.grad` through the study's theory against finite differences."""
    study = STUDIES[name]
    arrays = {"eigenvalues": LAMBDA, "teacher": TEACHER}
    if "shift" in study.declarations:
        arrays["shift"] = np.array([0.2, 0.4, -0.7, 0.1, 0.9])
    if "eigenvalues_synthetic" in study.declarations:
        arrays["eigenvalues_synthetic"] = np.array([0.7, 1.3, 0.4, 2.0, 0.1])
    options = {n: v for n, v in FIT.items() if n in study.declarations}
    options |= {n: v for n, v in {"width": 4, "num_steps": 1}.items() if n in study.declarations}

    @jax.jit
    def error(arrays):
        outputs = study.theory(study.params(**arrays, **options))
        return jnp.ravel(outputs["test_error"])[-1]

    with float64_on_cpu():
        slopes = jax.jit(jax.grad(error))(arrays)
        for array, values in arrays.items():
            for k in range(len(values)):
                step = 1e-5 * np.eye(len(values))[k]
                ahead, behind = (error(arrays | {array: values + s}) for s in (step, -step))
                numeric = (ahead - behind) / 2e-5
                assert slopes[array][k] == pytest.approx(numeric, rel=1e-5, abs=1e-9), array


@pytest.mark.parametrize("method", ["direct", "fast", "conditional"])
def test_simulations_have_the_arrays_of_the_theory(method):
    """Least squares with enough samples: the theory is exact, and so is its share by direction."""
    arrays = {"eigenvalues": LAMBDA, "teacher": TEACHER}
    options = FIT | {"ridge": 0.0, "noise_std": 0.7, "num_generations": 1}
    theory = simulator.predict(RIDGE, **arrays, **options)
    result = simulator.simulate(
        RIDGE, replicates=2000, method=method, keep_values=True, **arrays, **options
    )
    values = result.values["test_error"]
    error = values.std(ddof=1) / np.sqrt(values.size)
    assert abs(values.mean() - theory["test_error"]) < 5 * error
    # With a penalty only the teacher is left of a noise-free fit to many samples.
    many = {"num_generations": 0, "num_samples": 10**6, "ridge": 0.4, "noise_std": 0.0}
    if method != "direct":
        bias = simulator.simulate(RIDGE, replicates=2, method=method, **arrays, **many).mean["bias"]
        expected = np.sum(LAMBDA * TEACHER**2 * (0.4 / (LAMBDA + 0.4)) ** 2)
        assert bias == pytest.approx(expected, rel=1e-2)


def test_a_smaller_problem_has_fewer_directions_of_the_same_law():
    values = RIDGE.canonical({"eigenvalues": np.geomspace(1, 0.01, 40), "teacher": np.ones(40)})
    smaller, size = RIDGE.resized(values, 0.25)
    assert (smaller["dim"], size) == (10, 0.25)
    assert np.median(smaller["eigenvalues"]) == pytest.approx(0.1, rel=0.1)
    assert np.sum(smaller["teacher"] ** 2) == pytest.approx(40)


@pytest.mark.parametrize(
    "name",
    [  # `make test` takes the three with the shortest programs: padding is one function for all
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in PADDED
    ],
)
def test_padding_changes_no_value(name):
    """Theory as the engine computes it, padded, and at the very dimension."""
    study, seen = STUDIES[name], set()
    for case in load(name).cases:
        values = study.canonical(case.params)
        if values["eigenvalues"].size or values["dim"] in seen or len(seen) > 2:
            continue
        seen.add(values["dim"])
        (padded,) = theory_of_cells(study, [values])
        with float64_on_cpu():
            plain = jax.jit(study.theory)(study.params(**values))
        for output, value in padded.items():
            np.testing.assert_allclose(value, plain[output], rtol=1e-13, atol=1e-15, err_msg=output)


@pytest.mark.parametrize("name", PADDED)
def test_a_sweep_over_dimensions_compiles_once(name):
    study = STUDIES[name]
    cell = study.canonical({"dim": 50})
    theory_of_cells(study, [cell | {"dim": dim} for dim in (40, 50)])
    with compilations() as compiled:
        theory_of_cells(study, [cell | {"dim": dim} for dim in (23, 63)])
    assert not compiled


def test_the_command_line_takes_lists(capsys):
    assert (
        main(["predict", "ridge-collapse", "--eigenvalues", "1,0.5,0.1", "--teacher=1,-1,2"]) == 0
    )
    shown = capsys.readouterr().out
    expected = simulator.predict(RIDGE, eigenvalues=[1, 0.5, 0.1], teacher=[1, -1, 2])
    assert f"test_error = {expected['test_error']:.10g}" in shown


def test_the_checked_theory_is_differentiable_in_the_arrays():
    """`simulator.theory`: the dimension follows inside a transformation, too."""
    risk = simulator.theory(RIDGE)

    @jax.jit
    def error(eigenvalues):
        return risk(eigenvalues=eigenvalues, teacher=TEACHER, **FIT)["test_error"]

    with jax.enable_x64(True):
        slope = jax.grad(error)(jnp.asarray(LAMBDA))
        step = 1e-6 * np.eye(5)[2]
        numeric = (error(LAMBDA + step) - error(LAMBDA - step)) / 2e-6
        assert slope[2] == pytest.approx(numeric, rel=1e-6)
        with pytest.raises(TypeError, match="covariance is traced"):
            jax.grad(lambda c: risk(covariance=c, **FIT)["test_error"])(jnp.eye(3))
