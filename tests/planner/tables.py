"""Tables of runs: simulated from known laws, and public ones beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

PUBLIC = Path(__file__).parents[3] / "shared" / "data"
#: Truth of the simulated tables, off special points: E, A, B, alpha, beta.
TRUTH = {"E": 1.83, "A": 498.0, "B": 2555.0, "alpha": 0.35, "beta": 0.3755}


def public(name):
    """A public table; the test that needs it is skipped where it is not beside the checkout."""
    import pandas as pd

    path = PUBLIC / name
    if not path.exists():
        pytest.skip(f"the public table ../shared/data/{name} is not beside this checkout")
    return pd.read_csv(path)


def loss(params, tokens, truth=TRUTH):
    t = truth
    return t["E"] + t["A"] * params ** -t["alpha"] + t["B"] * tokens ** -t["beta"]


def design(budgets=5, sizes=6, low=1e18, high=1e20):
    """Parameters and tokens of IsoFLOP curves: no two models of one size."""
    flop = np.repeat(np.geomspace(low, high, budgets), sizes)
    ratio = np.tile(np.geomspace(4, 90, sizes), budgets)
    params = np.sqrt(flop / (6 * ratio))
    return params, ratio * params


def simulated(seed=None, noise=0.007, **sizes):
    """A table of ``chinchilla`` runs with noise in ln L; without a seed there is none."""
    params, tokens = design(**sizes)
    values = loss(params, tokens)
    if seed is not None:
        values = values * np.exp(noise * np.random.default_rng(seed).standard_normal(len(values)))
    return {"params": params, "tokens": tokens, "loss": values}
