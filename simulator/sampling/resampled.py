"""Samples of a data set, and what a ridge fit makes of them.

The population is the data set: a sample is rows drawn with replacement. Each law is nested in the
one before, so that a failure of a Gaussian theory can be blamed:

=============  ======================  =================================  =======================
law            rows                    label noise                        what its gap tells
=============  ======================  =================================  =======================
``gaussian``   ``N(0, Sigma)``         ``N(0, sigma^2)``                  finite size only
``features``   resampled from data     ``N(0, sigma^2)``                  features not Gaussian
``targets``    resampled from data     the row's own residual, so that    noise depends on features,
                                       clean labels are the real targets  repeats with the row
=============  ======================  =================================  =======================

A fit needs only its normal equations, ``X^T X / n`` and ``X^T E / n``: they are summed over blocks
of rows, so the sample size is a traced number and memory does not grow with it.
"""

from collections.abc import Callable, Hashable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Float

from simulator.large_array import content_key
from simulator.runtime.shapes import RandomKey

LAWS = ("targets", "features", "gaussian")
BLOCK = 256  # rows summed at a time


class DataSet(NamedTuple):
    """A population: rows in the eigenbasis of their covariance, and what no linear fit explains."""

    rows: Float[Array, "row feature"]
    eigenvalues: Float[Array, " feature"]
    residuals: Float[Array, " row"]

    def noise_std(self) -> Array:
        """Root mean square of the residuals."""
        return jnp.sqrt(jnp.mean(self.residuals**2))


def data_set_of(params) -> DataSet:
    """That of a study's parameters ``rows``, ``eigenvalues`` and ``residuals``."""
    return DataSet(params.rows, params.eigenvalues, params.residuals)


class NormalEquations(NamedTuple):
    """Those of one sample."""

    gram: Float[Array, "feature feature"]  # X^T X / n
    cross: Float[Array, "feature column"]  # X^T E / n

    def solve(self, ridge, right: Float[Array, "feature column"]) -> Array:
        """``(X^T X / n + ridge)^-1 right``; Cholesky does not mind the scale of eigenvalues."""
        penalty = ridge * jnp.eye(len(self.gram), dtype=self.gram.dtype)
        return cho_solve(cho_factor(self.gram + penalty), right)


def normal_equations(
    key: Array, data: DataSet, law: str, num_samples, columns: Callable
) -> NormalEquations:
    """``X^T X / n`` and ``X^T E / n`` of ``num_samples`` rows, block by block.

    Parameters
    ----------
    key : key
    data : DataSet
    law : one of `LAWS`
    num_samples : int
        It may be traced.
    columns : function ``(rows, noise, index, key) -> E``
        One column per right-hand side, for the rows of a block; ``index`` numbers the rows of the
        whole sample, ``noise`` is that of their labels.
    """

    def block(number, sums):
        key_rows, key_noise, key_columns = jax.random.split(jax.random.fold_in(key, number), 3)
        index = number * BLOCK + jnp.arange(BLOCK)
        rows, noise = draw_rows(key_rows, key_noise, data, law, BLOCK)
        rows = jnp.where(jnp.arange(BLOCK)[:, None] < num_samples - number * BLOCK, rows, 0)
        return NormalEquations(
            sums.gram + rows.T @ rows,
            sums.cross + rows.T @ columns(rows, noise, index, key_columns),
        )

    dim = len(data.eigenvalues)
    empty = jnp.zeros((BLOCK, dim), float)
    width = jax.eval_shape(columns, empty, empty[:, 0], jnp.arange(BLOCK), key).shape[1]
    start = NormalEquations(jnp.zeros((dim, dim), float), jnp.zeros((dim, width), float))
    blocks = (num_samples - 1) // BLOCK + 1  # no sum passes the largest integer
    sums = lax.fori_loop(0, blocks, block, start)
    return NormalEquations(sums.gram / num_samples, sums.cross / num_samples)


def draw_rows(
    key_rows: RandomKey, key_noise: RandomKey, data: DataSet, law: str, count: int
) -> tuple[Float[Array, "rows feature"], Float[Array, " rows"]]:
    """So many rows, and their label noise."""
    num_rows, dim = data.rows.shape
    gaussian_noise = data.noise_std() * jax.random.normal(key_noise, (count,), float)
    if law == "gaussian":
        normal = jax.random.normal(key_rows, (count, dim), float)
        return normal * jnp.sqrt(data.eigenvalues)[None], gaussian_noise
    chosen = jax.random.randint(key_rows, (count,), 0, num_rows)
    return data.rows[chosen], data.residuals[chosen] if law == "targets" else gaussian_noise


def squared_norms(
    eigenvalues: Float[Array, " feature"], **weights: Float[Array, " feature"]
) -> dict[str, Float[Array, ""]]:
    """``||w||^2_Sigma`` of each of the weights: a mean over the rows of the population."""
    columns = jnp.stack(list(weights.values()), axis=1)
    norms = jnp.sum(eigenvalues[:, None] * columns**2, axis=0)
    return dict(zip(weights, norms, strict=True))


# --------------------------------------------------------------------------------------------
# What is a population, and an example of one
# --------------------------------------------------------------------------------------------
UNCORRELATED = 1e-6  # relative
#: Digests of what was checked: a grid asks again at every point.
_FOUND_RIGHT: set[Hashable] = set()


def check_data_set(rows, eigenvalues, teacher, residuals) -> None:
    """Refuse arrays that do not belong together.

    Raises
    ------
    ValueError
        If lengths differ, rows or residuals are not centred, columns are correlated with another
        or with the residuals, or their mean squares are not the eigenvalues.
    """
    way_out = "take them from simulator.data.population(table).parameters()"
    content = tuple(map(content_key, (rows, eigenvalues, teacher, residuals)))
    if content in _FOUND_RIGHT:
        return
    rows, eigenvalues, teacher, residuals = map(np.asarray, (rows, eigenvalues, teacher, residuals))
    shapes = {"rows": rows.shape, "eigenvalues": eigenvalues.shape, "teacher": teacher.shape}
    shapes["residuals"] = residuals.shape
    count, dim = rows.shape
    if min(rows.shape) < 2 or not eigenvalues.shape == teacher.shape == (dim,):
        raise ValueError(f"rows, eigenvalues, teacher have shapes {shapes}; {way_out}")
    if residuals.shape != (count,):
        raise ValueError(f"rows and residuals have shapes {shapes}; {way_out}")
    scales = np.sqrt(eigenvalues)
    unit = rows / scales
    noise = residuals / max(float(np.sqrt(np.mean(residuals**2))), np.finfo(float).tiny)
    wrong = {
        "rows are not centred": np.mean(unit, axis=0),
        "residuals are not centred": np.mean(noise),
        "columns of rows are correlated, or their mean squares are not the eigenvalues": unit.T
        @ unit
        / count
        - np.eye(dim),
        "residuals are correlated with the rows": unit.T @ noise / count,
    }
    for what, deviation in wrong.items():
        if np.max(np.abs(deviation)) > UNCORRELATED:
            raise ValueError(f"{what} (by {np.max(np.abs(deviation)):.0e}): {way_out}")
    _FOUND_RIGHT.add(content)


def example(num_rows: int = 1800, dim: int = 16) -> dict[str, tuple]:
    """A small data set in closed form: waves of different frequencies on a circle of rows.

    The same to the last bit on every machine: nine decimals are kept.
    """
    rank, row = np.arange(1, dim + 1), np.arange(num_rows)
    eigenvalues = rank**-0.8 / np.sum(rank**-0.8)
    frequency = 1 + (37 * rank) % (num_rows // 2 - 1)
    if len(set(frequency)) < dim:
        raise ValueError(f"{dim} features of {num_rows} rows share a frequency")
    waves = np.cos(2 * np.pi * np.outer(row, frequency) / num_rows + rank**2)
    teacher = rank**-0.3 * np.where(rank % 3 == 0, -1, 1)
    arrays = {
        "rows": np.sqrt(2 * eigenvalues) * waves,
        "eigenvalues": eigenvalues,
        "teacher": teacher * np.sqrt(0.8 / np.sum(eigenvalues * teacher**2)),
        "residuals": np.sqrt(0.2) * (-1.0) ** row,
    }
    return {name: _nested_tuple(np.round(values, 9)) for name, values in arrays.items()}


def _nested_tuple(values: np.ndarray) -> tuple:
    return tuple(map(tuple, values.tolist())) if values.ndim == 2 else tuple(values.tolist())
