"""Preference labels drawn one by one in NumPy, against counts per pair and label."""

from collections.abc import Callable, Iterator

import numpy as np

import simulator
from benchmarks.report import Row, seconds

BATCH = 64
_RNG = np.random.default_rng(0)


def run() -> Iterator[Row]:
    """A replicate of ``pilaf`` (T-PILAF): draw, label, fit; the loop's cost grows with n."""
    for n, target in ((10**4, 1.0), (10**5, 10.0), (10**6, 100.0)):
        base = seconds(lambda n=n: _loop(n), 3)
        yield Row(f"pilaf, n = {n:.0e}", "NumPy labels", base, seconds(_ours(n)) / BATCH, target)
    small, large = seconds(_ours(10**3)), seconds(_ours(10**9))
    yield Row(f"{BATCH} replicates, n = 1e9", "ours at n = 1e3", small, large, 0.5)


def _ours(n: int) -> Callable[[], object]:
    return lambda: simulator.simulate(
        "pilaf", replicates=BATCH, num_preferences=n, dtype="float32", prompt_weighting="none"
    )


def _instance() -> tuple[np.ndarray, ...]:
    x, y, j = np.ogrid[1:5, 1:7, 1:4]
    phi = np.sqrt(2) * np.cos(0.7 * y * j + 1.1 * x * (j + 1))
    reference = np.exp(0.5 * np.sin(2 * y + x))[..., 0]
    theta = np.array([1, -(2**-0.5), 3**-0.5])
    policy = reference * np.exp(phi @ theta / 0.5)
    policy /= policy.sum(axis=1, keepdims=True)
    rho = 1 + np.arange(4) / 2
    return phi, policy, rho / rho.sum(), theta


def _loop(n: int) -> np.ndarray:
    """One replicate as a user would write it: draw ``n`` pairs, label them, fit by Newton."""
    phi, policy, rho, theta = _instance()
    reward = phi @ theta
    z_plus = np.sum(policy * np.exp(reward), axis=1)
    z_minus = np.sum(policy * np.exp(-reward), axis=1)
    plus = policy * np.exp(reward) / z_plus[:, None]
    minus = policy * np.exp(-reward) / z_minus[:, None]
    apart = z_plus * z_minus / (1 + z_plus * z_minus)
    x = _RNG.choice(4, size=n, p=rho)
    use = _RNG.random(n) < apart[x]
    a, b = (
        np.sum(
            _RNG.random(n)[:, None] > np.cumsum(np.where(use[:, None], tilted[x], policy[x]), 1),
            axis=1,
        )
        for tilted in (plus, minus)
    )
    a, b = np.minimum(a, 5), np.minimum(b, 5)
    gap = phi[x, a] - phi[x, b]
    won = _RNG.random(n) < 1 / (1 + np.exp(-gap @ theta))
    estimate = theta.copy()
    for _ in range(30):
        chance = 1 / (1 + np.exp(-gap @ estimate))
        gradient = gap.T @ (won - chance)
        curvature = (gap * (chance * (1 - chance))[:, None]).T @ gap
        step = np.linalg.solve(curvature, gradient)
        estimate += step
        if np.max(np.abs(step)) < 1e-10:
            break
    return estimate
