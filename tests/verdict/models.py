"""Small laws that verdicts are tried on."""

import dataclasses

import jax

from simulator.parameters import parameters, traced
from simulator.study import Output, Study
from tests.toy import TEXTBOOK


@parameters
class Params:
    rate: float = traced(2.0, "a", "rate", above=0)


def noisy(name, theory, draw, relation):
    return Study(
        name=name,
        title="a law",
        paper=TEXTBOOK,
        params=Params,
        outputs=(Output("value", "a draw", relation),),
        theory=theory,
        simulate_direct=draw,
    )


def exponential_draw(key, params):
    return {"value": jax.random.exponential(key) / params.rate}


def pareto_draw(key, params):
    """Tail index 2.2: the variance is finite, the fourth moment is not."""
    return {"value": jax.random.uniform(key) ** (-1 / 2.2) / params.rate}


def scaled(study, factor):
    return dataclasses.replace(
        study, theory=lambda p: {"test_error": factor * study.theory(p)["test_error"]}
    )
