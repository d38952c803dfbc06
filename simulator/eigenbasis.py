"""Explicit spectra: eigenvalues, a teacher and covariance matrices in place of a named spectrum.

A study with a spectrum declares `eigenvalues`, ``teacher`` (its coordinates along the eigenvectors)
and ``covariance`` as optional arrays; the named spectra are shorthands for the first two. Whatever
is given replaces that part of the named spectrum. At the door (`completed`) a matrix is
diagonalised, and the vectors that are given with it are turned into its eigenbasis; directions
without variance, which no error sees, are left out; and the dimension follows.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator import checks
from simulator.maths.least_squares import RESOLVED
from simulator.maths.spectra import Spectrum, check_spectrum, named_spectrum
from simulator.parameters import array, refuse_numbers, unpadded

#: Relative to the largest eigenvalue: symmetry, commutation and sign are held to this.
ROUNDING = 1e-10


def eigenvalues(default=(), **options: Any) -> Any:
    """Declare the eigenvalues of a covariance."""
    return array(default, dims=("direction",), at_least=0, resampled=True, **options)


def coordinates(symbol: str, meaning: str) -> Any:
    """Declare a vector along the eigenvectors; at a larger size it has the same norm."""
    return array((), symbol, meaning, dims=("direction",), resampled=True, grows=-0.5)


def teacher() -> Any:
    """Declare the true weights."""
    return coordinates(
        "w", "teacher: the true weights, along the eigenvectors or in the covariance's coordinates"
    )


def covariance(**options: Any) -> Any:
    """Declare a covariance matrix."""
    return array((), dims=("feature", "feature"), **options)


# --------------------------------------------------------------------------------------------
# At the door
# --------------------------------------------------------------------------------------------
def completed(
    given: dict[str, Any],
    vectors: Sequence[str] = ("teacher",),
    spectra: Sequence[tuple[str, str]] = (("eigenvalues", "covariance"),),
) -> dict[str, Any]:
    """The given parameters (arrays checked) with matrices diagonalised and the dimension.

    Parameters
    ----------
    given : dict
    vectors : names of vectors in the coordinates of the covariance.
    spectra : (name of the eigenvalues, name of the matrix) of each covariance, that of the true
        data first.

    Raises
    ------
    ValueError
        Naming the parameter: a matrix that is not square, symmetric or positive semi-definite;
        matrices that do not commute; lengths that disagree; numbers for the name of a spectrum.
    """
    refuse_numbers("spectrum", given, "eigenvalues or covariance")
    given = {name: v for name, v in given.items() if not _missing(v)}
    vectors = [name for name in vectors if name in given]
    matrices = [matrix for _, matrix in spectra if matrix in given]
    for name in matrices:
        if _traced(given[name]):
            raise TypeError(
                f"{name} is traced by a transformation of JAX, but is diagonalised before: give "
                "eigenvalues, and vectors along the eigenvectors"
            )
    if matrices:
        for name, matrix in spectra:
            if name in given:
                raise ValueError(
                    f"{name} and {' and '.join(matrices)} are both given: give all covariances as "
                    "matrices, or all as eigenvalues"
                )
            if matrix not in given:
                raise ValueError(
                    f"{matrices[0]} is given without {matrix}: give both, in the same coordinates"
                )
        given = _diagonalised(given, vectors, spectra)
    lists = [name for name, _ in spectra if name in given] + vectors
    if not lists:
        return given
    dim = len(given[lists[0]])
    for name in lists:
        if len(given[name]) != dim:
            raise ValueError(
                f"{name} has {len(given[name])} entries and {lists[0]} has {dim}: one for each "
                "direction"
            )
    asked = given.get("dim", dim)
    if np.ndim(asked) == 0 and asked != dim:
        raise ValueError(
            f"dim = {checks.shown(asked)} is not allowed: {lists[0]} has {dim} entries (leave dim "
            "out: it follows)"
        )
    first = spectra[0][0]
    if first in given and not any(map(_traced, (given[name] for name in lists))):
        seen = given[first] != 0  # what is negative, the declaration refuses
        for name, _ in spectra[1:]:
            if name in given and np.any(given[name][~seen] != 0):
                raise ValueError(
                    f"{name} is positive in a direction in which {first} is 0: the theory needs "
                    "both, or neither"
                )
        given |= {name: given[name][seen] for name in lists}
        dim = int(np.sum(seen))
    return given | {"dim": dim}


def _traced(value: Any) -> bool:
    return isinstance(value, jax.core.Tracer)


def _missing(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.size == 0


def _diagonalised(given, vectors, spectra):
    """Matrices as eigenvalues in their common eigenbasis, by falling variance; vectors in it."""
    names = [matrix for _, matrix in spectra]
    for name in names:
        _check_matrix(name, given[name])
    first = given[names[0]]
    for name in names[1:]:
        if given[name].shape != first.shape:
            raise ValueError(
                f"{name} has shape {given[name].shape} and {names[0]} has {first.shape}"
            )
        commutator = first @ given[name] - given[name] @ first
        scale = np.linalg.norm(first, 2) * np.linalg.norm(given[name], 2)
        if np.max(np.abs(commutator), initial=0) > ROUNDING * scale:
            raise ValueError(
                f"{names[0]} and {name} do not commute: the theory needs a basis in which both are "
                "diagonal"
            )
    # A generic combination of commuting matrices has their common eigenvectors.
    mixed = sum(
        weight * given[name] / max(np.linalg.norm(given[name], 2), np.finfo(float).tiny)
        for weight, name in zip((1.0, 0.6180339887498949), names, strict=False)
    )
    basis = np.linalg.eigh((mixed + mixed.T) / 2)[1]
    found = {}
    for name, matrix in spectra:
        values = np.einsum("ik,ij,jk->k", basis, given[matrix], basis, optimize=True)
        largest = np.max(np.abs(values), initial=0)
        if np.min(values, initial=0) < -ROUNDING * largest:
            raise ValueError(
                f"{matrix} is not allowed: it has the eigenvalue {np.min(values):g}, and a "
                "covariance has none below 0"
            )
        found[name] = np.where(values > ROUNDING * largest, values, 0.0)
    order = np.argsort(-found[spectra[0][0]], kind="stable")
    rotated = {name: basis.T @ _vector(given, name, first) for name in vectors}
    kept = {name: value for name, value in given.items() if name not in names}
    return kept | {name: value[order] for name, value in (found | rotated).items()}


def _vector(given, name, matrix):
    if len(given[name]) != len(matrix):
        raise ValueError(
            f"{name} has {len(given[name])} entries for a covariance of {len(matrix)} features"
        )
    return given[name]


def _check_matrix(name, matrix):
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} is not allowed: it has shape {matrix.shape}, and must be square")
    if np.max(np.abs(matrix - matrix.T)) > ROUNDING * np.max(np.abs(matrix)):
        raise ValueError(f"{name} is not allowed: it is not symmetric")


# --------------------------------------------------------------------------------------------
# In theory and simulation
# --------------------------------------------------------------------------------------------
def is_given(values: Any) -> bool:
    """An optional array that is there."""
    return np.size(values) > 0


def spectrum_of(params: Any) -> Spectrum:
    """``lambda_k`` and ``s_k = lambda_k w_k^2``; zeros beyond the dimension where it is padded."""
    explicit = is_given(params.eigenvalues)
    dim = len(params.eigenvalues) if explicit else unpadded(params, "dim")
    named = named_spectrum(
        params.spectrum,
        dim,
        params.spectrum_exponent,
        params.source_exponent,
        params.signal_variance,
        size=None if isinstance(dim, int) else params.dim,
    )
    values = params.eigenvalues if explicit else named.eigenvalues
    if not is_given(params.teacher):
        return Spectrum(values, named.signal)
    return Spectrum(values, values * with_zeros(params.teacher, len(values)) ** 2)


def true_weights(params: Any) -> Any:
    """The teacher of a simulation: ``w_k``, positive for a named one."""
    if is_given(params.teacher):
        return params.teacher
    spectrum = spectrum_of(params)
    return jnp.sqrt(spectrum.signal / spectrum.eigenvalues)


def dimension(params: Any) -> Any:
    """Directions of positive variance, as a number: all of them, for a named spectrum."""
    if is_given(params.eigenvalues):
        return jnp.sum(params.eigenvalues > 0).astype(float)
    return unpadded(params, "dim")


def with_zeros(vector: Any, size: int) -> Any:
    """A vector at the length of padded arrays."""
    return jnp.pad(vector, (0, size - len(vector)))


def is_isotropic(params: Any) -> bool:
    """Equal eigenvalues, at concrete parameters."""
    if is_given(params.eigenvalues):
        return float(np.min(params.eigenvalues)) == float(np.max(params.eigenvalues))
    return params.spectrum == "isotropic"


def shrinks_too_little(params: Any) -> bool:
    """The ridge is below what an eigendecomposition resolves, at concrete parameters."""
    return bool(params.ridge < RESOLVED * jnp.max(spectrum_of(params).eigenvalues))


def growth(params: Any) -> float:
    """Exponent with which eigenvalues at equal ``k/d`` change with the dimension.

    Power laws are self-similar: with a penalty that grows like this too, the ratio ``kappa /
    lambda_k`` at equal ``k/d`` stays, and df2 grows with the size.
    """
    power_law = params.spectrum == "power_law" and not is_given(params.eigenvalues)
    return -params.spectrum_exponent if power_law else 0.0


def validate(params: Any) -> Any:
    """Refuse spectra whose smallest eigenvalue has no square in double precision.

    Returns
    -------
    Whether it is allowed: to be told of values that JAX traces, which are not refused here.
    """
    if is_given(params.eigenvalues):
        return validate_positive("eigenvalues", params.eigenvalues)
    return check_spectrum(params.spectrum, params.dim, params.spectrum_exponent)


def validate_positive(name: str, values: Any) -> Any:
    """Refuse eigenvalues of which one has no square in double precision; returns as `validate`."""
    least = float(np.sqrt(np.finfo(float).tiny))
    smallest = values.min()
    allowed = smallest >= least
    if not isinstance(allowed, jax.core.Tracer) and not allowed:
        raise ValueError(
            f"{name} = {smallest:g} is not allowed: positive ones must be at least {least:.3g}"
        )
    return allowed
