"""`simulator.theory`: what JAX transforms is checked, float64 inside, and never silently wrong."""

import inspect
import warnings
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.runtime.compilation import CPU_OPTIONS
from tests.toy import STUDY as TOY

RIDGE = "strong-collapse"
SMALL = {"dim": 30, "num_samples": 70}


def risk_of(study, output="test_error", **setting):
    theory = simulator.theory(study)
    return lambda **params: theory(**params, **setting)[output]


def slope(function, at, step):
    """Central difference, of fourth order."""
    value = [function(at + k * step) for k in (-2, -1, 1, 2)]
    return (8 * (value[2] - value[1]) - (value[3] - value[0])) / (12 * step)


@pytest.mark.parametrize(
    ("study", "output", "name", "value", "setting"),
    [
        (RIDGE, "test_error", "spectrum_exponent", 1.3, {**SMALL, "spectrum": "power_law"}),
        ("ridge-collapse", "test_error", "ridge", 0.2, {**SMALL, "num_generations": 2}),
        ("tail-collapse", "test_error", "zipf_exponent", 1.7, {"num_samples": 500, "cutoff": 40.0}),
        ("adversarial-training", "adversarial_error", "regularization", 0.05, {}),
        (TOY, "test_error", "noise_std", 0.4, {}),
    ],
)
def test_gradients_are_slopes_of_the_checked_theory(study, output, name, value, setting):
    risk = risk_of(study, output, **setting)
    with jax.enable_x64(True):
        gradient = jax.grad(lambda x: risk(**{name: x}))
        found = jax.jit(gradient, compiler_options=CPU_OPTIONS)(value)
    expected = slope(
        lambda x: simulator.predict(study, **{name: x}, **setting)[output], value, 1e-3 * value
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float64


def test_counts_are_real_numbers_to_a_theory():
    risk = risk_of(TOY, dim=10, noise_std=0.5)
    with jax.enable_x64(True):
        found = jax.grad(lambda n: risk(num_samples=n))(40.5)
    np.testing.assert_allclose(found, -0.25 * 10 / (40.5 - 11) ** 2, rtol=1e-12)


def test_plain_values_are_predicted():
    theory = simulator.theory(TOY)
    noise = np.array([0.1, 0.3])
    found, expected = theory(noise_std=noise), simulator.predict(TOY, noise_std=noise)
    np.testing.assert_array_equal(found["test_error"], expected["test_error"])
    assert found["test_error"].dtype == np.float64
    with pytest.raises(ValueError, match=r"noise_std = -1 is not allowed: .*>= 0"):
        theory(noise_std=-1)


def test_transformations_agree_with_plain_values():
    risk = risk_of(TOY)
    noise, samples = np.array([0.1, 0.3, 0.9]), [[20], [40]]
    with jax.enable_x64(True):
        for found in (
            jax.vmap(lambda s: risk(noise_std=s))(noise),
            jax.jit(lambda s: risk(noise_std=s))(noise),
            [jax.value_and_grad(lambda s: risk(noise_std=s))(s)[0] for s in noise],
        ):
            np.testing.assert_allclose(found, risk(noise_std=noise), rtol=1e-13)
        grid = jax.jit(lambda s: risk(noise_std=s, num_samples=samples))(noise)
    np.testing.assert_allclose(grid, risk(noise_std=noise, num_samples=samples), rtol=1e-13)


def test_it_computes_in_float64_and_hands_over_in_the_precision_around_it():
    def theory(params):  # float32 would lose all digits
        return {"test_error": (params.noise_std + 1e9) - 1e9}

    risk = risk_of(replace(TOY, theory=theory))
    found = jax.jit(lambda s: risk(noise_std=s))(0.5)
    assert found.dtype == np.float32
    assert found == 0.5


@pytest.mark.parametrize("noise", [-1.0, np.nan, np.inf])
def test_out_of_range_neither_value_nor_derivative_is_a_number(noise):
    def theory(params):  # the derivative of a selection hides what comes from outside
        return {"test_error": jnp.where(params.noise_std > 0, params.noise_std, 7.0)}

    def risk(s):
        return risk_of(replace(TOY, theory=theory))(noise_std=s)

    for function in (risk, jax.grad(risk), jax.jacfwd(risk)):
        assert np.isnan(jax.jit(function)(noise))
    found = jax.vmap(jax.grad(risk))(jnp.array([0.1, noise]))
    assert found[0] == 1
    assert np.isnan(found[1])


def test_bounds_may_name_a_traced_parameter():
    theory = simulator.theory(TOY)
    found = jax.vmap(lambda n: theory(num_samples=n, dim=10)["test_error"])(jnp.arange(9.0, 15.0))
    assert np.isnan(found).tolist() == [True, True, True, False, False, False]


def test_a_combination_that_the_study_refuses_is_not_a_number():
    study = simulator.get("ridge-collapse")
    params = {"design": "same", "spectrum": "isotropic"}
    allowed = jax.vmap(
        lambda r: study.validate(study.params(ridge_generator=r, **params), "theory")
    )
    assert allowed(jnp.array([0.0, 0.1])).tolist() == [True, False]

    quiet = replace(TOY, validate=lambda params, side: params.noise_std < 1)
    risk = risk_of(quiet)
    values, slopes = jax.vmap(jax.value_and_grad(lambda s: risk(noise_std=s)))(jnp.array([0.5, 2]))
    assert np.isnan(values).tolist() == np.isnan(slopes).tolist() == [False, True]


def test_a_combination_that_cannot_be_judged_is_refused():
    def validate(params, side):
        if params.noise_std > 1:
            raise ValueError("too loud")

    risk = risk_of(replace(TOY, validate=validate))
    assert np.isfinite(jax.grad(lambda n: risk(num_samples=n))(40.0))
    with pytest.raises(TypeError, match=r"cannot tell .* while .* traces noise_std"):
        jax.jit(lambda s: risk(noise_std=s))(0.5)


def test_a_solver_that_does_not_converge_gives_no_number():
    def theory(params):
        return {"test_error": params.noise_std, "residual": params.noise_std}

    risk = risk_of(replace(TOY, theory=theory, residual_tolerance=0.6))
    values, slopes = jax.vmap(jax.value_and_grad(lambda s: risk(noise_std=s)))(jnp.array([0.5, 2]))
    assert np.isnan(values).tolist() == np.isnan(slopes).tolist() == [False, True]


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        (lambda x: {"dim": x}, TypeError, r"dim is traced .* but static in ridge-collapse"),
        (lambda x: {"spectrum": x}, TypeError, "spectrum is traced"),
        (lambda x: {"num_generations": x}, TypeError, "num_generations counts steps"),
        (lambda x: {"rigde": x}, ValueError, "did you mean 'ridge'"),
        (lambda x: {"ridge": x, "noise_std": -1.0}, ValueError, "noise_std = -1 is not allowed"),
        (lambda x: {"ridge": x, "design": "sam"}, ValueError, "design = 'sam' is not allowed"),
    ],
)
def test_what_is_known_is_checked_at_once(params, error, words):
    theory = simulator.theory("ridge-collapse")
    with pytest.raises(error, match=words):
        jax.grad(lambda x: theory(**params(x))["test_error"])(3.0)


def test_a_length_may_be_traced():
    theory = simulator.theory("ridge-collapse")
    found = jax.jit(lambda t: theory(num_generations=t, dim=30)["test_error"])(3)
    assert found == pytest.approx(theory(num_generations=3, dim=30)["test_error"], rel=1e-6)


@pytest.mark.parametrize("verb", ["predict", "simulate"])
def test_other_verbs_name_the_way(verb):
    more = {"replicates": 2} if verb == "simulate" else {}
    call = getattr(simulator, verb)
    with pytest.raises(TypeError, match=r"ridge is traced .* `simulator.theory\(study\)`"):
        jax.grad(lambda r: call(RIDGE, ridge=r, **more)["test_error"])(0.1)


def test_the_function_documents_its_parameters():
    theory = simulator.theory("ridge-collapse")
    declared = simulator.get("ridge-collapse").declarations
    assert list(inspect.signature(theory).parameters) == list(declared)
    assert inspect.signature(theory).parameters["ridge"].default == 0.1
    assert all(p.meaning in theory.__doc__ for p in declared.values())


def test_a_study_without_theory_says_so():
    with pytest.raises(ValueError, match="has a simulation only"):
        simulator.theory("implicit-bias.sparse-inputs")


@pytest.mark.parametrize(
    ("derivative", "study", "output", "name", "value", "setting"),
    [
        (
            lambda f: jax.grad(jax.jit(f)),
            *("strong-collapse.random-projections", "test_error", "ridge", 0.3),
            {"dim": 30, "num_samples": 70, "width": 20},
        ),
        (
            lambda f: jax.grad(jax.grad(f)),
            *("verified-synthesis.halfspace", "test_accuracy", "verifier_angle", 0.45),
            {},
        ),
    ],
)
def test_derivatives_are_float64_whatever_the_scope(
    derivative, study, output, name, value, setting
):
    """A gradient asked for in float32 is the rounded float64 one: JAX does not transpose there."""
    risk = risk_of(study, output, **setting)
    outside = derivative(lambda x: risk(**{name: x}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = outside(value)
    with jax.enable_x64(True):
        expected = outside(value)
    assert found.dtype == np.float32
    assert expected.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=2e-6)
