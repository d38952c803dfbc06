"""Robust linear regression: the frontier against SciPy, the path in time against a loop."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize

import simulator
from benchmarks.report import Row, seconds

DIM = 30
RADII = np.geomspace(0.05, 0.7, 200)  # from nearly w0 to nearly 0
NOISE = 0.3
SEARCHED = RADII[::20]  # where the slow road is measured, to be multiplied up
TIMES = np.geomspace(1.0, 1e4, 200)  # as far as the defaults of the study
PATH_DIM = 200
STEP = 0.1
#: Ratios that we promise.
FRONTIER, TRAINING = 20.0, 50.0
C0 = np.sqrt(2 / np.pi)


def run() -> Iterator[Row]:
    yield _frontier()
    yield _training()


def _frontier() -> Row:
    """The optimum at 200 radii to 1e-10 of its risk: all outputs, or a solver for every radius."""
    rank = np.arange(1, DIM + 1.0)
    variances, truth = rank**-1.0, rank**-0.25

    def theirs(radii=SEARCHED) -> np.ndarray:
        """w = u - v, u, v >= 0: smooth but for bounds, with exact gradients (L-BFGS-B)."""

        def risk(z, r):
            w, size = z[:DIM] - z[DIM:], r * z.sum()
            pull = variances * (w - truth)
            s = np.sqrt((w - truth) @ pull + NOISE**2)
            by_w = pull * (2 + 2 * C0 * size / s)
            by_size = r * (2 * C0 * s + 2 * size)
            value = s**2 + 2 * C0 * s * size + size**2
            return value, np.concatenate([by_w + by_size, by_size - by_w])

        start, found = np.concatenate([truth, np.zeros(DIM)]), []
        for r in radii:
            options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-12}
            result = minimize(
                risk,
                start,
                (r,),
                "L-BFGS-B",
                True,
                bounds=[(0, None)] * len(start),
                options=options,
            )
            found.append(result.fun)
        return np.array(found)

    def ours(radii=RADII) -> np.ndarray:
        return simulator.predict(
            "robust-regression",
            dim=DIM,
            spectrum_exponent=1.0,
            signal_exponent=0.5,
            attack_norm="linf",
            attack_radius=radii,
            noise_std=NOISE,
        )["risk_optimal"]

    np.testing.assert_allclose(theirs(), ours(SEARCHED), rtol=1e-9)
    return Row(
        f"optimum at {len(RADII)} radii, linf, d = {DIM}",
        "SciPy (L-BFGS-B, exact gradients)",
        seconds(theirs) * len(RADII) / len(SEARCHED),
        seconds(ours),
        FRONTIER,
    )


def _training() -> Row:
    """Risk at 200 stopping times: a matrix function, or all steps of gradient descent."""
    rank = np.arange(1, PATH_DIM + 1.0)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(PATH_DIM, PATH_DIM)))[0]
    covariance, truth = basis * rank**-1.0 @ basis.T, basis @ rank**-0.25
    radius = 0.1

    def theirs() -> np.ndarray:
        w, found, step = np.zeros(PATH_DIM), [], 0
        for time in TIMES:
            while step < round(time / STEP):
                w = w - STEP * (covariance @ (w - truth))
                step += 1
            a2, b2 = (w - truth) @ covariance @ (w - truth), w @ w
            found.append(a2 + 2 * C0 * radius * np.sqrt(a2 * b2) + radius**2 * b2)
        return np.array(found)

    def ours() -> np.ndarray:
        return simulator.predict(
            "early-stopping",
            dim=PATH_DIM,
            spectrum_exponent=1.0,
            signal_exponent=0.5,
            attack_radius=radius,
            times=TIMES,
            step_size=STEP,
        )["risk_path"]

    np.testing.assert_allclose(theirs(), ours(), rtol=1e-9)
    return Row(
        f"risk at {len(TIMES)} stopping times, d = {PATH_DIM}, steps of {STEP}",
        "gradient descent in NumPy",
        seconds(theirs, repeats=1),
        seconds(ours),
        TRAINING,
    )
