"""``pilaf.iterated``: the printed rounds, sums response by response, and wrong sums."""

import numpy as np

from tests.cases import Case, Mutant, Tests, digits, times
from tests.cases.pilaf import ARRAYS, SMALL
from tests.references import pilaf as reference

POINT = {name: value for name, value in SMALL.items() if name != "behavior_scale"}
POINT |= {"num_rounds": 3, "num_preferences": 3000, "reward_scale": 2.0}
OWN = {name: value for name, value in ARRAYS.items() if name != "behavior_scale"}


def printed(label, setting, regret, slow=True):
    return Case(
        label,
        setting,
        {"regret": digits(regret), "kl_to_reference": np.full(5, 1.21313)},
        rtol=1e-5,
        atol=6e-7,
        slow=slow,
    )


VANILLA = {"sampler": "vanilla", "prompt_weighting": "none"}
BEST = {"sampler": "best_of_n", "prompt_weighting": "none"}
CASES = [
    printed("printed", {}, ".003224 .002045 .001528 .001228 .001031", slow=False),
    printed("printed vanilla", VANILLA, ".003224 .002286 .001794 .001484 .001270"),
    printed("printed best of n", BEST, ".003224 .001713 .001200 .000931 .000764"),
    printed("printed, new pairs", {"replay": "new"}, ".003224" + 4 * " .006771"),
    printed("printed vanilla, new", VANILLA | {"replay": "new"}, ".003224" + 4 * " .009409"),
    printed("printed best, new", BEST | {"replay": "new"}, ".003224" + 4 * " .004417"),
    Case("small", POINT, rtol=1e-9, program=reference.iterated),
    Case(
        "own arrays, best of three, importance",
        OWN | {"sampler": "best_of_n", "num_candidates": 3, "prompt_weighting": "importance"},
        rtol=1e-9,
        program=reference.iterated,
    ),
    Case(
        "own arrays, new pairs, importance",
        OWN | {"prompt_weighting": "importance", "replay": "new", "num_rounds": 2},
        rtol=1e-9,
        program=reference.iterated,
        slow=True,
    ),
]


MUTANTS = [
    Mutant("first round for all", after=lambda p, o: {
        "regret": o["regret"][0] / np.arange(1, p.num_rounds + 1)
    }),
    Mutant("nothing is kept", at=lambda p: {"replay": "new"}),
    Mutant("pairs in all", after=times(lambda p, o: p.num_rounds, "regret")),
    Mutant("no half", after=times(2, "regret")),
    Mutant("one round late", after=lambda p, o: {"regret": np.roll(o["regret"], 1)}),
    Mutant("divergence times β", after=lambda p, o: {
        "kl_to_reference": p.kl_regularization * o["kl_to_reference"]
    }),
    Mutant("half the penalty", at=lambda p: {"kl_regularization": p.kl_regularization / 2}),
    Mutant("value for regret", after=times(
        lambda p, o: 1 / p.kl_regularization, "regret")),
]  # fmt: skip

TESTS = Tests(cases=CASES, mutants=MUTANTS, cells={"small": POINT})
