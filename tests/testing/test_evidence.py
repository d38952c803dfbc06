"""Reference values and mutants whose own mistakes are told in words, on the toy study."""

from dataclasses import replace

import jax.numpy as jnp
import pytest

from simulator.study import both, exact
from simulator.testing import Case, Mutant
from simulator.testing.evidence import survivors, wrong_values
from tests.toy import STUDY

CELL = {"dim": 5, "num_samples": 12, "noise_std": 0.8}
VALUE = 0.8**2 * 5 / 6


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (
            Case("A", CELL, {"tset_error": VALUE}),
            "case 'A' speaks of the output 'tset_error', which is not declared; did you mean "
            "'test_error'?",
        ),
        (
            # Printed with eight digits, both are 0.53333333.
            Case("A", CELL, {"test_error": VALUE + 2e-9}, rtol=1e-9),
            "case 'A': test_error is 0.533333333, and should be 0.533333335, within rtol = 1e-09 "
            "and atol = 1e-12: it is -2e-09 off",
        ),
        (Case("A", CELL, {"test_error": [VALUE]}), "case 'A': test_error has shape (), and should"),
        (
            Case("A", CELL | {"num_samples": 8}, {"test_error": float("inf")}),
            "test_error is 1.6, and should be inf",
        ),
    ],
)
def test_wrong_reference_values(case, words):
    (complaint,) = wrong_values(STUDY, [case])
    assert words in complaint


def test_the_entry_that_differs_is_named():
    wide = replace(
        STUDY,
        outputs=both(exact(), dims=("round",), by_round="noise"),
        theory=lambda p: {"by_round": STUDY.theory(p)["test_error"] * jnp.ones(3)},
    )
    case = Case("A", CELL, {"by_round": [VALUE, VALUE, 2 * VALUE]})
    (complaint,) = wrong_values(wide, [case])
    assert "by_round[2] is 0.533333, and should be 1.06667" in complaint


def found(mutant, cells=(CELL,)):
    return list(survivors(STUDY, [mutant], cells, tolerance=0.1))


def of_noise(power):
    def after(params, outputs):
        variance = params.noise_std**power
        return {"test_error": variance * params.dim / (params.num_samples - params.dim - 1)}

    return after


def slipped(params, outputs):
    return {"test_error": 1.3 * of_noise(2)(params, outputs)["test_error"]}


MUTANTS = {
    "harmless": (
        Mutant("m", at=lambda p: {"noise_std": p.noise_std}),
        "mutant 'm' survived: no cell tells it from the theory",
    ),
    "unknown output": (
        Mutant("m", after=lambda p, o: {"tset_error": 2 * o["test_error"]}),
        "mutant 'm' speaks of the output 'tset_error', which toy does not have; did you mean "
        "'test_error'?",
    ),
    "unknown verdict": (
        Mutant("m", after=lambda p, o: {"test_error": 2 * o["test_error"]}, outputs=("bias",)),
        "mutant 'm' speaks of the output 'bias', which toy does not have",
    ),
    "unknown parameter": (
        Mutant("m", at=lambda p: {"noise": 0.0}),
        "mutant 'm' moves the parameter 'noise', which toy does not have; did you mean "
        "'noise_std'?",
    ),
    "no control": (
        Mutant("m", after=of_noise(1)),
        "mutant 'm' computes test_error anew, and could be rejected for a slip in that: give it "
        "control=..., the same function without the mistake",
    ),
    "no control of a theory": (
        Mutant("m", theory=lambda p: of_noise(1)(p, None)),
        "mutant 'm' computes test_error anew",
    ),
    "wrong control": (
        Mutant("m", after=of_noise(1), control=slipped),
        "without its mistake, mutant 'm' has test_error = 0.69",
    ),
    "wrong where the mistake makes no difference": (
        Mutant("m", after=slipped, control={"noise_std": 0.7}),
        "without its mistake, mutant 'm' has test_error = ",
    ),
    "control without content": (
        Mutant("m", after=of_noise(1), control=lambda p, o: o),
        "the control of mutant 'm' computes nothing",
    ),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_what_is_wrong_with_a_mutant(fault):
    mutant, words = MUTANTS[fault]
    (complaint,) = found(mutant)
    assert complaint.startswith(words), complaint


@pytest.mark.parametrize(
    "mutant",
    [
        Mutant("spoilt", after=lambda p, o: {"test_error": o["test_error"] / p.noise_std}),
        Mutant("anew", after=of_noise(1), control=of_noise(2)),
        Mutant("anew", theory=lambda p: of_noise(1)(p, None), control=STUDY.theory),
        Mutant("right at one", after=of_noise(1), control={"noise_std": 1.0}),
        Mutant("at its own cell", after=of_noise(1), control=of_noise(2), cells=[CELL]),
    ],
    ids=lambda mutant: mutant.name,
)
def test_sound_mutants_are_rejected(mutant):
    assert found(mutant) == []


def test_a_mutant_with_cells_of_its_own_may_survive_there():
    mutant = Mutant("m", at=lambda p: {"noise_std": p.noise_std}, cells=[CELL])
    (complaint,) = found(mutant)
    assert complaint == "mutant 'm' survived: its cells do not tell it from the theory"


def test_a_theory_that_disagrees_is_told_first():
    wrong = replace(STUDY, theory=lambda p: {"test_error": 2 * STUDY.theory(p)["test_error"]})
    (complaint,) = survivors(wrong, [MUTANTS["harmless"][0]], [CELL], tolerance=0.1)
    assert complaint.startswith("theory and simulation: disagrees at dim = 5, num_samples = 12")
