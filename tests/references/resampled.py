"""Theories on the user's data, from those of the named spectra: explicit arrays in, plain NumPy."""

import numpy as np

from tests.references import ridge_collapse, strong_collapse

SHARED = ("test_error", "bias", "variance", "generator_variance", "clean_test_error")


def generations(
    rows, eigenvalues, teacher, residuals, law, num_samples, num_samples_generator,
    num_generations, ridge, ridge_generator, noise_scale, noise_scale_generator,
):  # fmt: skip
    """arXiv 2402.07712, whatever the law of the rows."""
    residual = np.std(np.asarray(residuals))
    found = ridge_collapse.errors_of(
        np.mean(np.asarray(rows) ** 2, axis=0), np.asarray(teacher) ** 2, num_samples,
        num_samples_generator, num_generations, ridge, ridge_generator, noise_scale * residual,
        noise_scale_generator * residual,
    )  # fmt: skip
    return {name: found[name] for name in (*SHARED, "excess_error", "kappa", "df1", "df2")}


def mixture(
    rows, eigenvalues, teacher, residuals, shift, law, num_samples, synthetic_fraction, ridge,
    noise_scale, noise_std_synthetic,
):  # fmt: skip
    """arXiv 2410.04840, theorem 1, with a teacher and a shift that are known."""
    eigen, teacher, shift = (
        np.mean(np.asarray(rows) ** 2, axis=0),
        *map(np.asarray, (teacher, shift)),
    )
    noise = np.array([noise_scale * np.std(np.asarray(residuals)), noise_std_synthetic])
    p, a = strong_collapse.sources_of(synthetic_fraction, "uniform", 0.0)
    signal, shifted = eigen * teacher**2, eigen * shift**2
    # The program correlates all directions alike; here each has its own sign.
    parts = [
        strong_collapse.parts(
            eigen, signal * chosen, shifted * chosen, sign, noise, num_samples, p, a, ridge, None
        )
        for sign, chosen in ((1, teacher * shift > 0), (-1, teacher * shift <= 0))
    ]
    (first, rest), (second, _) = parts
    bias, synthetic, cross = (first[i] + second[i] for i in (0, 2, 3))
    variance = first[1]
    return {
        "test_error": bias + variance + synthetic + cross,
        "bias": bias,
        "variance": variance,
        "synthetic_error": synthetic,
        "cross_error": cross,
        **dict(zip(("kappa", "df1", "df2"), rest, strict=False)),
    }


def corpus(
    counts, num_samples, cutoff, real_fraction, *, renormalised=True, tested_on="p",
    sampling="multinomial", correlated=True,
):  # fmt: skip
    """arXiv 2402.07043 on a finite list of tokens, with the whole matrix of covariances.

    The switches make wrong versions of it.
    """
    p = np.asarray(counts) / np.sum(counts)
    kept = np.where(np.arange(1, len(p) + 1) <= cutoff, p, 0.0)
    q = real_fraction * p + (1 - real_fraction) * kept / (kept.sum() if renormalised else 1.0)
    t = num_samples
    missed = (1 - np.minimum(q, 1)) ** t if sampling == "multinomial" else np.exp(-t * q)
    covariance = np.clip(1 - q[:, None] - q, 0, 1) ** t - np.outer(missed, missed)
    if not correlated:
        covariance = np.zeros_like(covariance)
    np.fill_diagonal(covariance, missed * (1 - missed))
    tested = p if tested_on == "p" else q
    return {
        "test_error": tested @ missed,
        "test_error_std": np.sqrt(max(p @ covariance @ p, 0.0)),  # negative for no law
        "plateau_error": np.sum(p[kept == 0]),
        "num_distinct_tokens": np.sum(1 - missed),
    }
