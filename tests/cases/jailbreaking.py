"""``jailbreaking``: the printed rows, incomplete beta functions, and wrong volumes."""

from scipy import special

from tests.cases import Case, Mutant, Tests
from tests.references import jailbreaking as reference

POINT = {
    "num_explanations": 9,
    "num_harmful": 4,
    "harm_threshold": 0.55,
    "attack_radius": 0.16,
    "concentration": 1.4,
    "dirichlet_harmful": 0.8,
    "dirichlet_safe": 1.3,
}
CASES = [
    Case(
        "printed",
        {},
        {
            "alignment_score": -0.153522062,
            "alignment_score_expanded": 0.841465375,
            "uniform_probability": 0.864185096,
            "normal_approximation": 0.82435712,
            "paper_normal_probability": 0.799956363,
            "jailbreak_lower_bound": 0.456740383,
            "paper_lower_bound": 0.199825451,
            "dirichlet_probability": 0.0463492957,
        },
        rtol=6e-9,
        monte_carlo={
            "uniform_probability": (0.86371, 0.00054),
            "jailbreak_lower_bound": (0.45718, 0.00079),
            "dirichlet_probability": (0.04644, 0.00033),
        },
    ),
    Case(
        "printed, no attack",
        {"attack_radius": 0.0, "concentration": 1.5},
        {
            "uniform_probability": 0.488374895,
            "jailbreak_lower_bound": 0.232562343,
            "dirichlet_probability": 0.00384476858,
        },
        rtol=6e-9,
        monte_carlo={
            "uniform_probability": (0.48792, 0.00079),
            "jailbreak_lower_bound": (0.2333, 0.0007),
            "dirichlet_probability": (0.00381, 0.0001),
        },
    ),
    Case(
        "printed, few explanations",
        {
            "num_explanations": 20,
            "num_harmful": 5,
            "harm_threshold": 0.5,
            "attack_radius": 0.3,
            "concentration": 1.1,
            "dirichlet_harmful": 0.2,
        },
        {
            "uniform_probability": 0.149996356,
            "jailbreak_lower_bound": 0.0649959915,
            "paper_lower_bound": 0.0232119497,
            "dirichlet_probability": 0.00156206949,
        },
        rtol=6e-9,
        monte_carlo={
            "uniform_probability": (0.15015, 0.00056),
            "jailbreak_lower_bound": (0.06511, 0.0004),
            "dirichlet_probability": (0.00147, 0.00006),
        },
    ),
    Case(
        "the normal value above the exact one",
        {"num_explanations": 100, "num_harmful": 1, "harm_threshold": 0.05, "attack_radius": 0.0},
        {"uniform_probability": 0.0062321, "normal_approximation": 0.0112253},
        rtol=1e-5,
    ),
    Case("tv", POINT | {"attack_norm": "tv"}, rtol=1e-9, program=reference.simplex),
    Case("l1", POINT, rtol=1e-9, program=reference.simplex),
    Case(
        "many explanations, rare",
        POINT | {"num_explanations": 3000, "num_harmful": 900, "harm_threshold": 0.42},
        rtol=1e-7,
        program=reference.simplex,
    ),
    Case(
        "small Dirichlet parameters",
        POINT | {"dirichlet_harmful": 0.01, "dirichlet_safe": 0.02, "attack_norm": "tv"},
        rtol=1e-8,
        program=reference.simplex,
    ),
    Case(
        "everything is within reach",
        POINT | {"attack_radius": 1.3},
        {"uniform_probability": 1.0, "dirichlet_probability": 1.0, "jailbreak_lower_bound": 1.0},
        rtol=0,
        atol=0,
    ),
]


def anew(moved=0.5, fewer=0, upper=True, bound=lambda gamma, safe: 1 - gamma * safe):
    """All simulated outputs from SciPy, with one mistake."""

    def after(p, o):
        m, n = p.num_harmful - fewer, p.num_explanations - fewer
        scale = moved if p.attack_norm == "l1" else 2 * moved
        t = max(p.harm_threshold - scale * p.attack_radius, 0)
        tail = special.betaincc if upper else special.betainc
        shapes = m * p.dirichlet_harmful, (n - m) * p.dirichlet_safe
        found = tail(m, n - m, t)
        return {
            "uniform_probability": found,
            "dirichlet_probability": tail(*shapes, t),
            "jailbreak_lower_bound": max(0.0, bound(p.concentration, 1 - found)),
        }

    return after


MUTANTS = [
    Mutant("a mass costs what it is", after=anew(moved=1.0), control=anew()),
    Mutant("a quarter of the radius", after=anew(moved=0.25), control=anew()),
    Mutant("one explanation too few", after=anew(fewer=1), control=anew()),
    Mutant("the safe zone", after=anew(upper=False), control=anew()),
    Mutant("density on the harmful side", after=anew(bound=lambda gamma, safe: gamma * (1 - safe)),
           control=anew()),
    Mutant("density only of the rest", after=anew(bound=lambda gamma, safe: (1 - safe) / gamma),
           control=anew()),
    Mutant("normal for exact", after=lambda p, o: {
        "uniform_probability": o["paper_normal_probability"]
    }),
    Mutant("harmful and safe exchanged",
           at=lambda p: {"num_harmful": p.num_explanations - p.num_harmful}),
    Mutant("Dirichlet parameters exchanged", at=lambda p: {
        "dirichlet_harmful": p.dirichlet_safe, "dirichlet_safe": p.dirichlet_harmful
    }),
    Mutant("no attack", at=lambda p: {"attack_radius": 0.0}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"small": POINT, "tv": POINT | {"attack_norm": "tv"}},
    expected={
        "no slope at ends": {
            "concentration: jailbreak_lower_bound": "0 and the bound are both its values",
        }
    },
)
