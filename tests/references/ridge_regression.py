"""arXiv 1903.08560 for any spectrum: the formulas with a bracketed root for kappa."""

from math import inf

import numpy as np

from tests.references.ridge_collapse import effective_penalty, explicit, spectrum_of


def theory(
    dim, num_samples, ridge, noise_std, spectrum, spectrum_exponent, source_exponent,
    signal_variance, **arrays,
):  # fmt: skip
    """All outputs; least squares and its isotropic interpolation at finite size."""
    named = spectrum_of(spectrum, dim, spectrum_exponent, source_exponent, signal_variance)
    eigen, squares = explicit(*named, **arrays)
    n, noise, gap = num_samples, noise_std**2, abs(num_samples - dim)
    kappa = effective_penalty(eigen, n, ridge)
    df1, df2 = (np.sum((eigen / (eigen + kappa)) ** j) for j in (1, 2))
    lost = np.sum(eigen * squares * (kappa / (eigen + kappa)) ** 2)
    bias = lost / (1 - df2 / n) if lost > 0 else 0.0
    if ridge > 0:
        variance = noise * df2 / (n - df2)
        train = (ridge / kappa) ** 2 * (bias + variance + noise)
    elif n >= dim:
        variance = noise * dim / (n - dim - 1) if gap > 1 else inf
        train = noise * (1 - dim / n)
    else:
        variance = noise * df2 / (n - df2)
        if np.ptp(eigen) == 0:
            variance = noise * n / (dim - n - 1) if gap > 1 else inf
        elif gap <= 1:
            variance = inf
        train = 0.0
    if noise == 0:
        variance = 0.0
    return {
        "test_error": bias + variance,
        "bias": bias,
        "variance": variance,
        "train_error": train,
        "kappa": kappa,
        "df1": df1,
        "df2": df2,
    }
