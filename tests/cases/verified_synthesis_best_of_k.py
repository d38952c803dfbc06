"""``verified-synthesis.best-of-k``: printed values, SciPy's integral, and wrong selections."""

from scipy.stats import norm

from tests.cases import Case, Mutant, Tests
from tests.references import verified_synthesis as reference


def point(p, k, gap):
    return {"generator_accuracy": p, "num_candidates": k, "score_gap": gap, "num_prompts": 500}


CASES = [
    Case("four", point(0.6, 4, 1.0), {"kept_label_accuracy": 0.81453809}, rtol=0, atol=5.1e-9,
         monte_carlo={"kept_label_accuracy": (0.81455, 0.00049)}),
    Case("sixteen", point(0.3, 16, 2.0), {"kept_label_accuracy": 0.93217598}, rtol=0, atol=5.1e-9,
         monte_carlo={"kept_label_accuracy": (0.93246, 0.00022)}),
    Case("a single one", point(0.5, 1, 0.7), {"kept_label_accuracy": 0.5}, rtol=1e-13),
    Case("a verifier that knows nothing", point(0.37, 7, 0.0), {"kept_label_accuracy": 0.37},
         rtol=1e-13),
    Case("a verifier that knows all", point(0.2, 5, 40.0), {"kept_label_accuracy": 1 - 0.8**5},
         rtol=1e-12),
    Case("generic", point(0.43, 6, 0.9), rtol=1e-11, program=reference.best_of_k),
    Case("many candidates", point(0.02, 900, 3.0), rtol=1e-10, program=reference.best_of_k),
    Case("a million", point(0.37, 10**6, 0.7), rtol=1e-13, program=reference.best_of_many),
    Case("more than can be counted in float64", point(1e-6, 2**62, 0.4), rtol=1e-13,
         program=reference.best_of_many),
    Case("always wrong", point(0.0, 4, 1.0), {"kept_label_accuracy": 0.0}),
    Case("always right", point(1.0, 4, 1.0), {"kept_label_accuracy": 1.0}, rtol=1e-12),
]  # fmt: skip


def accuracy(of):
    return lambda p, o: {
        "kept_label_accuracy": of(
            float(p.generator_accuracy), int(p.num_candidates), float(p.score_gap)
        )
    }


CONTROL = accuracy(lambda p, k, g: reference.best_of_k(p, k, g, 1)["kept_label_accuracy"])
MUTANTS = [
    Mutant("one candidate more", at=lambda p: {"num_candidates": p.num_candidates + 1}, slow=True),
    Mutant("no selection", after=accuracy(lambda p, k, g: p), control=CONTROL),
    Mutant("a perfect verifier", after=accuracy(lambda p, k, g: 1 - (1 - p) ** k),
           control=CONTROL),
    Mutant("gap in variances", at=lambda p: {"score_gap": p.score_gap**2 / 2}),
    Mutant("two candidates only", at=lambda p: {"num_candidates": 2}),
    Mutant("p is the error", at=lambda p: {"generator_accuracy": 1 - p.generator_accuracy}),
    Mutant("gap of the difference of two scores, pairwise",
           after=accuracy(lambda p, k, g: p * norm.cdf(g / 2**0.5) ** (k - 1)), control=CONTROL),
]  # fmt: skip

TESTS = Tests(cases=CASES, mutants=MUTANTS)
