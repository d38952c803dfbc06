"""The toy study of the design page: ordinary least squares, exact at every size."""

import sys
from dataclasses import replace
from unittest import mock

import jax
import jax.numpy as jnp

from simulator import registry
from simulator.cli import main
from simulator.paper import Paper
from simulator.parameters import parameters, static, traced
from simulator.runtime.precision import float_dtype
from simulator.sampling.gamma import chi_square
from simulator.study import Dispersion, Figure, Output, Study, asymptotic, exact

TEXTBOOK = Paper("Least squares", ("A. Textbook",), 2000)


@parameters
class Params:
    dim: int = static(10, at_least=2, grows=1)
    num_samples: int = traced(40, at_least="dim + 2", grows=1)
    noise_std: float = traced(0.5, at_least=0)


def theory(params):
    d, n = params.dim, params.num_samples
    return {"test_error": params.noise_std**2 * d / (n - d - 1)}


def simulate_fast(key, params):
    """One multivariate-t increment: noise / chi of n - d + 1 degrees of freedom."""
    key_g, key_c = jax.random.split(key)
    dof = (params.num_samples - params.dim + 1).astype(float_dtype())
    g = jax.random.normal(key_g, (params.dim,), float_dtype())
    chi_squared = chi_square(key_c, dof)
    return {"test_error": params.noise_std**2 * jnp.sum(g**2) / chi_squared}


STUDY = Study(
    name="toy",
    title="ordinary least squares",
    paper=TEXTBOOK,
    params=Params,
    outputs=(Output("test_error", "excess risk", exact()),),
    theory=theory,
    simulate_fast=simulate_fast,
    check_cells=({"num_samples": 33, "noise_std": 0.7}, {"dim": 6, "num_samples": 80}),
    figures={
        "samples": Figure(
            title="More samples help",
            x="num_samples",
            y=("test_error",),
            grid={"num_samples": [20, 40, 80], "noise_std": [0.3, 0.7]},
            series="noise_std",
            replicates=10,
        )
    },
)


def asymptotic_theory(params):
    """The limit d / (n - d): wrong by O(1/n) at finite size."""
    d, n = params.dim, params.num_samples
    return {"test_error": params.noise_std**2 * d / (n - d)}


ASYMPTOTIC = replace(
    STUDY,
    name="toy-asymptotic",
    theory=asymptotic_theory,
    outputs=(Output("test_error", "excess risk", asymptotic("O(1/d)")),),
    check_cells=({"dim": 80, "num_samples": 264, "noise_std": 0.7},),
)


def simulate_arrays(key, params):
    """A scalar, a vector, a vector of one, and a matrix of two unequal sizes."""
    keys = jax.random.split(key, 3)
    rounds = jax.random.normal(keys[1], (params.dim,), float_dtype())
    return simulate_fast(keys[0], params) | {
        "by_round": params.noise_std * rounds,
        "by_group": jnp.exp(rounds[:1]),
        "by_round_and_class": jax.random.exponential(keys[2], (params.dim, 3), float_dtype()),
    }


#: Outputs of all ranks, one of them as long as the swept dim, and what the engine makes of them.
ARRAYS = replace(
    STUDY,
    name="toy-arrays",
    outputs=(
        *STUDY.outputs,
        Output("by_round", "noise", dims=("round",), where="simulation"),
        Output("by_group", "one number in a row", dims=("group",), where="simulation"),
        Output("by_round_and_class", "waits", dims=("round", "class"), where="simulation"),
        Output(
            "spread",
            "of the noise",
            dims=("round",),
            where="simulation",
            dispersion=Dispersion("std", "by_round"),
        ),
    ),
    simulate_fast=simulate_arrays,
)


def command_line(words=None):
    """The command line, with the toy among its studies."""
    with mock.patch.dict(registry._registered, {STUDY.name: STUDY}):
        return main(words)


if __name__ == "__main__":
    sys.exit(command_line())
