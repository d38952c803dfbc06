"""``jailbreaking.attack``: printed rows, SciPy's normal law, and wrong attacks."""

import numpy as np
from scipy import special, stats

from tests.cases import Case, Mutant, Tests
from tests.references import jailbreaking as reference

POINT = {
    "harmful_logit": 0.6,
    "safe_prompt_logit": 0.1,
    "reward_gap": 0.7,
    "kl_regularization": 0.6,
    "query_spread": 0.8,
    "num_attempts": 2,
    "harm_threshold": 0.4,
}
CASES = [
    Case(
        "printed",
        {},
        {
            "attack_success_rate_rlhf": 0.852341268,
            "attack_success_rate_erlhf": 0.00063323429,
            "kl_regularization_for_half_success": 0.211137708,
        },
        rtol=6e-9,
        monte_carlo={
            "attack_success_rate_rlhf": (0.85257, 0.00056),
            "attack_success_rate_erlhf": (0.00065, 0.00004),
        },
    ),
    Case(
        "printed, one attempt",
        {"num_attempts": 1},
        {
            "attack_success_rate_base": 0.90878878,
            "attack_success_rate_rlhf": 0.0912112197,
            "kl_regularization_for_half_success": 0.5,
        },
        rtol=6e-9,
        monte_carlo={
            "attack_success_rate_base": (0.90894, 0.00045),
            "attack_success_rate_rlhf": (0.09204, 0.00046),
        },
    ),
    Case("small", POINT, rtol=1e-10, program=reference.attack),
    Case(
        "many attempts on a safe model",
        POINT | {"num_attempts": 10**6, "kl_regularization": 0.1, "safe_prompt_logit": -3.0},
        rtol=1e-8,
        program=reference.attack,
    ),
    Case("never one half", POINT | {"harmful_logit": -2.0}, rtol=1e-10, program=reference.attack),
    Case(
        "no gap, above one half",
        POINT | {"reward_gap": 0.0},
        {"kl_regularization_for_half_success": 0.0},
    ),
    Case(
        "no gap, below one half",
        POINT | {"reward_gap": 0.0, "harmful_logit": -2.0},
        {"kl_regularization_for_half_success": np.inf},
    ),
]


def anew(pull=lambda p: p.reward_gap / p.kl_regularization, spread=lambda p: p.query_spread,
         attempts=lambda p: p.num_attempts, edge=special.logit):  # fmt: skip
    """The three rates from SciPy, with one mistake."""

    def after(p, o):
        centres = {
            "base": p.harmful_logit,
            "rlhf": p.harmful_logit - pull(p),
            "erlhf": p.safe_prompt_logit - pull(p),
        }
        z, scale = edge(p.harm_threshold), spread(p)
        return {
            f"attack_success_rate_{name}": 1 - stats.norm.cdf((z - mu) / scale) ** attempts(p)
            for name, mu in centres.items()
        }

    return after


MUTANTS = [
    Mutant("penalty times gap", after=anew(pull=lambda p: p.reward_gap * p.kl_regularization),
           control=anew()),
    Mutant("no gap", after=anew(pull=lambda p: 0.0), control=anew()),
    Mutant("variance for deviation", after=anew(spread=lambda p: p.query_spread**2),
           control=anew()),
    Mutant("one attempt", after=anew(attempts=lambda p: 1), control=anew()),
    Mutant("one attempt too many", after=anew(attempts=lambda p: p.num_attempts + 1),
           control=anew()),
    Mutant("mass for log-odds", after=anew(edge=lambda p: p), control=anew()),
    Mutant("attempts add", after=lambda p, o: {
        f"attack_success_rate_{name}": p.num_attempts
        * (1 - (1 - o[f"attack_success_rate_{name}"]) ** (1 / p.num_attempts))
        for name in ("base", "rlhf", "erlhf")
    }),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"small": POINT, "one half is reached": POINT | {"harmful_logit": 1.4}},
)
