"""``data-accumulation.tokens``: printed rows, whole laws of counts, and wrong recursions."""

from functools import partial

from tests.cases import Case, Mutant, Tests
from tests.references import data_accumulation_models as reference

SMALL = {
    "num_tokens": 40,
    "zipf_exponent": 1.3,
    "num_samples": 31,
    "num_samples_synthetic": 23,
    "num_samples_budget": 27,
    "sample_growth": 0.4,
    "synthetic_weight": 0.6,
    "num_generations": 4,
}
POISSON = {"sampling": "poisson"}

CASES = [
    Case(
        label, SMALL | params, rtol=2e-9, atol=1e-10, program=reference.tokens,
        slow=label.startswith("slow"),
    )
    for label, params in {
        "replace": POISSON | {"policy": "replace"},
        "slow: accumulate": POISSON | {"policy": "accumulate"},
        "subset": POISSON | {"policy": "accumulate_subsample"},
        "fresh": POISSON | {"policy": "fresh_mix"},
        "light synthetic rows": POISSON | {"policy": "fresh_mix", "synthetic_weight": 0.01},
        "slow: kept": POISSON | {"policy": "keep_real"},
        "multinomial": {"policy": "replace"},
        "slow: multinomial subset": {"policy": "accumulate_subsample"},
        "slow: multinomial, kept": {"policy": "keep_real"},
        "slow: multinomial, fresh": {"policy": "fresh_mix"},
        "slow: multinomial, accumulate": {"policy": "accumulate"},
        "slow: a subset of everything": POISSON
        | {"policy": "accumulate_subsample", "num_samples_budget": 10_000},
        "slow: a heavy synthetic row": POISSON | {"policy": "fresh_mix", "synthetic_weight": 2.5},
        "slow: no weight": POISSON | {"policy": "accumulate", "synthetic_weight": 0.0},
        "slow: one generation": POISSON | {"policy": "fresh_mix", "num_generations": 1},
        "slow: one token at a time": {"policy": "accumulate", "num_samples": 6,
                                      "num_samples_synthetic": 1, "sample_growth": 0.0,
                                      "synthetic_weight": 1.0, "num_generations": 9},
    }.items()
]  # fmt: skip

_TEXT = {"num_tokens": 100, "num_samples": 150, "num_samples_synthetic": 150, "num_generations": 5}
#: Digits as printed, and an independent Monte-Carlo of the literal model (last generation).
ROWS = [
    (
        "replace",
        _TEXT | POISSON,
        {"test_error": 0.1931732735, "num_distinct_tokens": 14.98120739,
         "squared_error": 0.03333333333, "entropy": 1.948260042},
        {"test_error": (0.19234, 0.0005), "num_distinct_tokens": (15.019, 0.044),
         "squared_error": (0.03374, 0.0004), "entropy": (1.9588, 0.0050)},
    ),
    (
        "accumulate",
        _TEXT | POISSON | {"policy": "accumulate"},
        {"test_error": 0.1054176036, "entropy": 2.226010958, "squared_error": 0.009757407407},
        {"test_error": (0.10499, 0.0003), "entropy": (2.2317, 0.0033),
         "squared_error": (0.009798, 0.0001)},
    ),
    (
        "subset",
        _TEXT | POISSON | {"policy": "accumulate_subsample", "num_samples_budget": 80},
        {"test_error": 0.1803523060, "num_distinct_tokens": 16.33086567,
         "entropy": 2.023976877, "squared_error": 0.02447662037},
        {"test_error": (0.18010, 0.0005), "num_distinct_tokens": (16.413, 0.044),
         "entropy": (2.0264, 0.0045), "squared_error": (0.02414, 0.0003)},
    ),
    (
        "fresh",
        _TEXT | {"num_samples": 60, "num_samples_synthetic": 60, "policy": "fresh_mix"},
        {"test_error": 0.1290579375, "squared_error": 0.008784666971, "entropy": 2.198156504},
        {"squared_error": (0.008630, 0.00008), "entropy": (2.1972, 0.0026)},
    ),
    (
        "kept",
        _TEXT | {"num_samples_synthetic": 100, "policy": "keep_real"},
        {"test_error": 0.1051416537, "squared_error": 0.006787889189, "entropy": 2.248208023},
        {"test_error": (0.10549, 0.0002), "squared_error": (0.006728, 0.00006),
         "entropy": (2.2447, 0.0024)},
    ),
]  # fmt: skip

OUTPUTS = ("test_error", "num_distinct_tokens", "simpson_index", "squared_error", "entropy")

CELLS = {
    "accumulate": SMALL | POISSON | {"policy": "accumulate", "synthetic_weight": 2.5,
                                     "num_samples": 15, "num_tokens": 30},
    "subset": SMALL | POISSON | {"policy": "accumulate_subsample", "num_tokens": 30,
                                 "num_samples_budget": 15},
    "replace": SMALL | POISSON | {"policy": "replace", "num_tokens": 30, "sample_growth": 1.0},
    "fresh": SMALL | POISSON | {"policy": "fresh_mix", "num_tokens": 30},
}  # fmt: skip


MULTINOMIAL = SMALL | {"policy": "accumulate", "num_samples": 12, "num_tokens": 30}


def _program(params, outputs, wrong=None):
    given = {name: getattr(params, name) for name in params.declarations}
    found = reference.tokens(wrong, **given)
    return {name: found[name] for name in OUTPUTS}


def _mistake(wrong, cells=None):
    return Mutant(
        wrong,
        after=partial(_program, wrong=wrong),
        control=_program,
        cells=cells,
        slow=cells is not None,
    )


MUTANTS = [
    _mistake("accumulate loses tokens"),
    _mistake("subsets never lose a token"),
    _mistake("thinned only at the end"),
    _mistake("no immigration"),
    _mistake("sizes in the wrong order"),
    _mistake("share 1/N"),
    _mistake("b missing in the exponents"),
    _mistake("entropy to first order"),
    _mistake("no sum of squares", [MULTINOMIAL]),
    Mutant("no growth", at=lambda p: {"sample_growth": 0.0}),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells=CELLS,
    expected={
        "jumps": {"sample_growth": "sizes are rounded"},
        "no slope at ends": {
            "sample_growth": "sizes are rounded",
            "synthetic_weight": "b log b in the entropy; any weight makes a token known",
        },
    },
)
