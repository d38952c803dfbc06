"""The error of one fit on a mixture of real and synthetic labels, in four parts.

Real labels ``x.w + N(0, sigma_1^2)``, synthetic labels ``x.(w + delta) + N(0, sigma_2^2)``; error
on real labels. From the equivalent of the fit, with the gains ``c_j = h_j / omega``,
``G = sum_j p_j c_j^2``, amplification ``U = tau omega^2`` and inflation ``I = eta tau = G U`` of
`simulator.maths.mixture_resolvent` (unweighted: ``c_j = G = 1``, ``I = U = u``), and
``R_k = 1 - 2 t1_k + t2_k``:

    bias       (1 + I) sum_k s_k R_k
    variance   U sum_j p_j c_j^2 sigma_j^2
    synthetic  sum_k g_k { p2^2 c2^2 t2_k + U p2 c2^2 [1 - 2 p2 c2 t1_k + p2 G t2_k] }
    cross      2 p2 c2 sum_k x_k { (1 + I)(t2_k - t1_k) + c2 U (1 - t1_k) }

for ``s_k = lambda_k E w_k^2``, ``g_k = lambda_k E delta_k^2``, ``x_k = lambda_k E w_k delta_k``
(arXiv 2410.04840, theorems 1 and 2, for correlated shifts and weighted samples). Asymptotic,
relative error ``O(1/df2)``.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from simulator.maths.mixture_resolvent import MixtureFit
from simulator.maths.resolvent import shrinkage


class MixtureErrors(NamedTuple):
    """The four parts; their sum is the excess test error."""

    bias: Float[Array, ""]
    variance: Float[Array, ""]
    synthetic_error: Float[Array, ""]
    cross_error: Float[Array, ""]


def mixture_errors(
    fit: MixtureFit,
    eigenvalues: Float[Array, " dim"],
    fractions: Float[Array, "2"],
    noise_variances: Float[Array, "2"],
    signal: Float[Array, " dim"],
    shift: Float[Array, " dim"],
    cross: Float[Array, " dim"],
) -> MixtureErrors:
    """The four parts of the module docstring.

    Parameters
    ----------
    fit : MixtureFit
        Of the same eigenvalues and fractions.
    eigenvalues : array (dim,)
    fractions, noise_variances : array (2,)
        ``p_j`` and ``sigma_j^2``, the real source first.
    signal, shift, cross : array (dim,)
        ``s_k``, ``g_k`` and ``x_k``. A known teacher and shift enter with their own values.
    """
    (p1, p2), (c1, c2) = fractions, fit.gain
    lost = shrinkage(eigenvalues, fit.kappa)  # 1 - t1
    spread = fit.shrinkage - lost**2  # t2 - t1^2, of random features
    # In positive terms, by p1 c1 + p2 c2 = 1: U is huge near an interpolation threshold.
    unlearnt = (p1 * c1 + p2 * c2 * lost) ** 2 + (p2 * c2) ** 2 * spread
    unlearnt = unlearnt + p1 * p2 * c1**2 * fit.response_square  # 1 - 2 p2 c2 t1 + p2 G t2
    kept = p2**2 * c2**2 * fit.response_square + fit.amplification * p2 * c2**2 * unlearnt
    differing = p1 * c1 * (c2 - c1) * lost + fit.gain_square * fit.shrinkage
    crossed = fit.amplification * differing + fit.shrinkage - lost
    return MixtureErrors(
        bias=(1 + fit.inflation) * jnp.sum(signal * fit.shrinkage),
        variance=fit.amplification * jnp.sum(fractions * fit.gain**2 * noise_variances),
        synthetic_error=jnp.sum(shift * kept),
        cross_error=2 * p2 * c2 * jnp.sum(cross * crossed),
    )
