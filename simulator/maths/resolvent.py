"""Deterministic equivalents of ridge regression with Gaussian inputs.

For ``X`` with ``T`` rows ``N(0, Sigma)``, ``Sigma = diag(lambda)``, and a penalty ``lambda``, the
random resolvent acts on average like a deterministic one with the *effective penalty* ``kappa``,

    kappa (1 - df1(kappa) / T) = lambda,     df_j(kappa) = sum_k (lambda_k / (lambda_k + kappa))^j.

`ridge_fit` gathers what one fit ``w_hat = (X^T X / T + lambda)^-1 X^T y / T`` does to a quadratic
form of its labelling weights, `ErrorForm`, so that chains of fits are chains of two calls.
Notation of arXiv 2402.07712. The equivalents err by
``O(1/dim)`` (``O(1/df2)`` for fast-decaying spectra) and are replaced by exact finite-size formulas
without ridge where such exist.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from simulator.maths.roots import MAX_ITERATIONS, nonzero_slope
from simulator.maths.slopes import ratio
from simulator.runtime.shapes import Numbers, Scalar

HARDLY = 1 / 400  # a relative move after which two Newton steps leave rounding only


# ------------------------------------------------------------------------------------------------
# The effective penalty
# ------------------------------------------------------------------------------------------------
def degrees_of_freedom(
    eigenvalues: Float[Array, " dim"],
    kappa: Scalar,
    order: int = 1,
    weights: Float[Array, " dim"] | None = None,
) -> Float[Array, ""]:
    """``df_j(kappa) = sum_k weights_k (lambda_k / (lambda_k + kappa))^order``."""
    return jnp.sum(_multiplicity(eigenvalues, weights) * survival(eigenvalues, kappa) ** order)


def survival(eigenvalues: Float[Array, " dim"], kappa: Scalar) -> Float[Array, " dim"]:
    """``S_k = lambda_k / (lambda_k + kappa)``: how much of direction k a fit keeps on average.

    A direction without variance is never learned: ``S_k = 0``, also at ``kappa = 0``.
    """
    return ratio(eigenvalues, eigenvalues + kappa)


def shrinkage(eigenvalues: Float[Array, " dim"], kappa: Scalar) -> Float[Array, " dim"]:
    """``1 - S_k = kappa / (lambda_k + kappa)``, without cancellation; 1 at ``kappa = inf``."""
    finite = jnp.isfinite(kappa)
    safe = jnp.where(finite, kappa, 1)
    return jnp.where(finite, ratio(safe, eigenvalues + safe, otherwise=1), 1)


def effective_penalty(
    eigenvalues: Float[Array, " dim"],
    num_samples: Scalar,
    ridge: Scalar,
    weights: Float[Array, " dim"] | None = None,
) -> Float[Array, ""]:
    """Largest root ``kappa`` of ``kappa (1 - df1(kappa) / num_samples) = ridge``.

    Without ridge it is exactly 0 if ``num_samples >= rank``, else ``df1(kappa) = num_samples``.
    Infinitely many samples leave ``kappa = ridge``.

    Parameters
    ----------
    eigenvalues : array (dim,)
        ``lambda_k >= 0``.
    num_samples, ridge : float
        ``T > 0`` (may be real, or infinite) and ``lambda >= 0``.
    weights : array (dim,), optional
        Multiplicity of every eigenvalue, for a spectrum given by its distinct eigenvalues.

    Notes
    -----
    ``df1 = sum_k w_k lambda_k r_k``, ``r_k = 1 / (lambda_k + kappa)``, is a mixture of functions
    ``1 / (b + kappa)``. The one of them that has its value and slope lies below it everywhere
    (Jensen), so that the root with it in place of ``df1``, of a quadratic equation, lies below
    ``kappa``, and above the point before: from ``kappa = ridge`` the iteration increases to the
    root, exactly in one step where the eigenvalues are equal, and within 3 for most spectra.
    It stops after a move of `HARDLY`, which leaves an error of about the square of that. Two
    recorded Newton steps make it rounding, and give exact first derivatives,
    ``d kappa / d ridge = 1 / (1 - df2/T)`` (see `roots`), and second ones to 1e-9.
    """
    eigenvalues = jnp.asarray(eigenvalues, float)
    weights = _multiplicity(eigenvalues, weights)
    num_samples = jnp.asarray(num_samples, float)
    ridge = jnp.asarray(ridge, float)
    positive = _positive(eigenvalues, weights)
    frozen = lax.stop_gradient((eigenvalues, weights, num_samples, ridge))

    def unfinished(carry):
        iteration, kappa, previous = carry
        return (iteration < MAX_ITERATIONS) & (kappa - previous > HARDLY * kappa)

    def step(carry):
        iteration, kappa, _ = carry
        return iteration + 1, _single_eigenvalue_step(kappa, *frozen, positive), kappa

    start = frozen[-1]
    carry = (jnp.int32(0), start, jnp.full_like(start, -jnp.inf))
    kappa = lax.while_loop(unfinished, step, carry)[1]
    keep, lose = _kept_and_lost(eigenvalues, kappa)
    kappa = _newton_step(kappa, keep, lose, eigenvalues, weights, num_samples, ridge)
    # Derivatives of quotients are rounded better than those of products with an inverse.
    keep, lose = survival(eigenvalues, kappa), shrinkage(eigenvalues, kappa)
    return _newton_step(kappa, keep, lose, eigenvalues, weights, num_samples, ridge)


def _single_eigenvalue_step(kappa, eigenvalues, weights, num_samples, ridge, positive):
    """The root with ``df1 = a / (b + kappa)``, which has the value and slope of ``df1`` here."""
    inverse = ratio(1, eigenvalues + kappa)
    keep = eigenvalues * inverse
    df2, slope = jnp.sum(weights * keep**2), jnp.sum(weights * keep * inverse)
    single = ratio(df2, slope)  # b
    # `_fraction`, mostly of sums that are there already: this is where the time goes.
    df1, lost = df2 + kappa * slope, kappa * jnp.sum(positive * inverse)
    surplus = num_samples - jnp.sum(positive)
    left = jnp.where(surplus >= 0, surplus + lost, num_samples - df1)
    fraction = jnp.where(jnp.isfinite(num_samples), left / num_samples, 1)
    excess = ridge + kappa - (kappa + single) * fraction
    # kappa^2 - excess kappa - mean^2 = 0
    mean = jnp.sqrt(ridge) * jnp.sqrt(single)
    root = jnp.hypot(excess, 2 * mean)
    found = jnp.where(excess > 0, (excess + root) / 2, 2 * mean * ratio(mean, root - excess))
    return jnp.where(jnp.isfinite(ridge), found, ridge)


def _newton_step(kappa, keep, lose, eigenvalues, weights, num_samples, ridge):
    numerator = ridge + kappa * jnp.sum(weights * keep * lose) / num_samples
    positive = _positive(eigenvalues, weights)
    slope = _fraction(positive, num_samples, keep**2, lose * (1 + keep))
    return numerator / nonzero_slope(slope)


def _kept_and_lost(eigenvalues, kappa):
    """`survival` and `shrinkage` by one division."""
    inverse, finite = ratio(1, eigenvalues + kappa), jnp.isfinite(kappa)
    lose = jnp.where(finite, jnp.where(finite, kappa, 1) * inverse, 1)
    return eigenvalues * inverse, lose


def residual_fraction(
    eigenvalues: Float[Array, " dim"],
    kappa: Scalar,
    num_samples: Scalar,
    order: int = 1,
    weights: Float[Array, " dim"] | None = None,
) -> Float[Array, ""]:
    """``1 - df_order(kappa) / num_samples`` (order 1 or 2), accurate also near 0."""
    finite = jnp.isfinite(num_samples)
    count = jnp.where(finite, num_samples, 1)
    left = samples_left(eigenvalues, kappa, count, order, weights)
    return jnp.where(finite, left / count, 1)


def samples_left(
    eigenvalues: Float[Array, " dim"],
    kappa: Scalar,
    num_samples: Scalar,
    order: int = 1,
    weights: Float[Array, " dim"] | None = None,
) -> Float[Array, ""]:
    """``T - df_order(kappa)`` (order 1 or 2) for finite ``T``.

    With at least as many samples as directions it is summed from positive terms,
    ``T - df1 = (T - d) + sum_k (1 - S_k)`` and ``1 - S_k^2 = (1 - S_k)(1 + S_k)``.
    """
    weights = _multiplicity(eigenvalues, weights)
    rank = _rank(eigenvalues, weights)
    keep = survival(eigenvalues, kappa)
    lose = jnp.where(eigenvalues > 0, shrinkage(eigenvalues, kappa), 0)
    lost = jnp.sum(weights * (lose if order == 1 else lose * (1 + keep)))
    surplus = (num_samples - rank) + lost
    deficit = num_samples - jnp.sum(weights * keep**order)
    return jnp.where(num_samples >= rank, surplus, deficit)


def _fraction(positive, num_samples, kept, lost):
    finite = jnp.isfinite(num_samples)
    count = jnp.where(finite, num_samples, 1)
    return jnp.where(finite, _left(positive, count, kept, lost) / count, 1)


def _left(positive, num_samples, kept, lost):
    surplus = num_samples - jnp.sum(positive)
    total = jnp.sum(positive * jnp.where(surplus >= 0, lost, kept))
    return jnp.where(surplus >= 0, surplus + total, num_samples - total)


def _multiplicity(eigenvalues, weights):
    return jnp.ones_like(eigenvalues) if weights is None else jnp.asarray(weights, float)


def _rank(eigenvalues, weights):
    return jnp.sum(_positive(eigenvalues, weights))


def _positive(eigenvalues, weights):
    """The weights of the directions that have variance."""
    return jnp.where(eigenvalues > 0, weights, 0)


# ------------------------------------------------------------------------------------------------
# Quadratic forms of a fit
# ------------------------------------------------------------------------------------------------
class ErrorForm(NamedTuple):
    """Second moment of ``A_1 ... A_n w - w`` for fits ``A_i``, per direction and unit of variance.

    With ``l_k / lambda_k = 1 - forgotten_k`` the mean and ``b_k / lambda_k = (1 - forgotten_k)^2 +
    spread_k`` the second moment of what the fits keep of direction ``k``, the mean error is
    ``sum_k lambda_k w_k^2 (1 - 2 l_k/lambda_k + b_k/lambda_k)``. Both entries are sums of positive
    terms, so nothing cancels and nothing overflows for steep power laws.
    """

    forgotten: Array  # (dim,)
    spread: Array  # (dim,)

    def second_moment(self) -> Array:
        """``b_k / lambda_k``; shape (dim,)."""
        return (1 - self.forgotten) ** 2 + self.spread

    def error(self, signal) -> Array:
        """``sum_k s_k (1 - 2 l_k/lambda_k + b_k/lambda_k)`` for ``s_k = lambda_k w_k^2``."""
        return jnp.sum(signal * (self.forgotten**2 + self.spread))


class RidgeFit(NamedTuple):
    """Deterministic equivalent of one ridge fit; see `ridge_fit`."""

    kappa: Array
    df1: Array
    df2: Array
    survival: Array  # (dim,) S_k
    shrinkage: Array  # (dim,) 1 - S_k
    weights: Array  # (dim,) multiplicities
    spread_factor: Array  # 1 / (T - df2)
    noise_factor: Array  # the same, or its exact replacement without ridge

    def propagate(self, form: ErrorForm) -> ErrorForm:
        """The form before this fit, given the form after it: ``b <- quad(b)``, ``l <- S l``."""
        return ErrorForm(
            forgotten=self.shrinkage + self.survival * form.forgotten,
            spread=self.survival**2 * form.spread
            + self.shrinkage**2 * self.spread_factor * self._trace(form),
        )

    def noise(self, form: ErrorForm) -> Array:
        """Contribution of label noise of variance 1 in this fit: ``noise(b)``; may be ``inf``."""
        finite = jnp.isfinite(self.noise_factor)
        value = jnp.where(finite, self.noise_factor, 1) * self._trace(form)
        return jnp.where(finite, value, jnp.inf)

    def _trace(self, form):
        """``sum_k b_k lambda_k / (lambda_k + kappa)^2``."""
        return jnp.sum(self.weights * self.survival**2 * form.second_moment())


def no_fit(eigenvalues: Float[Array, " dim"]) -> ErrorForm:
    """The form before any fit: nothing forgotten, no spread (``b = l = lambda``)."""
    zero = jnp.zeros(jnp.shape(eigenvalues), float)
    return ErrorForm(zero, zero)


def ridge_fit(
    eigenvalues: Float[Array, " dim"],
    num_samples: Scalar,
    ridge: Scalar,
    weights: Float[Array, " dim"] | None = None,
    exact: bool | Bool[Array, ""] = True,
) -> RidgeFit:
    """Equivalent of ``A = (X^T X/T + ridge)^-1 X^T X/T`` and of its response to label noise.

    Mean ``E A = diag(S)``; second moment ``E A^T B A = diag(quad(b))``,
    ``quad(b)_k = S_k^2 b_k + kappa^2 lambda_k/(lambda_k + kappa)^2 noise(b)``; noise
    ``noise(b) = sum_j b_j lambda_j/(lambda_j + kappa)^2 / (T - df2)``, for ``B = diag(b)``.

    Without ridge the noise is exact at finite size: ``sum_j (b_j/lambda_j) / (T - d - 1)`` for
    ``T >= d``; for ``T < d`` and equal eigenvalues ``mean(b/lambda) T / (d - T - 1)``; and infinite
    for ``|T - d| <= 1``. Parameters as in `effective_penalty`; with ``exact = False`` (it may be
    traced) the noise is the equivalent's without ridge too.
    """
    eigenvalues = jnp.asarray(eigenvalues, float)
    weights = _multiplicity(eigenvalues, weights)
    num_samples, ridge = (jnp.asarray(x, float) for x in (num_samples, ridge))
    kappa = effective_penalty(eigenvalues, num_samples, ridge, weights)
    fraction = residual_fraction(eigenvalues, kappa, num_samples, 2, weights)
    spread_factor = 1 / num_samples / nonzero_slope(fraction)
    replaced = _exact_factor(eigenvalues, num_samples, weights, spread_factor)
    return RidgeFit(
        kappa=kappa,
        df1=degrees_of_freedom(eigenvalues, kappa, 1, weights),
        df2=degrees_of_freedom(eigenvalues, kappa, 2, weights),
        survival=survival(eigenvalues, kappa),
        shrinkage=shrinkage(eigenvalues, kappa),
        weights=weights,
        spread_factor=spread_factor,
        noise_factor=jnp.where(exact & (ridge == 0), replaced, spread_factor),
    )


def noise_variance(variance: Scalar, noise: Numbers) -> Float[Array, "..."]:
    """``variance * noise``, where a variance of 0 contributes 0 even if ``noise`` is infinite."""
    return variance * jnp.where((variance > 0) | jnp.isfinite(noise), noise, 0)


def _exact_factor(eigenvalues, num_samples, weights, spread_factor):
    excess = num_samples - _rank(eigenvalues, weights)
    diverges = jnp.abs(excess) <= 1
    ordinary = ~diverges & jnp.isfinite(excess)
    gap = jnp.where(ordinary, jnp.abs(excess), 2) - 1  # |T - d| - 1 > 0
    overdetermined = 1 / gap
    # For equal eigenvalues S = T/d; this turns T/(d - T) into the exact T/(d - T - 1).
    underdetermined = spread_factor * (gap + 1) / gap
    smallest = jnp.min(jnp.where(eigenvalues > 0, eigenvalues, jnp.inf))
    isotropic = smallest == jnp.max(eigenvalues)
    exact = jnp.where(
        excess >= 0, overdetermined, jnp.where(isotropic, underdetermined, spread_factor)
    )
    return jnp.where(ordinary, exact, jnp.where(diverges, jnp.inf, 0))
