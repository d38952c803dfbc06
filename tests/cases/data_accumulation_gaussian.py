"""``data-accumulation.gaussian``: printed rows, an independent program, and its mistakes."""

from functools import partial

from tests.cases import Case, Mutant, Tests
from tests.references import data_accumulation_models as reference

CASES = [
    Case(label, params, rtol=2e-8, atol=2e-10, program=reference.gaussian, slow=slow)
    for label, params, slow in (
        ("replace", {"num_samples": 50, "num_samples_synthetic": 50, "num_generations": 20}, False),
        (
            "replace, growing",
            {"num_samples": 23, "num_samples_synthetic": 9, "sample_growth": 0.8,
             "num_generations": 6, "estimator": "unbiased"},
            False,
        ),
        (
            "replace in three dimensions",
            {"dim": 3, "num_samples": 40, "num_samples_synthetic": 30, "num_generations": 5,
             "estimator": "unbiased"},
            False,
        ),
        (
            "accumulate",
            {"num_samples": 21, "num_samples_synthetic": 14, "synthetic_weight": 0.7,
             "sample_growth": 0.3, "num_generations": 6, "policy": "accumulate"},
            False,
        ),
        (
            "accumulate, unbiased, two dimensions",
            {"dim": 2, "num_samples": 21, "num_samples_synthetic": 14, "synthetic_weight": 1.6,
             "num_generations": 5, "policy": "accumulate", "estimator": "unbiased"},
            False,
        ),
        (
            "one synthetic row at a time",
            {"num_samples": 5, "num_samples_synthetic": 1, "num_generations": 8,
             "policy": "accumulate"},
            True,
        ),
        (
            "subset",
            {"num_samples": 20, "num_samples_synthetic": 14, "num_samples_budget": 27,
             "num_generations": 7, "policy": "accumulate_subsample"},
            False,
        ),
        (
            "small subset, unbiased",
            {"dim": 2, "num_samples": 20, "num_samples_synthetic": 31, "num_samples_budget": 9,
             "num_generations": 9, "policy": "accumulate_subsample", "estimator": "unbiased"},
            False,
        ),
        (
            "kept",
            {"num_samples": 30, "num_samples_synthetic": 20, "synthetic_weight": 0.5,
             "sample_growth": 0.4, "num_generations": 5, "policy": "keep_real"},
            False,
        ),
        (
            "fresh",
            {"dim": 2, "num_samples": 26, "num_samples_synthetic": 40, "synthetic_weight": 1.4,
             "num_generations": 5, "policy": "fresh_mix", "estimator": "unbiased"},
            False,
        ),
        (
            "no weight",
            {"num_samples": 12, "num_samples_synthetic": 7, "synthetic_weight": 0.0,
             "num_generations": 3, "policy": "keep_real"},
            True,
        ),
        (
            "blocks too small for a second generation",
            {"dim": 3, "num_samples": 12, "num_samples_synthetic": 2, "num_generations": 1},
            False,
        ),
        (
            "one generation",
            {"dim": 3, "num_samples": 12, "num_generations": 1, "policy": "fresh_mix"},
            True,
        ),
    )
]  # fmt: skip


def _row(label, params, expected, monte_carlo):
    """Values and Monte-Carlo of the last generation are compared in the tests of the paper."""
    return label, params, expected, monte_carlo


#: Digits as printed, and an independent Monte-Carlo of the literal model (last generation).
ROWS = [
    _row(
        "replace",
        {"num_samples": 50, "num_samples_synthetic": 50, "num_generations": 20},
        {"mean_error": 0.3323920282, "log_determinant": -0.8149935703,
         "kl_divergence": 0.4074967851, "frechet_distance": 0.5243680027,
         "trace_std": 0.7391413418},
        {"mean_error": (0.33088, 0.0039), "log_determinant": (-0.81986, 0.0064),
         "kl_divergence": (0.40415, 0.0026), "frechet_distance": (0.51929, 0.0042)},
    ),
    _row(
        "replace, unbiased",
        {"dim": 3, "num_samples": 40, "num_samples_synthetic": 40, "num_generations": 5,
         "estimator": "unbiased"},
        {"trace_ratio": 1.0, "trace_std": 0.3220203332, "log_determinant": -0.7914817531,
         "kl_divergence": 0.5832408765, "frechet_distance": 0.75},
        {"trace_ratio": (0.99866, 0.0036), "trace_std": (0.3181, 0.0036),
         "log_determinant": (-0.79891, 0.010), "kl_divergence": (0.58570, 0.0032),
         "frechet_distance": (0.7486, 0.0047)},
    ),
    _row(
        "accumulate",
        {"num_samples": 20, "num_samples_synthetic": 20, "policy": "accumulate"},
        {"trace_ratio": 0.9241462361, "trace_std": 0.3769584283,
         "log_determinant": -0.1588634820, "frechet_distance": 0.1150222430},
        {"trace_ratio": (0.92299, 0.0027), "trace_std": (0.37637, 0.0027),
         "log_determinant": (-0.16021, 0.0029), "frechet_distance": (0.11590, 0.0009)},
    ),
    _row(
        "subset",
        {"num_samples": 20, "num_samples_synthetic": 20, "num_samples_budget": 20,
         "num_generations": 8, "policy": "accumulate_subsample"},
        {"mean_error": 0.1232294496, "trace_ratio": 0.8767705504, "kl_divergence": 0.1392968454},
        {"mean_error": (0.12421, 0.0013), "trace_ratio": (0.88202, 0.0034)},
    ),
    _row(
        "kept",
        {"num_samples": 30, "num_samples_synthetic": 30, "synthetic_weight": 0.5,
         "num_generations": 5, "policy": "keep_real"},
        {"mean_error": 0.03734386452, "kl_divergence": 0.03867642684,
         "log_determinant": -0.07735285367},
        {"mean_error": (0.037472, 0.0004), "kl_divergence": (0.038644, 0.0003),
         "log_determinant": (-0.07484, 0.0020)},
    ),
]  # fmt: skip

OUTPUTS = ("mean_error", "trace_ratio", "trace_std", "log_determinant", "kl_divergence",
           "frechet_distance")  # fmt: skip


def _program(params, outputs, wrong=None):
    given = {name: getattr(params, name) for name in params.declarations}
    found = reference.gaussian(wrong, **given)
    return {name: found[name] for name in OUTPUTS}


def _mistake(wrong, cells=None):
    return Mutant(
        wrong,
        after=partial(_program, wrong=wrong),
        control=_program,
        cells=cells,
        slow=cells is not None,
    )


SMALL = {"num_samples": 9, "num_samples_synthetic": 7, "sample_growth": 0.3, "num_generations": 4}
#: Exact at their sizes: few replicates tell a mutant.
CELLS = {
    "accumulate": SMALL | {"num_samples": 5, "policy": "accumulate", "synthetic_weight": 1.7},
    "replace": SMALL,
    "unbiased": SMALL
    | {"num_samples": 6, "policy": "accumulate", "synthetic_weight": 2.0, "estimator": "unbiased",
       "num_samples_synthetic": 3},
}  # fmt: skip
SUBSET = {"num_samples": 32, "num_samples_synthetic": 160, "num_samples_budget": 80,
          "num_generations": 3, "policy": "accumulate_subsample"}  # fmt: skip

MUTANTS = [
    _mistake("T degrees of freedom"),
    _mistake("share 1/N"),
    _mistake("rows of constant spread"),
    _mistake("log det of the mean"),
    _mistake("root of the mean"),
    _mistake("rank-one term dropped"),
    _mistake("squared weights with b for b^2"),
    _mistake("no finite-population factor", [SUBSET]),
    Mutant("blocks of the real rows' size", at=lambda p: {"num_samples_synthetic": p.num_samples}),
    Mutant("real rows of the blocks' size", at=lambda p: {"num_samples": p.num_samples_synthetic}),
    Mutant("no growth", at=lambda p: {"sample_growth": 0.0}),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells=CELLS,
    ends={"kept": CASES[8].params},
    expected={
        "jumps": {"sample_growth": "sizes are rounded"},
        "no slope at ends": {"sample_growth": "sizes are rounded"},
    },
)
