"""Model collapse on a user's own data: experiments that resample its rows.

Two experiments, those of the studies ``ridge-collapse`` and ``strong-collapse``, with the rows of
a `Population` in place of Gaussian vectors. The population is the data set, so a sample is rows
drawn with replacement, and the test error ``||w_hat - w||^2_Sigma`` is a mean over all rows.
Theory for the same quantities, from the data's spectrum, is in `simulator.data.prediction`.

Every experiment runs under one of three laws, nested so that a failure of the theory can be
blamed:

=============  ======================  =================================  =======================
``law``        rows                    label noise                        what its gap tells
=============  ======================  =================================  =======================
``gaussian``   ``N(0, Sigma)``         ``N(0, sigma^2)``                  finite size only
``features``   resampled from data     ``N(0, sigma^2)``                  features not Gaussian
``targets``    resampled from data     the row's own residual, so that    noise depends on features,
                                       clean labels are the real targets  repeats with the row
=============  ======================  =================================  =======================

A fit needs only its normal equations, ``G = X^T X / T`` and ``h = X^T noise / T``: they are summed
over blocks of rows, so the sample size is a traced number and memory does not grow with it.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.linalg import cho_factor, cho_solve

from simulator.data.checks import (
    check_fractions,
    check_generations,
    check_penalties,
    check_shift,
    check_spectrum,
    noise_level,
    whole_number,
)
from simulator.data.population import Population
from simulator.equality import ByValue
from simulator.runtime.compilation import compiler_options, default_platform, simulation_scope
from simulator.runtime.precision import float_dtype

Law = Literal["gaussian", "features", "targets"]
LAWS: tuple[Law, ...] = get_args(Law)
BLOCK = 256  # rows summed at a time
BATCH = 8  # replicates that run side by side


@dataclass(frozen=True, eq=False)
class Estimate(ByValue):
    """Mean over replicates of an experiment, entry by entry."""

    mean: np.ndarray
    standard_error: np.ndarray
    replicates: int


class _Data(NamedTuple):
    rows: Array  # (num_rows, dim)
    eigenvalues: Array  # (dim,)
    teacher: Array  # (dim,)
    noise: Array  # (num_rows,) residual over its standard deviation


# --------------------------------------------------------------------------------------------
# The experiments
# --------------------------------------------------------------------------------------------
def simulate_generations(
    data: Population,
    *,
    num_samples: int,
    num_samples_generator: int,
    num_generations: int,
    ridge: float | Sequence[float],
    ridge_generator: float = 0.0,
    noise_std: float | None = None,
    noise_std_generator: float | None = None,
    law: Law = "targets",
    replicates: int = 100,
    seed: int = 0,
    dtype: str = "float32",
) -> dict[str, Estimate]:
    """A chain of generators, each trained on labels of the one before; then a downstream fit.

    Parameters
    ----------
    data : Population
    num_samples, num_samples_generator : int
        Rows of the downstream fit and of each generator, drawn with replacement.
    num_generations : int
        Length of the chain; the errors of all shorter chains come with it.
    ridge : float or sequence of floats
        Penalties of the downstream fit (mean square loss), all on the same draws.
    ridge_generator : float
    noise_std, noise_std_generator : float, optional
        Root mean square of the label noise; the data's residual by default. Under the law
        ``targets`` the residual is scaled to it.
    law : {"targets", "features", "gaussian"}
    replicates, seed : int
    dtype : {"float32", "float64"}

    Returns
    -------
    dict of Estimate with arrays of shape (ridge, num_generations + 1)
        ``test_error``, and its parts ``bias``, ``variance`` (downstream noise) and
        ``generator_variance``. The test error is that of the fitted model, not the sum of parts:
        under ``targets`` the parts need not be uncorrelated.
    """
    ridges = check_penalties(data, ridge, num_samples, "ridge")
    check_penalties(data, ridge_generator, num_samples_generator, "ridge_generator")
    check_generations(num_generations)
    _check_law(law)
    std = noise_level(data, noise_std)
    std_generator = noise_level(data, noise_std_generator)
    one = functools.partial(_generations, num_generations=num_generations, law=law)
    arguments = (ridges, num_samples, num_samples_generator, ridge_generator, std, std_generator)
    return _repeat(one, data, arguments, replicates, seed, dtype)


def simulate_mixture(
    data: Population,
    *,
    shift: np.ndarray,
    num_samples: int,
    synthetic_fraction: float | Sequence[float],
    ridge: float | Sequence[float],
    noise_std_real: float | None = None,
    noise_std_synthetic: float = 0.0,
    law: Law = "targets",
    replicates: int = 100,
    seed: int = 0,
    dtype: str = "float32",
) -> dict[str, Estimate]:
    """A fit to real labels mixed with labels of another model, ``teacher + shift``.

    Parameters
    ----------
    data : Population
    shift : (dim,) array
        Weights of the synthetic labeller minus the teacher's, in the eigenbasis; `labeller_shift`
        trains one on a few rows of the data.
    num_samples : int
        Real and synthetic rows together.
    synthetic_fraction : float or sequence of floats
        Share of rows with synthetic labels (rounded to whole rows), all on the same draws.
    ridge : float or sequence of floats
    noise_std_real, noise_std_synthetic : float
        Real labels have the data's residual by default, labels of a model no noise. Synthetic
        noise is Gaussian under every law.
    law, replicates, seed, dtype
        As in `simulate_generations`.

    Returns
    -------
    dict of Estimate with arrays of shape (ridge, synthetic_fraction)
        ``test_error`` (of the fitted model) and its parts ``bias``, ``variance``,
        ``synthetic_error``, ``cross_error``.
    """
    ridges = check_penalties(data, ridge, num_samples, "ridge")
    _check_law(law)
    fractions = check_fractions(synthetic_fraction)
    counts = np.rint(fractions * num_samples).astype(np.int32)
    one = functools.partial(_mixture, law=law)
    arguments = (
        ridges,
        num_samples,
        counts,
        check_shift(data, shift),
        noise_level(data, noise_std_real),
        noise_level(data, noise_std_synthetic),
    )
    return _repeat(one, data, arguments, replicates, seed, dtype)


def labeller_shift(
    data: Population, num_samples: int, ridge: float, law: Law = "targets", seed: int = 0
) -> np.ndarray:
    """Shift of a synthetic labeller: the ridge fit to a few real rows, minus the teacher.

    One labeller, fixed by ``seed``: experiments and theory that use it are conditional on it.
    """
    check_penalties(data, ridge, num_samples, "ridge")
    seed = whole_number("seed", seed, 0)
    _check_law(law)
    with simulation_scope("float64"):
        labeller = _compiled(_labeller, "law")
        weights = labeller(
            jax.random.key(seed), _to_device(data), num_samples, ridge, data.noise_std, law=law
        )
        return np.asarray(weights) - data.teacher


# --------------------------------------------------------------------------------------------
# One replicate
# --------------------------------------------------------------------------------------------
class _Moments(NamedTuple):
    """Normal equations of one sample."""

    gram: Array  # (dim, dim) X^T X / T
    cross: Array  # (dim, columns) X^T E / T


def _generations(
    key, data: _Data, ridges, num_samples, num_samples_generator, ridge_generator, std,
    std_generator, *, num_generations: int, law: Law,
):  # fmt: skip
    key_chain, key_downstream = jax.random.split(key)

    def one_generation(weights, key):
        fit = _normal_equations(key, data, num_samples_generator, law, _real_noise)
        # Two columns that superpose: the noise-free iterate and the response to noise.
        labels = fit.gram @ weights
        labels = labels.at[:, 1].add(std_generator * fit.cross[:, 0])
        weights = _solve(fit.gram, ridge_generator, labels)
        return weights, weights

    clean = jnp.stack([data.teacher, jnp.zeros_like(data.teacher)], axis=1)
    _, chain = lax.scan(one_generation, clean, jax.random.split(key_chain, num_generations))
    labellers = jnp.concatenate([clean[None], chain])  # (num_generations + 1, dim, 2)
    fit = _normal_equations(key_downstream, data, num_samples, law, _real_noise)
    labels = jnp.concatenate(
        [fit.gram @ labellers[..., 0].T, fit.gram @ labellers[..., 1].T, std * fit.cross], axis=1
    )

    def one_ridge(ridge):
        weights = _solve(fit.gram, ridge, labels)
        bias = weights[:, : num_generations + 1] - data.teacher[:, None]
        generators = weights[:, num_generations + 1 : -1]
        noise = weights[:, -1:]
        return {
            "test_error": _size(data, bias + generators + noise),
            "bias": _size(data, bias),
            "variance": jnp.broadcast_to(_size(data, noise), (num_generations + 1,)),
            "generator_variance": _size(data, generators),
        }

    return lax.map(one_ridge, ridges)


def _labeller(key, data: _Data, num_samples, ridge, std, *, law: Law):
    fit = _normal_equations(key, data, num_samples, law, _real_noise)
    return _solve(fit.gram, ridge, fit.gram @ data.teacher + std * fit.cross[:, 0])


def _mixture(
    key, data: _Data, ridges, num_samples, num_synthetic, shift, std, std_synthetic, *, law: Law
):
    num_fractions = len(num_synthetic)

    def columns(rows, noise, index, key):
        """Shift labels and noise, for every split into synthetic (the first rows) and real."""
        synthetic = index[:, None] < num_synthetic
        model_noise = std_synthetic * jax.random.normal(key, noise.shape, noise.dtype)
        response = jnp.where(synthetic, (rows @ shift)[:, None], 0)
        both = jnp.where(synthetic, model_noise[:, None], std * noise[:, None])
        return jnp.concatenate([response, both], axis=1)

    fit = _normal_equations(key, data, num_samples, law, columns)
    labels = jnp.concatenate([(fit.gram @ data.teacher)[:, None], fit.cross], axis=1)

    def one_ridge(ridge):
        weights = _solve(fit.gram, ridge, labels)
        bias = weights[:, :1] - data.teacher[:, None]
        synthetic, noise = weights[:, 1 : 1 + num_fractions], weights[:, 1 + num_fractions :]
        return {
            "test_error": _size(data, bias + synthetic + noise),
            "bias": jnp.broadcast_to(_size(data, bias), (num_fractions,)),
            "variance": _size(data, noise),
            "synthetic_error": _size(data, synthetic),
            "cross_error": 2 * jnp.sum(data.eigenvalues[:, None] * bias * synthetic, axis=0),
        }

    return lax.map(one_ridge, ridges)


def _real_noise(rows, noise, index, key):
    return noise[:, None]


def _normal_equations(key, data: _Data, num_samples, law: Law, columns: Callable) -> _Moments:
    """``X^T X / T`` and ``X^T E / T`` of ``num_samples`` rows, block by block.

    ``columns(rows, unit_noise, index, key)`` returns the block's ``E``, one column per right-hand
    side; ``index`` numbers the rows of the whole sample.
    """

    def block(number, sums):
        key_rows, key_noise, key_columns = jax.random.split(jax.random.fold_in(key, number), 3)
        index = number * BLOCK + jnp.arange(BLOCK)
        rows, noise = _draw(key_rows, key_noise, data, law)
        rows = jnp.where(index[:, None] < num_samples, rows, 0)
        return _Moments(
            sums.gram + rows.T @ rows,
            sums.cross + rows.T @ columns(rows, noise, index, key_columns),
        )

    dim = data.eigenvalues.shape[0]
    empty = jnp.zeros((BLOCK, dim), float_dtype())
    shape = jax.eval_shape(columns, empty, empty[:, 0], jnp.arange(BLOCK), key).shape
    start = _Moments(
        jnp.zeros((dim, dim), float_dtype()), jnp.zeros((dim, shape[1]), float_dtype())
    )
    sums = lax.fori_loop(0, (num_samples + BLOCK - 1) // BLOCK, block, start)
    return _Moments(sums.gram / num_samples, sums.cross / num_samples)


def _draw(key_rows, key_noise, data: _Data, law: Law) -> tuple[Array, Array]:
    """A block of rows and their unit-variance label noise."""
    num_rows, dim = data.rows.shape
    gaussian_noise = jax.random.normal(key_noise, (BLOCK,), float_dtype())
    if law == "gaussian":
        normal = jax.random.normal(key_rows, (BLOCK, dim), float_dtype())
        return normal * jnp.sqrt(data.eigenvalues), gaussian_noise
    chosen = jax.random.randint(key_rows, (BLOCK,), 0, num_rows)
    return data.rows[chosen], data.noise[chosen] if law == "targets" else gaussian_noise


def _solve(gram, ridge, right):
    """``(X^T X / T + ridge)^-1 right``; Cholesky does not mind the scale of the eigenvalues."""
    return cho_solve(cho_factor(gram + ridge * jnp.eye(len(gram), dtype=gram.dtype)), right)


def _size(data: _Data, weights):
    """``||w||^2_Sigma`` of every column: a mean over the rows of the population."""
    return jnp.sum(data.eigenvalues[:, None] * weights**2, axis=0)


# --------------------------------------------------------------------------------------------
# Many replicates
# --------------------------------------------------------------------------------------------
def _repeat(
    one: functools.partial,
    data: Population,
    arguments: tuple,
    replicates: int,
    seed: int,
    dtype: str,
) -> dict[str, Estimate]:
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype = {dtype!r}; allowed: float32 or float64")
    replicates = whole_number("replicates", replicates, 2)  # one has no error bar
    seed = whole_number("seed", seed, 0)
    with simulation_scope(dtype):
        keys = jax.random.split(jax.random.key(seed), replicates)
        traced = [_traced(argument) for argument in arguments]
        function = _batched(one.func, tuple(sorted(one.keywords.items())))
        values = jax.device_get(function(keys, _to_device(data), *traced))
    return {name: _estimate(name, np.asarray(value, float)) for name, value in values.items()}


@functools.cache
def _batched(one: Callable, static: tuple[tuple[str, object], ...]) -> Callable:
    """Compiled once per experiment and static options, whatever the traced numbers."""

    def run(keys, data, *arguments) -> Mapping[str, Array]:
        replicate = functools.partial(one, **dict(static))
        return lax.map(lambda key: replicate(key, data, *arguments), keys, batch_size=BATCH)

    return _compiled(run)


def _compiled(function: Callable, *static: str) -> Callable:
    options = compiler_options(default_platform())
    return jax.jit(function, static_argnames=static, compiler_options=options)


def _traced(value) -> Array:
    whole = np.asarray(value).dtype.kind == "i"
    return jnp.asarray(value, jnp.int32 if whole else float_dtype())


def _estimate(name: str, values: np.ndarray) -> Estimate:
    if not np.all(np.isfinite(values)):
        raise ValueError(
            f"{name} is not finite in some replicates: a sample had fewer independent rows than "
            "features; use a positive ridge or more samples"
        )
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return Estimate(values.mean(axis=0), error, len(values))


def _to_device(data: Population) -> _Data:
    dtype = float_dtype()
    check_spectrum(data, dtype)
    noise = data.residual / max(data.noise_std, np.finfo(float).tiny)
    return _Data(
        jnp.asarray(data.rows, dtype),
        jnp.asarray(data.eigenvalues, dtype),
        jnp.asarray(data.teacher, dtype),
        jnp.asarray(noise, dtype),
    )


def _check_law(law: str) -> None:
    if law not in LAWS:
        raise ValueError(f"law = {law!r}; allowed: {', '.join(LAWS)}")
