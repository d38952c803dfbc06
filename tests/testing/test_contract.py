"""A study that breaks the contract is told where, in words."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

import simulator
from simulator.parameters import parameters, static, traced
from simulator.study import NO_RELATION, Output, asymptotic, both, exact
from simulator.testing import check_contract, diagnose
from simulator.testing.sides import static_by_need
from tests.toy import STUDY as TOY
from tests.toy import command_line


def test_a_sound_study_has_nothing_to_hear():
    assert diagnose(TOY) == []
    check_contract(TOY)


def test_a_sound_study_of_the_package():
    assert diagnose(simulator.get("jailbreaking.attack")) == []


def theory(**changes):
    def changed(params):
        return TOY.theory(params) | {name: f(params) for name, f in changes.items()}

    return replace(TOY, theory=changed)


def simulation(function):
    return replace(TOY, simulate_fast=function)


calls = iter(range(10**6))


@parameters
class Forgetful:
    dim: int = traced(10, at_least=2, grows=1)
    num_samples: int = traced(40, at_least="dim + 2", grows=1)
    noise_std: float = traced(0.5, at_least=0)


@parameters
class Rigid:
    dim: int = static(10, at_least=2, grows=1)
    num_samples: int = traced(40, at_least="dim + 2", grows=1)
    noise_std: float = static(0.5, at_least=0)


@parameters
class Wordless:
    dim: int = static(10, at_least=2, grows=1)
    num_samples: int = traced(40, at_least="dim + 2", grows=1)
    noise_std: float = traced(0.5, at_least=0)
    unheard: float = traced(0.5)


@parameters
class Small:
    noise_std: float = traced(0.5, at_least=0)


FAULTS = {
    "no meaning": (replace(TOY, params=Wordless), "unheard has no symbol or meaning"),
    "bad cell": (replace(TOY, check_cells=({"dim": 1},)), r"check_cells\[0\] is not allowed: dim"),
    "twice": (replace(TOY, outputs=TOY.outputs * 2), "test_error is declared twice"),
    "of nobody": (
        replace(TOY, outputs=(Output("bound", "x", exact(of="test_eror")), *TOY.outputs)),
        "speaks of 'test_eror'; did you mean 'test_error'",
    ),
    "no side": (replace(TOY, theory=None), "no theory, but outputs are declared for it"),
    "misspelt": (
        simulation(lambda key, p: {"test_eror": TOY.simulate_fast(key, p)["test_error"]}),
        "fast returns 'test_eror', which is not declared for it; did you mean 'test_error'",
    ),
    "forgotten": (
        replace(TOY, outputs=(*TOY.outputs, *both(exact(), bias="b"))),
        "theory does not return the declared output 'bias'",
    ),
    "dims": (
        theory(test_error=lambda p: jnp.ones(3) * p.noise_std),
        r"test_error with shape \(3,\), but its declared dims are \(\)",
    ),
    "traced that should be static": (replace(TOY, params=Forgetful), "dim fixes a shape"),
    "static that could be traced": (replace(TOY, params=Rigid), "noise_std is static, but nothing"),
    "impure": (
        simulation(lambda key, p: {"test_error": next(calls) + 0 * jnp.sum(jnp.ones(p.dim))}),
        "fast is not pure",
    ),
    "no randomness": (
        simulation(lambda key, p: {"test_error": p.noise_std * jnp.sum(jnp.ones(p.dim))}),
        "fast ignores its key",
    ),
    "randomness": (replace(TOY, deterministic=True), "declared deterministic, but its replicates"),
    "nan": (theory(test_error=lambda p: p.noise_std * jnp.nan), "theory returns test_error = nan"),
    "single precision": (
        theory(test_error=lambda p: 1 + 1e-2 * jnp.sin(1e6 * p.noise_std * p.num_samples / 7)),
        "off by more than 0.0001 in float32",
    ),
    "wrong slope": (
        theory(test_error=lambda p: jax.lax.stop_gradient(p.noise_std) * p.noise_std),
        "derivative of test_error in noise_std is wrong",
    ),
    "raises": (simulation(lambda key, p: {}["x"]), "fast fails at .*KeyError"),
    "does not grow": (
        replace(
            TOY,
            params=Small,
            check_cells=({},),
            theory=lambda p: {"test_error": p.noise_std},
            simulate_fast=lambda key, p: {"test_error": p.noise_std * jax.random.normal(key)},
            outputs=(Output("test_error", "x", asymptotic()),),
        ),
        "asymptotic, but no parameter grows",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named(fault):
    study, words = FAULTS[fault]
    complaints = diagnose(study)
    with pytest.raises(AssertionError, match=words):
        check_contract(study)
    assert complaints


def test_a_simulation_may_draw_nothing():
    fixed = simulation(lambda key, p: {"test_error": p.noise_std * jnp.sum(jnp.ones(p.dim))})
    assert diagnose(replace(fixed, deterministic=True)) == []


@parameters
class Stepped:
    dim: int = static(10, at_least=2, grows=1)
    num_samples: int = traced(40, at_least="dim + 2", grows=1)
    noise_std: float = traced(0.5, at_least=0)
    num_steps: int = static(5, at_least=1)


def test_a_length_of_a_loop_may_be_static():
    """By it batches are sized; a static number that does nothing in a loop may not be."""

    def walk(key, p):
        def step(_, x):
            return 0.5 * x

        last = jax.lax.fori_loop(0, p.num_steps, step, jax.random.normal(key, (p.dim,)))
        return {"test_error": jnp.sum(last**2)}

    study = replace(TOY, params=Stepped, simulate_direct=None)
    assert diagnose(replace(study, simulate_fast=walk)) == []
    (words,) = diagnose(study)
    assert words == "parameter num_steps is static, but nothing needs it to be: declare it traced"


def test_the_study_can_be_traced_without_being_run():
    impure, _ = FAULTS["impure"]
    assert diagnose(impure, run=False) == []
    misspelt, _ = FAULTS["misspelt"]
    assert diagnose(misspelt, run=False)


def test_an_output_may_have_no_relation():
    loose = replace(TOY, outputs=(Output("test_error", "x", NO_RELATION),))
    assert diagnose(loose) == []


def test_doctor(capsys):
    assert command_line(["doctor", "toy"]) == 0
    assert capsys.readouterr().out == "toy: no complaints\n"


def test_what_another_choice_needs_static_is_no_fault():
    """Candidates are drawn for best-of-N only, which is not the sampler of the first cell."""
    study = simulator.get("pilaf")
    assert study.canonical(study.check_cells[0])["sampler"] != "best_of_n"
    assert static_by_need(study, "direct")("num_candidates")
    assert not static_by_need(study, "fast")("num_candidates")
