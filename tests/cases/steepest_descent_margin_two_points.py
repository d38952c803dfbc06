"""Exact ReLU margins of two points (extension of arXiv 2410.22069) and wrong versions of them."""

import jax.numpy as jnp

from tests.cases import Case, Mutant, Tests
from tests.references import steepest_descent_margin as reference

#: On both sides of the kinks, at 120 degrees for equal labels and at 90 for opposite ones.
CASES = [
    Case(
        f"{angle:g} degrees, {sign:+d}",
        {"angle_degrees": angle, "second_label": sign},
        rtol=1e-9,
        program=reference.theory_of_two_points,
    )
    for angle, sign in (
        (60.0, 1),
        (115.0, 1),
        (125.0, 1),
        (150.0, 1),
        (60.0, -1),
        (75.0, -1),
        (95.0, -1),
        (120.0, -1),
    )
]


def _margin(same=None, opposite=None):
    """Another margin for equal or for opposite labels, functions of the angle in radians."""
    same = same or (lambda a: jnp.maximum(jnp.cos(a / 2) / 2, 0.25))
    opposite = opposite or (lambda a: jnp.sin(jnp.minimum(a, jnp.pi / 2)) / 4)

    def after(params, outputs):
        angle = jnp.deg2rad(params.angle_degrees)
        margin = jnp.where(params.second_label > 0, same(angle), opposite(angle))
        return {"relu_margin_l2": margin}

    return after


def _mutant(name, **laws):
    return Mutant(name, after=_margin(**laws), control=_margin())


MUTANTS = [
    _mutant("full angle between point and neuron", same=lambda a: jnp.cos(a) / 2),
    _mutant("one neuron must serve both points", same=lambda a: jnp.cos(a / 2) / 2),
    _mutant("every point needs its own neuron", same=lambda a: 0 * a + 0.25),
    _mutant("no saturation beyond 90 degrees", opposite=lambda a: jnp.sin(a) / 4),
    _mutant("half the angle between opposite points", opposite=lambda a: jnp.sin(a / 2) / 4),
    _mutant("norm of each layer counted twice", same=lambda a: jnp.cos(a / 2) / 4),
    _mutant("saturation at half the value", opposite=lambda a: jnp.minimum(jnp.sin(a) / 4, 0.125)),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "jumps": {"second_label": "a sign"},
    },
)
