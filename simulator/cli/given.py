"""What the flags that several verbs share say."""

import argparse
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator.cli.parser import PARAMETER
from simulator.cli.values import axes, parameter_value
from simulator.registry import get


def parameters(options: argparse.Namespace, lists: bool = False) -> dict[str, Any]:
    """The parameters given on the command line, read according to their declarations.

    With ``lists`` a number may be several: ``a,b,c``, or ``log:`` and ``lin:`` as in a grid.
    """
    declared = get(options.study).declarations
    return {
        name.removeprefix(PARAMETER): parameter_value(
            declared[name.removeprefix(PARAMETER)], text, lists=lists
        )
        for name, text in vars(options).items()
        if name.startswith(PARAMETER)
    }


def replicates(options: argparse.Namespace) -> dict[str, int]:
    """The number of replicates, if one is given; the verb has its own default."""
    return {} if options.replicates is None else {"replicates": options.replicates}


def simulation(options: argparse.Namespace) -> dict[str, Any]:
    """How to simulate; the kind of device is settled, before JAX starts any."""
    if options.platform is not None:
        _use(options.platform)
    names = ("seed", "method", "dtype", "allow_large")
    return {name: getattr(options, name) for name in names} | replicates(options)


def _use(platform: str) -> None:
    import jax

    allowed = "cpu" if platform == "cpu" else ""  # "": the best there is
    jax.config.update("jax_platforms", allowed)
    found = jax.default_backend()
    if found != platform:
        raise ValueError(f"--platform {platform} is not available: JAX finds {found} here")
    os.environ["JAX_PLATFORMS"] = allowed  # for workers that are started here


def points(options: argparse.Namespace, more: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Fixed values, and the axes of the grid as arrays that broadcast to their outer product."""
    given = parameters(options)
    grid = axes(get(options.study), options.grid) | dict(more)
    for name in grid.keys() & given.keys():
        raise ValueError(f"{name} is given twice: in the grid and as a fixed value")
    if not grid:
        return given
    arrays = np.meshgrid(*grid.values(), indexing="ij", sparse=True)
    return given | dict(zip(grid, arrays, strict=True))
