"""The search over several parameters: descents from the valleys of a grid, cell by cell."""

import numpy as np

from simulator.search.objective import Objective

#: Valleys of the grid, the lowest first, from which to descend.
_STARTS = 4


def lowest(
    objective: Objective, points: int, sign: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, values and slopes of the lowest points of ``sign * objective`` found."""
    axes = [free.coordinates(points) for free in objective.ranges]
    u = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    cells = np.repeat(np.arange(objective.count), len(u))
    value, _ = _at(objective, cells, np.tile(u, (objective.count, 1)))
    shape = (objective.count, *map(len, axes))
    best = [
        _lowest_of(objective, cell, u, heights, sign)
        for cell, heights in enumerate(sign * value.reshape(shape))
    ]
    coordinates = np.array(best)
    return coordinates, *_at(objective, np.arange(objective.count), coordinates)


def _lowest_of(
    objective: Objective, cell: int, u: np.ndarray, heights: np.ndarray, sign: float
) -> np.ndarray:
    from scipy.ndimage import minimum_filter

    at = f" at {objective.describe(cell)}" if objective.describe(cell) else ""
    ranges = ", ".join(map(str, objective.ranges))
    if np.isneginf(heights).any():
        most = "smallest" if sign > 0 else "largest"
        raise ValueError(
            f"{objective.name} has no {most} value: it is infinite within {ranges}{at}"
        )
    if not np.isfinite(heights).any():
        raise ValueError(f"{objective.name} has no finite value for {ranges}{at}")
    heights = np.where(np.isfinite(heights), heights, np.inf)
    valleys = np.flatnonzero(
        np.isfinite(heights) & (heights == minimum_filter(heights, 3, mode="nearest"))
    )
    starts = valleys[np.argsort(heights.ravel()[valleys], kind="stable")][:_STARTS]
    finite = heights[np.isfinite(heights)]
    # Of ordinary size, whatever values there are beside a pole.
    scale = float(np.median(finite) - finite.min()) or abs(float(finite.min())) or 1.0
    found = [descent(objective, cell, u[start], sign, scale) for start in starts]
    return min(found, key=lambda each: each[1])[0]


def descent(
    objective: Objective, cell: int, start: np.ndarray, sign: float, scale: float
) -> tuple[np.ndarray, float]:
    """Where L-BFGS-B with exact slopes ends from ``start``, and ``sign * objective`` there.

    ``scale`` is a difference of values that counts as one.
    """
    from scipy.optimize import minimize  # here: importing the package stays fast

    first, _ = _at(objective, np.array([cell]), start[None])

    def height(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _at(objective, np.array([cell]), u[None])
        if not np.isfinite(value[0]):  # a wall
            return 10.0, np.zeros(len(u))
        return float(sign * (value[0] - first[0]) / scale), sign * np.nan_to_num(slope[0]) / scale

    result = minimize(
        height,
        start,
        jac=True,
        bounds=[tuple(free.coordinates(2)) for free in objective.ranges],
        method="L-BFGS-B",
        options={"ftol": 0.0, "gtol": 1e-12, "maxiter": 500},
    )
    # It may stop at rounding, which it calls an abnormal end; it never rises.
    return result.x, float(sign * first[0] + scale * result.fun)


def _at(objective: Objective, cells: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = np.stack([r.values(c) for r, c in zip(objective.ranges, u.T, strict=True)], axis=1)
    # A descent goes from point to point: it is worth a program of its own.
    return objective(cells, points, lanes=1 if len(cells) == 1 else None)
