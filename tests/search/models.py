"""Theories with known optima and solutions: two valleys, poles, kinks, jumps, arrays."""

import jax.numpy as jnp

from simulator.parameters import array, choice, parameters, static, traced
from simulator.study import Output, Study
from tests.toy import TEXTBOOK


@parameters
class Params:
    x: float = traced(0.0, "x", "first unknown")
    y: float = traced(0.0, "y", "second unknown")
    a: float = traced(1.0, "a", "tilt", at_most=100)
    width: float = traced(1e-3, "w", "width", above=0)
    num_samples: int = traced(10, "n", "samples", at_least="num_terms + 2")
    num_terms: int = static(2, "k", "terms", at_least=1)
    weights: tuple = array((1.0, 2.0), "w", "weights", dims=("term",))
    rule: str = choice("plain", ("plain", "shifted"), "r", "rule")


def theory(params):
    x, y, a = params.x, params.y, params.a
    shift = 0.1 if params.rule == "shifted" else 0.0
    distance = x - 0.3
    return {
        "valleys": (x**2 - 1) ** 2 + 0.3 * a * x + shift,
        "plane": (x**2 - 1) ** 2 + 0.3 * a * x + 2 * (y - x / 2) ** 2,
        "spike": (x**2 - 1) ** 2 + (y - x / 2) ** 2 + 1e12 * jnp.exp(-1e3 * (x - 2) ** 2),
        "two_wells": -jnp.exp(-4 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
        - 2 * jnp.exp(-60 * ((x + 0.47) ** 2 + (y + 0.53) ** 2)),
        "barrier": jnp.where(
            x + y > 0.37, -0.05 * jnp.log(x + y - 0.37) + (x + 1) ** 2 + (y + 1) ** 2, jnp.inf
        ),
        "log_valley": (jnp.log(x) - jnp.log(1e-5)) ** 2,
        "sharp_valley": x - 2 * jnp.exp(-((distance / params.width) ** 2)),
        "peak": 1 / (params.width**2 + distance**2),
        # Infinite in an interval, where its derivative is not a number.
        "pole": jnp.where(
            jnp.abs(distance) < 1e-3, 1 / (0 * distance**2), 0.01 / distance**2 + x**2
        ),
        "bare_pole": 1 / (x**2 - 0.1) ** 2,
        "branch": jnp.where(x > 0, (x - 1e-4) ** 2, 1e-8),
        "odd_pole": 1 / distance,
        "jump": jnp.where(x > 0.3, 2.0, 0.0) + 0.1 * x,
        "kink": jnp.abs(distance),
        "square": x**2,
        "entropy": jnp.where(x > 0, x * jnp.log(x), 0.0),
        "length": jnp.sqrt(distance**2),
        "root": jnp.where(x < 0.5, jnp.nan, jnp.abs(x - 0.5) ** 1.5 - x),
        "broken": jnp.where(x < 0.5, jnp.nan, x),
        "series": jnp.stack([x, x**2 - x, a * x**3]),
        "curves": jnp.stack([jnp.stack([x, x**2]), jnp.stack([x**3, x**4])]),
        "of_weights": jnp.sum((params.weights - jnp.array([0.3, 0.7])) ** 2) + x,
        "of_samples": 1 / params.num_samples,
    }


OUTPUTS = {
    "series": {"dims": ("step",)},
    "curves": {"dims": ("name", "power")},
    "root": {"nan_where_undefined": True},
}
NAMES = (
    "valleys", "plane", "spike", "two_wells", "barrier",
    "log_valley", "sharp_valley", "peak", "pole", "bare_pole",
    "branch", "odd_pole", "jump", "kink", "square", "entropy", "length", "root", "broken", "series",
    "curves", "of_weights", "of_samples",
)  # fmt: skip

STUDY = Study(
    name="search-me",
    title="functions with known optima",
    paper=TEXTBOOK,
    params=Params,
    outputs=(
        *(Output(name, name, where="theory", **OUTPUTS.get(name, {})) for name in NAMES),
        Output("measured", "simulated only", where="simulation"),
    ),
    theory=theory,
    coordinates={
        "step": lambda params: [0, 10, 20],
        "name": lambda params: ["low", "high"],
    },
)
