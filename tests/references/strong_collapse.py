"""arXiv 2410.04840: the unified formulas with nested brackets for omega and kappa.

Directions are summed with the paper's ``h_j``, ``eta``, ``tau`` and ``s2`` as they stand.
"""

from math import inf, nan

import numpy as np
from scipy.optimize import brentq

from tests.references.ridge_collapse import explicit, spectrum_of


def sources_of(p2, weighting, mixing_weight):
    """Fractions, and weights with 0 for a source that has no samples or no weight."""
    p = np.array([1 - p2, p2])
    a = np.ones(2)
    if weighting == "mixing":
        a = np.array([1 - mixing_weight, mixing_weight]) / np.where(p > 0, p, 1)
    return p, np.where(p > 0, a, 0.0)


def shift_of(profile, eigen, signal, total):
    share = {"whitened": np.ones_like(eigen), "isotropic": eigen, "signal": signal}[profile]
    return total * share / share.sum()


def labels_of(eigen, weights, profile, total, correlation, teacher=None, shift=None):
    """``g_k``, their sum, and the correlation of each direction's teacher and shift."""
    if shift is None:
        return shift_of(profile, eigen, eigen * weights, total), total, correlation
    found = eigen * np.asarray(shift) ** 2
    return found, found.sum(), np.sign(np.asarray(teacher) * np.asarray(shift))


def degrees(eigen, kappa, power):
    return np.sum((eigen / (eigen + kappa)) ** power)


def omega_at(df1, n, p, a):
    """Root of ``sum_j p_j a_j / (omega + a_j df1 / n) = 1``; None if ``df1 >= n_eff``."""
    active = p * a > 0
    if df1 >= n * p[active].sum():
        return None
    p, a = p[active], a[active]
    return brentq(
        lambda w: np.sum(p * a / (w + a * df1 / n)) - 1,
        0, np.sum(p * a) * (1 + 1e-12) + 1e-300, xtol=1e-300, rtol=1e-15,
    )  # fmt: skip


def kappa_of(eigen, n, p, a, ridge, width):
    """Root of ``ridge = kappa omega M`` by bracketing in the logarithm, or the edge of the
    admissible set without ridge."""
    dim = len(eigen)
    ranks = min(inf if width is None else width, n * p[p * a > 0].sum())

    def model(df1):
        return 1.0 if width is None else width / dim * (1 - df1 / width)

    if ridge == 0:
        if dim <= ranks + 1e-9:
            return 0.0

        def excess(log_kappa):
            return ranks - degrees(eigen, np.exp(log_kappa), 1)
    else:

        def excess(log_kappa):
            kappa = np.exp(log_kappa)
            df1 = degrees(eigen, kappa, 1)
            if df1 >= ranks:
                return -1.0
            return np.log(kappa * omega_at(df1, n, p, a) * model(df1) / ridge)

    low, high = -1.0, 1.0
    while excess(low) > 0:
        low -= 1
    while excess(high) < 0:
        high += 1
    if ridge > 0:  # move the lower end into the admissible set, where the excess is smooth
        inside, outside = high, low
        for _ in range(200):
            middle = (inside + outside) / 2
            if degrees(eigen, np.exp(middle), 1) >= ranks:
                outside = middle
            else:
                inside = middle
        low = max(low, inside)
    return np.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-15))


def parts(eigen, signal, shift, correlation, noise, n, p, a, ridge, width):
    """The four parts, and ``kappa, df1, df2, omega, eta tau``, at finite or infinite ``n``."""
    active = p * a > 0
    n_eff = n * p[active].sum()
    dim = len(eigen)
    ranks = dim if width is None else min(width, dim)
    interpolates = ridge == 0 and n_eff <= ranks
    if np.isinf(n):
        omega = np.sum(p * a)
        kappa = _kappa_of_many(eigen, omega, ridge, width)
    else:
        kappa = kappa_of(eigen, n, p, a, ridge, width)
        omega = 0.0 if interpolates else omega_at(degrees(eigen, kappa, 1), n, p, a)
    df1, df2 = degrees(eigen, kappa, 1), degrees(eigen, kappa, 2)
    q = 0.0 if width is None or kappa == 0 else (df1 - df2) / (width - df2)
    t1 = eigen / (eigen + kappa)
    t2 = t1**2 + q * kappa * eigen / (eigen + kappa) ** 2
    left = kappa**2 / (eigen + kappa) ** 2 + q * kappa * eigen / (eigen + kappa) ** 2
    d2 = t2.sum()
    both = np.sqrt(signal * shift)
    p2 = p[1] if active[1] else 0.0
    if interpolates:  # the weights drop out: unweighted, with the active samples only
        p = np.where(active, p, 0) / p[active].sum()
        p2, n = p[1], n_eff
    if interpolates or (np.all(a[active] == 1) and active.all()):
        u = 0.0 if np.isinf(n) else (d2 / n) / (1 - d2 / n)
        total = (1 + u) * left - 1 + 2 * t1
        found = (
            (1 + u) * np.sum(signal * left),
            u * np.sum(p * noise**2),
            np.sum(shift * (p2**2 * total + p[0] * p2 * u)),
            2 * p2 * np.sum(correlation * both * (total - t1)),
        )
        return found, (kappa, df1, df2, omega, u)
    e = df1 / (n * omega)
    h = np.where(active, a / (1 + a * e), 0.0)
    s2 = d2 / (n * omega**2)
    eta = np.sum(p * h**2)
    tau = s2 / (1 - eta * s2)
    h2, i = h[1], eta * tau
    found = (
        (1 + i) * np.sum(signal * left),
        tau * np.sum(p * h**2 * noise**2),
        np.sum(
            shift * (
                p2**2 * h2**2 * ((1 + i) * t2 / omega**2 - 2 * h2 * tau * t1 / omega)
                + p2 * h2**2 * tau
            )
        ),
        2 * p2 * h2 * np.sum(
            correlation * both
            * ((1 + i) * t2 / omega - (eta / omega + h2) * tau * t1 + h2 * tau - t1 / omega)
        ),
    )  # fmt: skip
    return found, (kappa, df1, df2, omega, i)


def _kappa_of_many(eigen, omega, ridge, width):
    """Infinitely many samples: ``ridge = kappa omega M``."""
    dim = len(eigen)
    if width is None:
        return ridge / omega
    if ridge == 0 and dim <= width:
        return 0.0

    def excess(log_kappa):
        kappa = np.exp(log_kappa)
        return kappa * omega * (width - degrees(eigen, kappa, 1)) / dim - ridge

    low, high = -60.0, 1.0
    while excess(high) < 0:
        high += 1
    if ridge == 0:
        low = -60.0
        return np.exp(brentq(lambda x: width - degrees(eigen, np.exp(x), 1), low, high, xtol=1e-15))
    return np.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-15))


def theory(
    dim, num_samples, synthetic_fraction, ridge, noise_std_real, noise_std_synthetic, spectrum,
    spectrum_exponent, source_exponent, signal_variance, synthetic_shift, shift_profile,
    shift_correlation, weighting, mixing_weight, width=None, eigenvalues=None, teacher=None,
    shift=None,
):  # fmt: skip
    named = spectrum_of(spectrum, dim, spectrum_exponent, source_exponent, signal_variance)
    eigen, weights = explicit(*named, eigenvalues, teacher)
    signal = eigen * weights
    shift, synthetic_shift, shift_correlation = labels_of(
        eigen, weights, shift_profile, synthetic_shift, shift_correlation, teacher, shift
    )
    noise = np.array([noise_std_real, noise_std_synthetic])
    p, a = sources_of(synthetic_fraction, weighting, mixing_weight)
    active = p * a > 0
    given = (eigen, signal, shift, shift_correlation, noise)
    plateau, _ = parts(*given, inf, p, a, ridge, width)

    n, n_eff = num_samples, num_samples * p[active].sum()
    ranks = dim if width is None else min(width, dim)
    diverges = ridge == 0 and abs(n_eff - ranks) <= 1 + 1e-9
    if diverges and abs(n_eff - ranks) < 1e-9:
        found, rest = _at_the_threshold(given, n, p, a, width)
    else:
        found, rest = parts(*given, n, p, a, ridge, width)
    bias, variance, synthetic, cross = found
    undefined = False
    if diverges:
        misfits = width is not None and width <= dim and rest[0] > 0
        if np.any(active & (noise > 0)):
            variance = inf
        if active[1] and synthetic_shift > 0 and (active[0] or misfits):
            synthetic = inf
        if misfits:
            bias = inf
            undefined = bool(active[1] and synthetic_shift > 0 and np.any(shift_correlation != 0))
    if width is None and weighting == "uniform" and ridge == 0 and n >= dim + 2:
        bias, variance, synthetic, cross = least_squares(dim, n, p, noise, synthetic_shift)
    return {
        "test_error": bias + variance + synthetic + (0.0 if undefined else cross),
        "bias": bias,
        "variance": variance,
        "synthetic_error": synthetic,
        "cross_error": nan if undefined else cross,
        "plateau_error": sum(plateau),
        "kappa": rest[0],
        "df1": rest[1],
        "df2": rest[2],
        "omega": rest[3],
        "variance_inflation": rest[4],
    }


def least_squares(dim, n, p, noise, shift):
    """Exact at finite size; ``p`` are fractions."""
    n1, n2 = p * n
    both = (dim + 2) * (n - 2) / ((n + 2) * (n - dim - 1))
    synthetic = shift * (n2 * (n2 - 1) + n1 * n2 * both) / (n * (n - 1))
    return 0.0, np.sum(p * noise**2) * dim / (n - dim - 1), synthetic, 0.0


def theory_of_steps(
    dim, num_samples, synthetic_fraction, ridge, noise_std_real, noise_std_synthetic, spectrum,
    spectrum_exponent, source_exponent, signal_variance, synthetic_shift, shift_profile,
    shift_correlation, num_steps, eigenvalues=None, teacher=None, shift=None,
):  # fmt: skip
    """The iteration of the weights' second moments ``C_k``, ``M_k``, in the weights' own units."""
    named = spectrum_of(spectrum, dim, spectrum_exponent, source_exponent, signal_variance)
    eigen, gamma = explicit(*named, eigenvalues, teacher)
    shift, _, shift_correlation = labels_of(
        eigen, gamma, shift_profile, synthetic_shift, shift_correlation, teacher, shift
    )
    delta = shift / eigen
    p1, p2 = 1 - synthetic_fraction, synthetic_fraction
    noise = p1 * noise_std_real**2 + p2 * noise_std_synthetic**2
    kappa = kappa_of(eigen, num_samples, np.array([1.0, 0]), np.array([1.0, 0]), ridge, None)
    infinite = ridge == 0 and abs(num_samples - dim) <= 1
    v = 0.0
    if not (ridge == 0 and num_samples == dim):
        v = eigen / (eigen + kappa) ** 2 / (num_samples - degrees(eigen, kappa, 2))
    f, t1 = kappa / (eigen + kappa), eigen / (eigen + kappa)
    b = kappa**2 * eigen / (eigen + kappa) ** 2
    second, mixed = delta, shift_correlation * np.sqrt(gamma * delta)
    errors = []
    hit = False
    for _ in range(num_steps + 1):
        hit = hit or (infinite and (noise > 0 or p1 * p2 * np.sum(eigen * second) > 0))
        second, mixed = (
            f**2 * gamma + v * np.sum(b * gamma) + noise * v
            - 2 * p2 * (f * mixed - f**2 * mixed - v * np.sum(b * mixed))
            + p2**2 * (t1**2 * second + v * np.sum(b * second))
            + p1 * p2 * v * np.sum(eigen * second),
            -f * gamma + p2 * t1 * mixed,
        )  # fmt: skip
        errors.append(inf if hit else np.sum(eigen * second))
    return {"test_error": errors}


def theory_of_two_covariances(
    dim, num_samples, synthetic_fraction, ridge, noise_std_real, noise_std_synthetic, spectrum,
    spectrum_exponent, source_exponent, signal_variance, synthetic_shift, shift_profile,
    spectrum_synthetic, spectrum_exponent_synthetic, covariance_scale_synthetic, weighting,
    mixing_weight, eigenvalues=None, teacher=None, shift=None, eigenvalues_synthetic=None,
):  # fmt: skip
    """Damped iteration for ``e_k`` and 2 x 2 linear algebra, as the dossier has it."""
    named = spectrum_of(spectrum, dim, spectrum_exponent, source_exponent, signal_variance)
    eigen, weights = explicit(*named, eigenvalues, teacher)
    shift, synthetic_shift, _ = labels_of(
        eigen, weights, shift_profile, synthetic_shift, 0.0, teacher, shift
    )
    k = np.arange(1.0, dim + 1)
    other = np.ones(dim) if spectrum_synthetic == "isotropic" else k**-spectrum_exponent_synthetic
    other = other if eigenvalues_synthetic is None else np.asarray(eigenvalues_synthetic)
    sigma = np.stack([eigen, covariance_scale_synthetic * other])
    p, a = sources_of(synthetic_fraction, weighting, mixing_weight)
    active = p * a > 0
    n, noise = num_samples, np.array([noise_std_real, noise_std_synthetic])
    n_eff = n * p[active].sum()
    interpolates = ridge == 0 and n_eff < dim
    lam = 1.0 if interpolates else ridge
    e = sigma.sum(axis=1) / n if interpolates else np.zeros(2)
    for _ in range(5000):
        h = np.where(active, 1 / e if interpolates else a / (1 + a * e), 0.0)
        g = 1 / (p[0] * h[0] * sigma[0] + p[1] * h[1] * sigma[1] + lam)
        new = (e + sigma @ g / n) / 2
        if np.max(np.abs(new / np.where(e > 0, e, 1) - 1)) < 1e-15:
            break
        e = new
    t = sigma @ (g * eigen * g) / n
    matrix = (sigma * g) @ (sigma * g).T / n * (p * h**2)
    traces = np.linalg.solve(np.eye(2) - matrix, t)
    second = g * eigen * g + (p * h**2 * traces) @ (g * sigma * g)
    p2, h2, t2 = p[1] * active[1], h[1], traces[1]
    bias = lam**2 * np.sum(weights * second)
    variance = np.sum(p * h**2 * noise**2 * traces)
    own = p2**2 * h2**2 * sigma[1] ** 2 * (second - 2 * h2 * t2 * g)
    synthetic = np.sum(shift / eigen * (own + p2 * h2**2 * t2 * sigma[1]))
    if ridge == 0 and abs(n_eff - dim) <= 1:
        variance = inf if np.any(active & (noise > 0)) else 0.0
        synthetic = inf if p2 * (p[0] * active[0]) * synthetic_shift > 0 else synthetic
    return {
        "test_error": bias + variance + synthetic,
        "bias": bias,
        "variance": variance,
        "synthetic_error": synthetic,
    }


def _at_the_threshold(given, n, p, a, width):
    """As many active samples as directions: the finite parts are those without amplification."""
    eigen, signal, shift, correlation, _ = given
    active = p * a > 0
    kappa = kappa_of(eigen, n, p, a, 0.0, width)
    p2 = p[1] * active[1] / p[active].sum()
    df1, df2 = degrees(eigen, kappa, 1), degrees(eigen, kappa, 2)
    t1 = eigen / (eigen + kappa)
    if kappa == 0:
        found = (0.0, 0.0, p2**2 * np.sum(shift), 0.0)
    else:
        q = 0.0 if width is None else (df1 - df2) / (width - df2)
        t2 = t1**2 + q * kappa * eigen / (eigen + kappa) ** 2
        found = (
            np.sum(signal * (1 - 2 * t1 + t2)), 0.0, p2**2 * np.sum(shift * t2),
            2 * p2 * correlation * np.sum(np.sqrt(signal * shift) * (t2 - t1)),
        )  # fmt: skip
    return found, (kappa, df1, df2, 0.0, inf)
