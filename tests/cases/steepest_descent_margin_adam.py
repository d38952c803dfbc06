"""Adam's margins (arXiv 2410.22069): bounds that hold for any optimiser, and wrong ones."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp

from simulator.studies.robustness.steepest_descent_margin._model import linear_margins
from tests.cases import Case, Mutant, Tests

CASES = [
    Case(
        f"stability constant {delta:g}", {"stability_constant": delta}, {"margin_fraction": [1] * 3}
    )
    for delta in (0.0, 0.7)
]


@jax.jit
def _largest_margins(inputs, labels):
    return linear_margins(SimpleNamespace(inputs=inputs, labels=labels))[0]


def _bounded(name, change):
    def fraction(change):
        return lambda p, o: {"margin_fraction": change(_largest_margins(p.inputs, p.labels))}

    return Mutant(name, after=fraction(change), control=fraction(lambda best: best / best))


MUTANTS = [
    _bounded("one margin for all norms", lambda best: best[0] / best),
    _bounded("norms in reverse order", lambda best: best / best[::-1]),
    _bounded(
        "Adam is gradient descent at every stability constant",
        lambda best: jnp.asarray([0.92, 1.0, 0.86], best.dtype),
    ),
    _bounded(
        "Adam is sign descent at every stability constant",
        lambda best: jnp.asarray([0.81, 0.93, 1.0], best.dtype),
    ),
    _bounded("momentum costs a tenth of the margin", lambda best: 0.9 + 0 * best),
    _bounded("a linear model has half the margin", lambda best: 0.5 + 0 * best),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "special": {
            "margin_fraction": "no direction has more than the largest margin: 1",
        },
    },
)
