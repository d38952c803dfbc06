"""data-accumulation: what its verdicts tell apart, and where the formula of Gaussian rows holds."""

import numpy as np
import pytest

import simulator
from simulator import registry
from simulator.data.loading import from_arrays
from simulator.data.population import population
from simulator.engine.theory import theory_of_cells
from simulator.study import CONTROLS
from simulator.verdict import gather, judge

FAMILY = ("data-accumulation", "data-accumulation.gaussian", "data-accumulation.resampled",
          "data-accumulation.tokens")  # fmt: skip
#: The cells of `check` that cost a few seconds.
QUICK = {("data-accumulation", 0), ("data-accumulation.gaussian", 1),
         ("data-accumulation.tokens", 0)}  # fmt: skip


def cells():
    for name in FAMILY:
        for number, cell in enumerate(registry.get(name).check_cells):
            marks = () if (name, number) in QUICK else (pytest.mark.slow,)
            yield pytest.param(name, cell, id=f"{name} {number}", marks=marks)


@pytest.mark.parametrize(("name", "cell"), list(cells()))
def test_a_formula_off_by_twice_the_tolerance_is_rejected(name, cell):
    """Whichever output it is, and in both directions; the right one agrees."""
    study = registry.get(name)
    facts = gather(study, [study.canonical(cell)], seed=5, tolerance=study.tolerance)
    positions = [rung.position for ladder in facts.ladders for rung in ladder]
    theories = theory_of_cells(study, [facts.run.cells[i] for i in positions])

    def judged(output=None, factor=1.0):
        changed = [
            {key: value * factor if key == output else value for key, value in found.items()}
            for found in theories
        ]
        changed = dict(zip(positions, changed, strict=True))
        return judge(study, facts, tolerance=study.tolerance, theories=changed)

    verdict = judged()
    assert verdict.status == "agrees", str(verdict)
    for output in {comparison.output for comparison in verdict.comparisons} - {CONTROLS}:
        if not np.any(theories[-1][output]):
            continue  # nothing is lost here
        relation = study.output(output).relation_at(study.params(**facts.run.cells[positions[-1]]))
        # What the data may deviate by counts on both sides.
        off = 2 * (study.tolerance + getattr(relation, "accuracy", 0.0))
        for factor in (1 + off, 1 - off):
            (found,) = (c for c in judged(output, factor).comparisons if c.output == output)
            assert found.status == "disagrees", f"{factor:g} times {output}"


#: Fits of smallest norm, and a block that is replaced: not among the cells of `check`.
CONDITIONAL = {
    "fresh, few rows": {"dim": 16, "num_samples": 6, "num_samples_synthetic": 4,
                        "policy": "fresh_mix", "synthetic_weight": 0.4},
    "kept, few rows": {"dim": 16, "num_samples": 5, "num_samples_synthetic": 4,
                       "policy": "keep_real"},
    "replaced, few rows": {"dim": 12, "num_samples": 30, "num_samples_synthetic": 7,
                           "policy": "replace"},
    "accumulated, few rows": {"dim": 20, "num_samples": 5, "num_samples_synthetic": 4,
                              "synthetic_weight": 2.0},
}  # fmt: skip


@pytest.mark.slow  # fits of few rows are among the cells of the battery's verdict, too
@pytest.mark.parametrize("cell", CONDITIONAL.values(), ids=CONDITIONAL)
@pytest.mark.usefixtures("optimised")
def test_averages_over_noise_given_the_designs(cell):
    verdict = simulator.check(
        "data-accumulation", method="conditional", tolerance=0.02, seed=3, num_generations=3,
        noise_std=0.6, noise_std_synthetic=0.8, signal_variance=1.4, **cell,
    )  # fmt: skip
    assert verdict.status == "agrees", str(verdict)


def elliptical(size=400, dim=6):
    """Rows that share a random length each: their covariance says little about a Gram matrix."""
    rng = np.random.default_rng(11)
    length = np.sqrt(rng.gamma(0.6, size=(size, 1)))
    features = length * rng.normal(size=(size, dim)) * np.arange(1, dim + 1) ** -0.5
    targets = features @ np.ones(dim) + rng.normal(size=size)
    return population(from_arrays(features, targets)).parameters()


@pytest.mark.parametrize(
    ("law", "status"), [("gaussian", "agrees"), ("features", "disagrees"), ("targets", "disagrees")]
)
def test_the_verdict_says_where_the_gaussian_formula_holds(law, status):
    """On Gaussian rows with the spectrum of these data it holds, on these rows it does not."""
    verdict = simulator.check(
        "data-accumulation.resampled", law=law, num_samples=40, num_samples_synthetic=60,
        num_generations=3, tolerance=0.1, seed=1, **elliptical(),
    )  # fmt: skip
    assert verdict.status == status, str(verdict)
