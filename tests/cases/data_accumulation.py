"""``data-accumulation``: printed rows, an independent program, and its mistakes."""

from functools import partial

from tests.cases import Case, Mutant, Tests
from tests.references import data_accumulation as reference

GENERIC = {
    "dim": 12,
    "num_samples": 19,
    "num_samples_synthetic": 16,
    "num_samples_budget": 22,
    "sample_growth": 0.5,
    "num_generations": 5,
    "noise_std": 0.6,
    "noise_std_synthetic": 0.4,
    "signal_variance": 1.7,
}
WIDE = {"dim": 40, "num_samples": 8, "num_samples_synthetic": 5, "sample_growth": 0.3}
RIDGE = {"ridge": 0.1, "synthetic_weight": 0.7}
SAME = {"design": "same", "num_samples_synthetic": 19, "sample_growth": 0.0}

CASES = [
    Case(
        label, GENERIC | params, rtol=1e-9, program=reference.linear,
        slow=label.startswith("slow"),
    )
    for label, params in {
        "replace": {"policy": "replace"},
        "replace through the threshold": {"policy": "replace", "num_samples": 7,
                                          "num_samples_synthetic": 5, "sample_growth": 1.0,
                                          "num_generations": 3},
        "replace, ridge": {"policy": "replace", "ridge": 0.1, "num_samples": 9},
        "accumulate": {},
        "accumulate, weighted": {"synthetic_weight": 0.4},
        "accumulate, few rows": WIDE | {"synthetic_weight": 2.0},
        "accumulate, ridge": RIDGE | {"num_samples": 9},
        "accumulate, no weight": {"synthetic_weight": 0.0, "num_samples": 6},
        "slow: accumulate meets the threshold": {"num_samples": 4, "num_samples_synthetic": 7,
                                                 "sample_growth": 0.0},
        "fresh": {"policy": "fresh_mix"},
        "fresh, weighted": {"policy": "fresh_mix", "synthetic_weight": 0.4},
        "fresh, few rows": WIDE | {"policy": "fresh_mix", "synthetic_weight": 0.4},
        "fresh, ridge": RIDGE | {"policy": "fresh_mix", "num_samples": 9},
        "slow: fresh, no weight": {"policy": "fresh_mix", "synthetic_weight": 0.0,
                                   "num_samples": 6},
        "slow: fresh, at the threshold": {"policy": "fresh_mix", "num_samples": 6,
                                          "num_samples_synthetic": 7},
        "kept": {"policy": "keep_real", "synthetic_weight": 0.8},
        "kept, few rows": WIDE | {"policy": "keep_real"},
        "kept, ridge": RIDGE | {"policy": "keep_real", "num_samples": 9},
        "kept through the threshold": {"policy": "keep_real", "dim": 30, "num_samples": 8,
                                       "num_samples_synthetic": 7, "sample_growth": 1.3},
        "subset": {"policy": "accumulate_subsample"},
        "slow: large subset": {"policy": "accumulate_subsample", "num_samples_budget": 60},
        "same design, replace": SAME | {"policy": "replace"},
        "same design, accumulate": SAME | {"synthetic_weight": 0.6},
        "same design, fresh": SAME | {"policy": "fresh_mix", "synthetic_weight": 0.6},
        "same design, kept": SAME | {"policy": "keep_real", "synthetic_weight": 0.6},
        "same design, replace, ridge": SAME | {"policy": "replace", "ridge": 0.1},
        "same design, accumulate, ridge": SAME | RIDGE,
        "same design, fresh, ridge": SAME | RIDGE | {"policy": "fresh_mix"},
        "same design, kept, ridge": SAME | RIDGE | {"policy": "keep_real"},
        # The eigenvalues then come down to 0.
        "same design, as many rows as features": SAME | RIDGE | {
            "policy": "fresh_mix", "num_samples": 12, "num_samples_synthetic": 12},
        "kept, as many rows as features": RIDGE | {"policy": "keep_real", "num_samples": 12},
        "slow: same design, few rows": SAME | {"dim": 30, "synthetic_weight": 0.6},
        "slow: one generation": {"policy": "keep_real", "num_generations": 1},
        "slow: no noise": {"noise_std": 0.0, "noise_std_synthetic": 0.0, "policy": "fresh_mix"},
        "slow: nothing is lost": {"dim": 7, "num_samples": 7, "noise_std": 0.0, "policy": "replace",
                                  "noise_std_synthetic": 0.0},
        "slow: exact labels of models": {"noise_std_synthetic": 0.0, "policy": "fresh_mix"},
    }.items()
]  # fmt: skip

#: Digits as printed, and an independent Monte-Carlo of the literal model (last generation).
ROWS = [
    ("accumulate",
     {"dim": 10, "num_samples": 25, "num_samples_synthetic": 15, "num_generations": 5},
     {"test_error": 0.2414366299, "synthetic_variance": 0.06286520132, "variance": 0.1785714286},
     {"test_error": (0.23880, 0.0016), "synthetic_variance": (0.06225, 0.0005),
      "variance": (0.17655, 0.0015)}),
    ("accumulate through the threshold",
     {"dim": 20, "num_samples": 8, "num_samples_synthetic": 8, "num_generations": 4},
     {"test_error": 2.117676768, "bias": 0.6}, {"test_error": (2.1248, 0.021)}),
    ("replace",
     {"dim": 10, "num_samples": 20, "num_samples_synthetic": 16, "sample_growth": 1.0,
      "num_generations": 5, "policy": "replace"},
     {"test_error": 1.011562776}, {"test_error": (1.0014, 0.0093)}),
    ("fresh",
     {"dim": 15, "num_samples": 20, "num_samples_synthetic": 12, "num_generations": 5,
      "policy": "fresh_mix"},
     {"test_error": 0.3757254650, "synthetic_variance": 0.1350000821},
     {"test_error": (0.38168, 0.0026), "synthetic_variance": (0.13752, 0.0014)}),
    ("same design",
     {"dim": 8, "num_samples": 20, "num_samples_synthetic": 20, "synthetic_weight": 0.5,
      "num_generations": 5, "design": "same"},
     {"test_error": 0.2257070707, "synthetic_variance": 0.04388888889},
     {"test_error": (0.23032, 0.0020), "synthetic_variance": (0.04398, 0.0005)}),
    ("kept, few rows",
     {"dim": 25, "num_samples": 6, "num_samples_synthetic": 8, "num_generations": 4,
      "policy": "keep_real"},
     {"test_error": 1.163000923, "synthetic_variance": 0.3196675900},
     {"test_error": (1.17165, 0.0039), "synthetic_variance": (0.32573, 0.0033)}),
    ("subset",
     {"dim": 3, "num_samples": 120, "num_samples_synthetic": 120, "num_samples_budget": 120,
      "num_generations": 6, "policy": "accumulate_subsample"},
     {"test_error": 0.01600043312}, {"test_error": (0.016184, 0.00015)}),
    ("kept",
     {"dim": 40, "num_samples": 80, "num_samples_synthetic": 60, "num_generations": 5,
      "policy": "keep_real"},
     {"test_error": 0.3298045680, "synthetic_variance": 0.07339431156},
     {"test_error": (0.32541, 0.0039), "synthetic_variance": (0.07460, 0.0011)}),
    ("accumulate, ridge",
     {"dim": 40, "num_samples": 30, "num_samples_synthetic": 50, "ridge": 0.1,
      "synthetic_weight": 0.5, "num_generations": 4},
     {"test_error": 0.6906660273, "bias": 0.2934782609, "synthetic_variance": 0.1254486360},
     {"test_error": (0.69256, 0.0061), "bias": (0.29159, 0.0040),
      "synthetic_variance": (0.12533, 0.0018)}),
    ("fresh, ridge",
     {"dim": 40, "num_samples": 60, "num_samples_synthetic": 90, "ridge": 0.1,
      "synthetic_weight": 0.7, "signal_variance": 2.0, "num_generations": 4,
      "policy": "fresh_mix"},
     {"test_error": 0.1652166419, "bias": 0.04484886241},
     {"test_error": (0.16703, 0.0011), "bias": (0.04622, 0.0005)}),
]  # fmt: skip

OUTPUTS = ("test_error", "bias", "variance", "synthetic_variance")

_RIDGED = {"dim": 24, "num_samples": 16, "num_samples_synthetic": 48, "ridge": 0.2,
           "num_generations": 3, "synthetic_weight": 0.5, "noise_std": 0.3,
           "noise_std_synthetic": 0.9, "signal_variance": 1.3}  # fmt: skip
#: Exact at their sizes: few replicates tell a mutant.
CELLS = {
    "accumulate": GENERIC | {"dim": 6, "noise_std_synthetic": 0.9, "num_generations": 4},
    "fresh": GENERIC
    | {"dim": 4, "num_samples": 12, "num_samples_synthetic": 15, "num_generations": 4,
       "policy": "fresh_mix", "noise_std": 0.9},
    "few rows": WIDE | {"num_generations": 3, "noise_std_synthetic": 1.2},
    "same design": {"dim": 6, "num_samples": 17, "num_samples_synthetic": 17,
                    "synthetic_weight": 0.4, "num_generations": 3, "design": "same"},
}  # fmt: skip
#: Equivalents, extrapolated over sizes.
LADDERS = {
    "ridge": _RIDGED,
    "subset": {"dim": 2, "num_samples": 60, "num_samples_synthetic": 180, "num_samples_budget": 60,
               "num_generations": 6, "policy": "accumulate_subsample",
               "noise_std_synthetic": 1.0},
}  # fmt: skip


def _program(params, outputs, wrong=None):
    given = {name: getattr(params, name) for name in params.declarations}
    found = reference.linear(wrong, **given)
    return {name: found[name] for name in OUTPUTS}


def _mistake(wrong, ladder=None):
    return Mutant(
        wrong,
        after=partial(_program, wrong=wrong),
        control=_program,
        cells=ladder and [LADDERS[ladder]],
        slow=ladder is not None,
    )


MUTANTS = [
    _mistake("N - d"),
    _mistake("sum of 1/i^2"),
    _mistake("share dropped"),
    _mistake("noises exchanged"),
    _mistake("multiplier is a squared share"),
    _mistake("b for b^2"),
    Mutant(
        "bias decays as with fresh rows", at=lambda p: {"policy": "fresh_mix"}, outputs=("bias",)
    ),
    Mutant("real rows redrawn", at=lambda p: {"policy": "keep_real"}),
    Mutant("no growth", at=lambda p: {"sample_growth": 0.0}),
    _mistake("penalty per row", "ridge"),
    _mistake("pool without its variance", "subset"),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells=CELLS,
    ends={
        "ridge": _RIDGED,
        "kept": _RIDGED | {"policy": "keep_real"},
        "fresh": _RIDGED | {"policy": "fresh_mix"},
    },
    expected={
        "jumps": {
            "sample_growth": "sizes are rounded",
            "synthetic_weight": "exact for equal weights without penalty, an equivalent beside",
        },
        "no slope at ends": {
            "sample_growth": "sizes are rounded",
            "ridge": "exact without a penalty, an equivalent with one",
            "synthetic_weight": "rows of weight 0 are absent: of the fit of smallest norm, too",
        },
    },
)
