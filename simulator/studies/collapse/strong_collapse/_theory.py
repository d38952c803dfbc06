"""The outputs of one fit on a mixture, from its deterministic equivalent.

The four parts of the error are `simulator.maths.mixture_error` at the profiles of the study; what
is added here are the limit of infinitely many samples and the infinite means at interpolation
thresholds.
"""

import jax
import jax.numpy as jnp

from simulator.eigenbasis import dimension, spectrum_of
from simulator.maths.mixture_error import mixture_errors
from simulator.maths.mixture_resolvent import MixtureFit, mixture_fit
from simulator.studies.collapse.strong_collapse import _model as mixture

PARTS = ("bias", "variance", "synthetic_error", "cross_error")


def mixture_theory(params, width=None):
    """All outputs of ``strong-collapse`` and, with a ``width``, of its random projections."""
    spectrum = spectrum_of(params)
    fractions = mixture.fractions_of(params)
    weights, per = mixture.weights_per(fractions, params.weighting, params.mixing_weight)
    active = jnp.where(weights > 0, fractions, 0)
    num_samples = params.num_samples
    _, meets = interpolation_threshold(params, active, width)
    # n (1 - p2) = d up to rounding counts as enough samples: kappa = 0.
    num_samples = num_samples * jnp.where(meets, 1 + 400 * jnp.finfo(num_samples.dtype).eps, 1)

    def fit_of(n):
        problem = (spectrum.eigenvalues, n, fractions, weights, params.ridge, width, per)
        return mixture_fit(*problem, dim=dimension(params))

    # This fit and its limit n -> inf, solved side by side.
    both = jax.vmap(fit_of)(jnp.stack([num_samples, jnp.full_like(num_samples, jnp.inf)]))
    fit, limit = (jax.tree.map(lambda leaf, row=row: leaf[row], both) for row in (0, 1))
    parts = _with_infinities(params, fractions, active, fit, width)
    plateau = sum(error_parts(limit, params, fractions).values())
    return parts | {
        "plateau_error": plateau,
        "kappa": fit.kappa,
        "df1": fit.df1,
        "df2": fit.df2,
        "omega": jnp.where(meets, 0, fit.omega),
        "variance_inflation": jnp.where(meets, jnp.inf, fit.inflation),
    }


def error_parts(fit: MixtureFit, params, fractions):
    """The four parts."""
    spectrum, shift = spectrum_of(params), mixture.shift_of(params)
    cross = mixture.cross_of(params)
    noise_variances = mixture.noise_of(params) ** 2
    return mixture_errors(
        fit, spectrum.eigenvalues, fractions, noise_variances, spectrum.signal, shift, cross
    )._asdict()


def _with_infinities(params, fractions, active, fit, width):
    """The four parts and their sum, infinite where the mean over designs is.

    Without ridge the smallest singular value of the design has no finite inverse second moment if
    the number of active samples and of fitted directions differ by at most one. That hits what
    does not lie in the range of the features: label noise, the disagreement of two sources and,
    for fewer random features than inputs, the teacher itself.
    """
    diverges, meets = interpolation_threshold(params, active, width)
    noisy = jnp.any((active > 0) & (mixture.noise_of(params) > 0))
    shifted = (active[1] > 0) & (mixture.squared_shift(params) > 0)
    misfits = False if width is None else (width <= dimension(params)) & (fit.kappa > 0)
    # The parts that stay finite do not depend on the amplification, which is infinite.
    fit = fit._replace(
        amplification=jnp.where(meets, 0, fit.amplification),
        inflation=jnp.where(meets, 0, fit.inflation),
    )
    parts = error_parts(fit, params, fractions)
    infinite = {
        "bias": misfits,
        "variance": noisy,
        "synthetic_error": shifted & (misfits | (active[0] > 0)),
    }
    for name, condition in infinite.items():
        parts[name] = jnp.where(diverges & condition, jnp.inf, parts[name])
    total = sum(parts[name] for name in PARTS)
    undefined = diverges & misfits & shifted & mixture.is_correlated(params)
    parts["cross_error"] = jnp.where(undefined, jnp.nan, parts["cross_error"])
    return {"test_error": total} | parts


def interpolation_threshold(params, active, width=None):
    """Whether means diverge, and whether samples and fitted directions are equal in number."""
    samples = params.num_samples * jnp.sum(active)
    directions = dimension(params)
    if width is not None:
        directions = jnp.minimum(width, directions)
    gap = jnp.abs(samples - directions)
    rounding = 100 * jnp.finfo(samples.dtype).eps * directions
    possible = (params.ridge == 0) & (samples > 0)
    return possible & (gap <= 1), possible & (gap <= rounding)
