"""``pilaf.alignment``: the printed table, gradients response by response, and wrong gradients."""

import numpy as np

from tests.cases import Case, Mutant, Tests, times
from tests.cases.pilaf import ARRAYS, SMALL
from tests.references import pilaf as reference

#: At (policy_scale, offset) = (0.5, 0.1): cosine, residual, projection and its Monte-Carlo mean and
#: error; at (1.0, 0.01): cosine, residual.
PRINTED = """
pilaf           0.99887772 0.28836773 0.11589672 0.11607 .00022 0.99999954 0.0014151531
vanilla         0.99217241 0.40661756 0.09751938 0.09757 .00021 0.99985719 0.020378501
best_of_n       0.99202519 0.23240867 0.19128477 0.19099 .00025 0.97166980 0.34253898
pilaf_practical 0.99780026 0.32581585 0.10999849 0.11004 .00022 0.99998071 0.075681944
hybrid          0.97597562 0.28550586 0.12545134 0.12527 .00022 0.98656374 0.70920111
uniform         0.83584869 0.64250575 0.06814446 0.06817 .00019 0.98246684 3.2059412
"""


def printed():
    for line in PRINTED.strip().splitlines():
        sampler, *numbers = line.split()
        cosine, residual, projection, mean, error, near_cosine, near_residual = map(float, numbers)
        setting = {
            "sampler": sampler,
            "prompt_weighting": "tilt" if sampler == "pilaf" else "none",
        }
        slow = sampler not in ("pilaf",)
        yield Case(
            f"printed {sampler}",
            setting,
            {
                "gradient_cosine": cosine,
                "alignment_residual": residual,
                "gradient_projection": projection,
            },
            rtol=6e-8,
            monte_carlo={"gradient_projection": (mean, error)},
            slow=slow,
        )
        yield Case(
            f"printed {sampler} near the optimum",
            setting | {"policy_scale": 1.0, "offset": 0.01},
            {"gradient_cosine": near_cosine, "alignment_residual": near_residual},
            rtol=5e-8,
            slow=slow,
        )


POINT = {name: value for name, value in SMALL.items() if name != "behavior_scale"}
POINT |= {"policy_scale": 0.4, "offset": -0.3, "num_preferences": 300}
OWN = {name: value for name, value in ARRAYS.items() if name != "behavior_scale"}

CASES = [
    *printed(),
    *(
        Case(
            f"offset {offset}",
            {"policy_scale": 1.0, "offset": offset},
            {"alignment_residual": residual},
            rtol=0,
            atol=5.1e-7,
        )
        for offset, residual in (
            (0.1, 0.014249),
            (0.05, 0.007128),
            (0.025, 0.003551),
            (0.0125, 0.001770),
        )
    ),
    Case("small", POINT, rtol=1e-9, program=reference.alignment),
    Case(
        "own arrays, hybrid pairs, importance",
        OWN | {"sampler": "hybrid", "prompt_weighting": "importance", "policy_scale": -0.2},
        rtol=1e-9,
        program=reference.alignment,
    ),
]


MUTANTS = [
    Mutant("both orders of a pair", after=times(2, "gradient_projection")),
    Mutant("other direction", after=times(-1, "gradient_projection")),
    Mutant("times the value's gradient", after=times(
        lambda p, o: o["objective_gradient_norm"], "gradient_projection")),
    Mutant("as if T-PILAF were exact", after=lambda p, o: {
        "gradient_projection": np.asarray(p.kl_regularization) * o["objective_gradient_norm"]
        / o["mean_partition"]
    }, control={"sampler": "pilaf", "policy_scale": 1.0, "offset": 1e-11}),
    Mutant("no partition", after=times(
        lambda p, o: o["mean_partition"], "gradient_projection")),
    Mutant("offset in every coordinate", at=lambda p: {"offset": p.offset * np.sqrt(p.dim)}),
    Mutant("the rest of the way", at=lambda p: {"policy_scale": 1 - p.policy_scale}),
    Mutant("half the penalty", at=lambda p: {"kl_regularization": p.kl_regularization / 2}),
    Mutant("pairs of one policy", at=lambda p: {"sampler": "vanilla"},
           cells=[POINT | {"reward_scale": 2.0, "policy_scale": 0.7}]),
]  # fmt: skip

TESTS = Tests(cases=CASES, mutants=MUTANTS, cells={"small": POINT})
