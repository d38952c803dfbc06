"""``pilaf.online``: the printed recursions, the loop in NumPy, and wrong recursions."""

from tests.cases import Case, Mutant, Tests, times
from tests.cases.pilaf import ARRAYS, SMALL
from tests.references import pilaf as reference

POINT = {n: v for n, v in SMALL.items() if n not in ("behavior_scale", "num_preferences")}
POINT |= {"num_steps": 4, "batch_size": 2000, "learning_rate": 1.5}
OWN = {name: value for name, value in ARRAYS.items() if name != "behavior_scale"}

CASES = [
    Case("printed", {}, {"online_regret": 0.0044931243}, rtol=2e-8),
    Case(
        "printed vanilla",
        {"sampler": "vanilla", "prompt_weighting": "none"},
        {"online_regret": 0.010342815},
        rtol=5e-8,
        slow=True,
    ),
    Case(
        "printed best of n, which begins with a tie",
        {"sampler": "best_of_n", "prompt_weighting": "none"},
        {"online_regret": 0.0022873198},
        rtol=5e-8,
        monte_carlo={"online_regret": (0.00232, 0.00004)},
    ),
    Case("small", POINT, rtol=1e-9, program=reference.online),
    Case(
        "own arrays, hybrid pairs, importance",
        OWN | {"sampler": "hybrid", "prompt_weighting": "importance", "num_steps": 3},
        rtol=1e-9,
        program=reference.online,
    ),
]


MUTANTS = [
    Mutant("divergence for regret", after=times(
        lambda p, o: 1 / p.kl_regularization, "online_regret")),
    Mutant("half the step", at=lambda p: {"learning_rate": p.learning_rate / 2}),
    Mutant("one step too many", at=lambda p: {"num_steps": p.num_steps + 1}),
    Mutant("half the penalty", at=lambda p: {"kl_regularization": p.kl_regularization / 2}),
    Mutant("steps by the value's scale",
           at=lambda p: {"learning_rate": p.learning_rate * p.kl_regularization}),
    Mutant("rewards of unit size", at=lambda p: {"reward_scale": 1.0}),
    Mutant("best pairs of eight", at=lambda p: {"sampler": "best_of_n"}),
]  # fmt: skip

TESTS = Tests(cases=CASES, mutants=MUTANTS, cells={"small": POINT})
