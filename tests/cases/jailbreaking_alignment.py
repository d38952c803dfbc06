"""``jailbreaking.alignment``: printed rows, sums response by response, and wrong policies."""

import numpy as np

from tests.cases import Case, Mutant, Tests, times
from tests.references import jailbreaking as reference

POINT = {
    "num_explanations": 4,
    "num_harmful": 2,
    "harmful_logit": 0.7,
    "safe_prompt_logit": -0.4,
    "reward_gap": 0.6,
    "kl_regularization": 0.8,
    "num_preferences": 1500,
}
CASES = [
    Case(
        "printed",
        {},
        {
            "harm_reference": 0.839856205,
            "harm_rlhf": 0.324373369,
            "harm_erlhf": 0.00871682324,
            "reward_rlhf": 0.732112948,
            "reward_erlhf": 1.10697066,
            "kl_rlhf": 0.727541504,
            "kl_erlhf": 0.120650168,
            "objective_rlhf": 0.368342196,
            "objective_erlhf": 1.04664558,
            "harm_std_dpo": 0.0344893384,
            "harm_std_edpo": 0.00135984337,
        },
        rtol=6e-9,
        monte_carlo={
            "harm_rlhf": (0.32342, 0.00056),
            "harm_erlhf": (0.00875, 0.000022),
            "harm_std_dpo": (0.03489, 0.0004),
            "harm_std_edpo": (0.001388, 0.000017),
        },
    ),
    Case(
        "printed, strong penalty",
        {"kl_regularization": 2.0},
        {
            "harm_rlhf": 0.742364256,
            "harm_erlhf": 0.0501299425,
            "harm_std_dpo": 0.00741174902,
            "harm_std_edpo": 0.00184526583,
        },
        rtol=6e-9,
        monte_carlo={
            "harm_std_dpo": (0.007427, 0.00008),
            "harm_std_edpo": (0.001841, 0.00002),
        },
    ),
    Case("small", POINT, rtol=1e-9, program=reference.alignment),
    Case(
        "small beta, large gap",
        POINT | {"kl_regularization": 0.05, "reward_gap": 4.0, "num_harmful": 1},
        rtol=1e-7,
        program=reference.alignment,
    ),
    Case(
        "labels that hardly ever tell",  # by mpmath, with 400 digits
        {"reward_gap": 100.0, "kl_regularization": 30.0},
        {"harm_std_dpo": 7.100102947004384e17},
        rtol=1e-9,
    ),
    # e^1000 is no number; e^-4000, the harm that is left, makes up for it.
    Case(
        "labels that never tell",
        {"reward_gap": 2000.0, "kl_regularization": 500.0},
        {"harm_std_dpo": np.inf, "harm_std_edpo": np.inf},
    ),
    Case(
        "labels that need not tell",
        {"reward_gap": 2000.0},
        {"harm_rlhf": 0.0, "harm_std_dpo": 0.0, "harm_std_edpo": 0.0},
    ),
    Case("no gap", POINT | {"reward_gap": 0.0}, rtol=1e-9, program=reference.alignment),
]


def exact_rewards(sign=1.0, power=1.0, varied=True):
    """Harmful masses from the tilt, with a mistake in it."""

    def after(p, o):
        found = {}
        for logit, name in (("harmful_logit", "rlhf"), ("safe_prompt_logit", "erlhf")):
            args = (p.num_explanations, p.num_harmful, getattr(p, logit), 0.0, p.reward_gap)
            (ref, _), rewards, harmful = reference.prompt(*args)
            rewards = rewards if varied else np.where(harmful, 0, p.reward_gap)
            policy = ref**power * np.exp(sign * rewards / p.kl_regularization)
            found[f"harm_{name}"] = policy[harmful].sum() / policy.sum()
        return found

    return after


STDS = ("harm_std_dpo", "harm_std_edpo")
MUTANTS = [
    Mutant("rewards constant on the groups", after=exact_rewards(varied=False),
           cells=[POINT | {"kl_regularization": 0.3}], control=exact_rewards()),
    Mutant("rewards with the wrong sign", after=exact_rewards(sign=-1), control=exact_rewards()),
    Mutant("half a penalty", after=exact_rewards(sign=2), control=exact_rewards()),
    Mutant("no reference", after=exact_rewards(power=0), control=exact_rewards()),
    Mutant("standard deviation of unordered counts", after=times(2**0.5, *STDS)),
    Mutant("penalty forgotten in the slope", after=times(lambda p, o: p.kl_regularization, *STDS)),
    Mutant("variance for deviation",
           after=times(lambda p, o: 1 / np.sqrt(p.num_preferences), *STDS)),
    Mutant("the two references exchanged", at=lambda p: {
        "harmful_logit": p.safe_prompt_logit, "safe_prompt_logit": p.harmful_logit
    }),
    Mutant("half the labels", at=lambda p: {"num_preferences": p.num_preferences // 2}),
    Mutant("one harmful explanation fewer", at=lambda p: {"num_harmful": p.num_harmful - 1}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"small": POINT},
    expected={"resolution": (0.1, "a standard deviation: finer is slow")},
)
