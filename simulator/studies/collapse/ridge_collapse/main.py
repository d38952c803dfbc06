"""Iterated self-training of linear regressors.

Question. A labeller is refitted ``n`` times on data labelled by its predecessor, then a ridge model
is trained on the labels of the last one. How large is its error on the true labels, how must its
penalty be re-tuned, and which scaling exponents survive?

Model. Inputs ``x ~ N(0, Σ)`` in ``R^d``, true weights ``w0``. Generator ``m = 1..n`` draws ``T0``
inputs, labels them ``y = x·ŵ_{m-1} + N(0, σ0²)`` (``ŵ_0 = w0``) and fits ``ŵ_m`` by least squares
of smallest norm (or ridge ``λ0``). The downstream model is fitted to ``T`` inputs labelled
``x·ŵ_n + N(0, σ²)`` by ``(XᵀX/T + λ)⁻¹ XᵀY/T``. Error: ``E‖ŵ - w0‖²_Σ``, without the noise ``σ²``.

Theory. With ``df_j(κ) = Σ_k (λ_k/(λ_k+κ))^j`` and the effective penalty ``κ``,
``κ (1 - df1(κ)/T) = λ``, one fit acts on a quadratic form as in `simulator.maths.resolvent`; the
errors follow by recursion over the fits, last one first (`simulator.maths.generations`):

    test_error = bias + variance + generator_variance,
    clean (n = 0):  [κ² Σ_k λ_k w_k²/(λ_k+κ)² + σ² df2/T] / (1 - df2/T),
    T0 >= d + 2, λ0 = 0:  test_error = clean + n σ0² ρ,
                          ρ = df2 (T + d - 2 df1) / [(T - df2)(T0 - d - 1)].

Asymptotic with relative error O(1/d) (O(1/df2) for power laws); exact without ridge if the spectrum
is isotropic or every fit has more samples than features. Infinite label-noise terms at ``λ = 0``,
``|T - d| <= 1`` are ``inf``.

Reference: E. Dohmatob, Y. Feng, J. Kempe, "Model Collapse Demystified: The Case of Regression",
NeurIPS 2024, arXiv 2402.07712.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular

from simulator.maths.generations import last_errors
from simulator.maths.least_squares import ridge_solution
from simulator.maths.resolvent import ridge_fit
from simulator.maths.slopes import only_slope
from simulator.maths.spectra import check_spectrum, eigenvalue_growth, eigenvalues, named_spectrum
from simulator.parameters import choice, parameters, static, traced
from simulator.sampling.bidiagonal import isotropic_ridge
from simulator.sampling.increments import increment_variance, least_squares_increment
from simulator.sampling.trapezoid import active_rows, trapezoidal_factor
from simulator.studies.collapse.ridge_collapse import PAPER
from simulator.study import Figure, Study, asymptotic, both, exact, theory_only

SPECTRA = ("isotropic", "power_law")


@parameters
class Params:
    dim: int = static(200, at_least=2, grows=1)
    num_samples: int = traced(
        400, symbol="T", detail="of the downstream fit", at_least=1, static_in=("direct",), grows=1
    )
    num_samples_generator: int = traced(
        400, symbol="T₀", at_least=1, static_in=("direct",), grows=1
    )
    num_generations: int = static(
        5,
        symbol="n",
        detail="between truth and model",
        at_least=0,
        traced_in=("theory", "fast", "conditional"),
    )
    ridge: float = traced(0.1, detail="of the downstream fit", at_least=0, grows=eigenvalue_growth)
    ridge_generator: float = traced(
        0.0, "λ₀", "penalty of each generator", at_least=0, grows=eigenvalue_growth
    )
    noise_std: float = traced(0.5, detail="of the downstream fit", at_least=0)
    noise_std_generator: float = traced(0.5, "σ₀", "label noise of each generator", at_least=0)
    spectrum: str = choice("isotropic", SPECTRA)
    spectrum_exponent: float = traced(1.5, above=0)
    source_exponent: float = traced(0.5, above=0)
    signal_variance: float = traced(1.0, above=0)
    design: str = choice(
        "independent", ("independent", "same"), "–", "inputs of the generators: fresh or shared"
    )


def theory(params):
    """Errors by recursion over the fits (arXiv 2402.07712).

    Asymptotic O(1/d), exact where the module docstring says so; the random key plays no role.
    """
    ridges = jnp.stack([params.ridge, params.ridge_generator])
    none, fixed = ridges == 0, lax.stop_gradient(ridges)
    values = _outputs(params, jnp.where(none, fixed, ridges), jnp.ones(2, bool))
    # The value without a ridge is exact; with one the equivalent goes on from there.
    onwards = jax.vmap(
        lambda mine: _outputs(lax.stop_gradient(params), jnp.where(mine, ridges, fixed), ~mine)
    )(jnp.eye(2, dtype=bool))
    return {
        name: value + jnp.sum(jnp.where(none, only_slope(onwards[name]), 0))
        for name, value in values.items()
    }


def _outputs(params, ridges, exact):
    """The recursion for the ridges (downstream, generator); ``exact`` or not where they are 0."""
    spectrum = _spectrum(params)
    downstream, generator = (
        ridge_fit(spectrum.eigenvalues, count, ridges[i], exact=exact[i])
        for i, count in enumerate((params.num_samples, params.num_samples_generator))
    )
    errors = last_errors(
        spectrum,
        downstream,
        generator,
        params.noise_std,
        params.noise_std_generator,
        params.num_generations,
        same_design=params.design == "same",
    )
    return {
        "test_error": errors.bias + errors.variance + errors.generator_variance,
        "bias": errors.bias,
        "variance": errors.variance,
        "generator_variance": errors.generator_variance,
        "clean_test_error": errors.clean_bias + errors.variance,
        "excess_error": (errors.bias - errors.clean_bias) + errors.generator_variance,
        "collapse_slope": errors.collapse_slope,
        "kappa": downstream.kappa,
        "kappa_generator": generator.kappa,
        "df1": downstream.df1,
        "df2": downstream.df2,
    }


def simulate_direct(key, params):
    """The model taken literally: every generation draws its inputs and labels and is fitted."""
    eigen = _spectrum(params).eigenvalues
    key_generators, key_downstream = jax.random.split(key)

    def draw(key, num_samples):
        key_inputs, key_noise = jax.random.split(key)
        normal = jax.random.normal(key_inputs, (num_samples, params.dim), float)
        noise = jax.random.normal(key_noise, (num_samples,), float)
        return normal * jnp.sqrt(eigen), noise

    def fit(weights, inputs, noise, ridge, column):
        labels = (inputs @ weights).at[:, column].add(noise)
        return ridge_solution(inputs, labels, len(inputs) * ridge)

    def generation(weights, key):
        inputs, noise = draw(key, params.num_samples_generator)
        if params.design == "same":
            inputs, _ = draw(key_generators, params.num_samples_generator)
        noise = params.noise_std_generator * noise
        return fit(weights, inputs, noise, params.ridge_generator, GENERATOR), None

    keys = jax.random.split(jax.random.fold_in(key_generators, 1), params.num_generations)
    weights, _ = lax.scan(generation, _initial_weights(params), keys)
    inputs, noise = draw(key_downstream, params.num_samples)
    weights = fit(weights, inputs, params.noise_std * noise, params.ridge, DOWNSTREAM)
    return _errors(params, weights)


def simulate_fast(key, params):
    """The same law with every Gaussian design replaced by its trapezoidal factor.

    The cost does not depend on the sample sizes, which are traced, as is the number of generations.
    """
    key_designs, key_noises = jax.random.split(key)

    # One loop over the generators and the downstream fit: one compiled copy of the fit.
    def fit(index, weights):
        last = index == params.num_generations
        design = jnp.where(last, index, 0) if params.design == "same" else index
        return _factor_fit(
            params,
            weights,
            key_design=jax.random.fold_in(key_designs, design),
            key_noise=jax.random.fold_in(key_noises, index),
            num_samples=jnp.where(last, params.num_samples, params.num_samples_generator),
            ridge=jnp.where(last, params.ridge, params.ridge_generator),
            noise_std=jnp.where(last, params.noise_std, params.noise_std_generator),
            column=jnp.where(last, DOWNSTREAM, GENERATOR),
        )

    weights = lax.fori_loop(0, params.num_generations + 1, fit, _initial_weights(params))
    return _errors(params, weights)


# Columns of the propagated weights. All fits are linear with the same inputs, so the noise-free
# iterate and the responses to the two kinds of label noise superpose; their cross terms have mean
# zero and are left out of the error.
NOISE_FREE, GENERATOR, DOWNSTREAM = range(3)


def _spectrum(params):
    return named_spectrum(
        params.spectrum,
        params.dim,
        params.spectrum_exponent,
        params.source_exponent,
        params.signal_variance,
    )


def _initial_weights(params):
    spectrum = _spectrum(params)
    truth = jnp.sqrt(spectrum.signal / spectrum.eigenvalues)
    return jnp.zeros((params.dim, 3), float).at[:, NOISE_FREE].set(truth)


def _factor_fit(params, weights, *, key_design, key_noise, num_samples, ridge, noise_std, column):
    """One ridge fit to labels ``design @ weights`` plus noise in one column."""
    factor, active, design = _factor_design(params, key_design, num_samples)
    noise = jnp.where(active, jax.random.normal(key_noise, (params.dim,), float), 0)
    labels = (design @ weights).at[:, column].add(noise_std * noise)
    return _factor_solution(params, factor, active, design, labels, num_samples, ridge)


def _factor_design(params, key, num_samples):
    """The trapezoidal factor, which of its rows carry data, and these rows with the spectrum."""
    eigen = eigenvalues(params.spectrum, params.dim, params.spectrum_exponent)
    factor = trapezoidal_factor(key, num_samples, params.dim)
    active = active_rows(num_samples, params.dim)
    return factor, active, factor * jnp.sqrt(eigen)


def _factor_solution(params, factor, active, design, labels, num_samples, ridge):
    """The ridge fits to the columns of ``labels``."""
    solution = ridge_solution(design, labels, num_samples * ridge, active)
    # Without ridge a factor of full rank is inverted, not squared: half the digits lost.
    eigen = eigenvalues(params.spectrum, params.dim, params.spectrum_exponent)
    overdetermined = num_samples >= params.dim
    whole = jnp.where(overdetermined, factor, jnp.eye(params.dim, dtype=float))
    inverted = solve_triangular(whole, labels) / jnp.sqrt(eigen)[:, None]
    return jnp.where((ridge == 0) & overdetermined, inverted, solution)


def _downstream_fit(params, weights, key):
    key_design, key_noise = jax.random.split(key)
    return _factor_fit(
        params,
        weights,
        key_design=key_design,
        key_noise=key_noise,
        num_samples=params.num_samples,
        ridge=params.ridge,
        noise_std=params.noise_std,
        column=DOWNSTREAM,
    )


def _errors(params, weights):
    """Squared Σ-norms of the three columns' errors."""
    spectrum = _spectrum(params)
    weights = weights - _initial_weights(params)
    bias, generator_variance, variance = jnp.sum(spectrum.eigenvalues[:, None] * weights**2, axis=0)
    return _with_sum(bias, variance, generator_variance)


def _with_sum(bias, variance, generator_variance):
    return {
        "test_error": bias + variance + generator_variance,
        "bias": bias,
        "variance": variance,
        "generator_variance": generator_variance,
    }


def simulate_conditional(key, params):
    """Averaged over all label noise given the inputs: its covariance travels through the fits."""
    spectrum = _spectrum(params)
    truth = jnp.sqrt(spectrum.signal / spectrum.eigenvalues)

    def fit(index, state):
        weights, covariance, _ = state
        last = index == params.num_generations
        num_samples = jnp.where(last, params.num_samples, params.num_samples_generator)
        ridge = jnp.where(last, params.ridge, params.ridge_generator)
        noise_std = jnp.where(last, params.noise_std, params.noise_std_generator)
        which = jnp.where(last, index, 0) if params.design == "same" else index
        factor, active, design = _factor_design(params, jax.random.fold_in(key, which), num_samples)
        unit = jnp.diag(active.astype(float))
        respond = _factor_solution(params, factor, active, design, unit, num_samples, ridge)
        keep = respond @ design
        added = noise_std**2 * respond @ respond.T
        covariance = keep @ covariance @ keep.T + jnp.where(last, 0, added)
        return keep @ weights, covariance, jnp.sum(spectrum.eigenvalues * jnp.diag(added))

    start = (
        truth,
        jnp.zeros((params.dim, params.dim), float),
        jnp.zeros((), float),
    )
    weights, covariance, variance = lax.fori_loop(0, params.num_generations + 1, fit, start)
    return _with_sum(
        bias=jnp.sum(spectrum.eigenvalues * (weights - truth) ** 2),
        variance=variance,
        generator_variance=jnp.sum(spectrum.eigenvalues * jnp.diag(covariance)),
    )


# --------------------------------------------------------------------------------------------
# Shortcuts: generators that only add noise need no matrix at all
# --------------------------------------------------------------------------------------------
def generators_are_unbiased(params):
    """Least squares with at least as many samples as features returns its labeller plus noise."""
    return params.ridge_generator == 0 and params.num_samples_generator >= params.dim


def everything_is_unbiased(params):
    """The downstream fit is least squares with enough samples too."""
    return (
        generators_are_unbiased(params) and params.ridge == 0 and params.num_samples >= params.dim
    )


def one_isotropic_ridge(params):
    """Isotropic inputs, and only the downstream fit shrinks."""
    return params.spectrum == "isotropic" and (
        params.num_generations == 0 or generators_are_unbiased(params)
    )


def simulate_unbiased_generators(key, params):
    """The chain of generators as multivariate-t increments, the downstream fit as before."""
    key_generators, key_downstream = jax.random.split(key)
    noise = _generator_increment(key_generators, params)
    weights = _initial_weights(params).at[:, GENERATOR].set(noise)
    return _errors(params, _downstream_fit(params, weights, key_downstream))


def simulate_unbiased_fits(key, params):
    """All fits as multivariate-t increments: O(n d)."""
    key_generators, key_downstream = jax.random.split(key)
    weights = _initial_weights(params)
    weights = weights.at[:, GENERATOR].set(_generator_increment(key_generators, params))
    own = least_squares_increment(key_downstream, params.num_samples, params.dim)
    own = params.noise_std * own / jnp.sqrt(_spectrum(params).eigenvalues)
    return _errors(params, weights.at[:, DOWNSTREAM].set(own))


def average_one_isotropic_ridge(key, params):
    """The conditional simulation without any matrix: O(n + d).

    Of the generators' designs only the chi variates are given: the rest is averaged over, too.
    """
    key_generators, key_downstream = jax.random.split(key)
    fit = isotropic_ridge(key_downstream, params.num_samples, params.dim, params.ridge)
    same = params.design == "same"
    variance = increment_variance(
        key_generators,
        params.num_samples_generator,
        params.dim,
        jnp.minimum(params.num_generations, 1) if same else params.num_generations,
    )
    variance = variance * (params.num_generations if same else 1)
    return _with_sum(
        bias=params.signal_variance * fit.bias,
        variance=params.noise_std**2 * fit.noise,
        generator_variance=params.noise_std_generator**2 * variance * fit.df2,
    )


def _generator_increment(key, params):
    """Sum of what the generators' label noise adds to the weights."""
    count, samples = params.num_generations, params.num_samples_generator
    if params.design == "same":  # one design, hence one chi for all generations
        root = jnp.sqrt(jnp.asarray(count, float))
        total = root * least_squares_increment(key, samples, params.dim)
    else:
        total = least_squares_increment(key, samples, params.dim, count)
    return params.noise_std_generator * total / jnp.sqrt(_spectrum(params).eigenvalues)


# --------------------------------------------------------------------------------------------
# Declarations
# --------------------------------------------------------------------------------------------
def validate(params, side):
    allowed = check_spectrum(params.spectrum, params.dim, params.spectrum_exponent)
    if side != "theory" or params.design != "same":
        return allowed
    without = params.ridge_generator == 0
    if not isinstance(without, jax.core.Tracer) and not without:
        raise ValueError(
            f"ridge_generator = {params.ridge_generator} is not allowed: with design = 'same' the "
            "theory needs ridge_generator = 0 (simulate it, or choose design = 'independent')"
        )
    return allowed & without


def _relation(params):
    """Exact without ridge where each fit is isotropic or over-determined, else asymptotic."""

    def exact_fit(num_samples, ridge):
        return ridge == 0 and (params.spectrum == "isotropic" or num_samples >= params.dim)

    fits = [(params.num_samples, params.ridge)]
    if params.num_generations > 0:
        fits.append((params.num_samples_generator, params.ridge_generator))
    if all(exact_fit(*fit) for fit in fits):
        return exact()
    return asymptotic("O(1/dim), O(1/df2) for power laws")


figures = {
    "u-shape": Figure(
        title="Training on the labels of n generators: the best penalty grows with n",
        x="ridge",
        y=("test_error",),
        grid={
            "ridge": [1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
            "num_generations": [0, 1, 5, 10, 20],
        },
        series="num_generations",
        params={"dim": 150, "num_samples": 450, "num_samples_generator": 300},
        caption="Isotropic, T = 3d, T0 = 2d, σ = σ0 = 0.5.",
    ),
    "samples": Figure(
        title="More samples of synthetic labels do not help beyond a floor",
        x="num_samples",
        y=("test_error",),
        grid={
            "num_samples": [20, 60, 200, 1000, 10_000, 100_000],
            "ridge": [0.01, 0.1, 1.0],
        },
        series="ridge",
        params={"dim": 50, "num_samples_generator": 100, "noise_std_generator": 0.3},
        caption="Without ridge the floor is n σ0² d / (T0 - d - 1).",
    ),
    "generations": Figure(
        title="Noise accumulates linearly in the number of generations",
        x="num_generations",
        y=("bias", "generator_variance"),
        grid={"num_generations": [0, 2, 5, 10], "num_samples_generator": [75, 150, 300]},
        series="num_samples_generator",
        params={"dim": 100, "num_samples": 250, "ridge": 0.0, "noise_std_generator": 0.3},
        xscale="linear",
        yscale="linear",
        caption="Generators with T0 < d lose the signal at a geometric rate.",
    ),
}

# One dim, one number of generations: few compilations.
CHECK_CELLS = (
    {
        "dim": 96,
        "num_generations": 3,
        "num_samples": 288,
        "num_samples_generator": 192,
        "noise_std": 0.6,
        "noise_std_generator": 0.4,
        "signal_variance": 1.7,
        "ridge_generator": 0.03,
    },
    {
        "dim": 96,
        "num_generations": 3,
        "num_samples": 144,
        "num_samples_generator": 64,
        "ridge": 0.2,
        "ridge_generator": 0.1,
        "noise_std": 0.3,
        "noise_std_generator": 0.8,
        "signal_variance": 0.8,
    },
    {
        "dim": 96,
        "num_generations": 3,
        "num_samples": 120,
        "num_samples_generator": 108,
        "ridge": 0.005,
        "ridge_generator": 0.01,
        "noise_std": 0.3,
        "noise_std_generator": 0.4,
        "spectrum": "power_law",
        "spectrum_exponent": 1.1,
        # The bulk carries the bias: a larger r puts it on a few leading directions, whose
        # corrections are O(1/df2) too but approach that rate slowly.
        "source_exponent": 0.3,
    },
    {
        "dim": 24,
        "num_generations": 3,
        "num_samples": 43,
        "num_samples_generator": 15,
        "ridge": 0.0,
        "noise_std": 0.5,
        "noise_std_generator": 0.4,
        "signal_variance": 1.3,
    },
    {
        "dim": 24,
        "num_generations": 3,
        "num_samples": 17,
        "num_samples_generator": 14,
        "ridge": 0.0,
        "design": "same",
        "noise_std": 0.5,
        "noise_std_generator": 0.4,
    },
    {
        "dim": 24,
        "num_generations": 3,
        "num_samples": 46,
        "num_samples_generator": 41,
        "ridge": 0.0,
        "spectrum": "power_law",
        "noise_std_generator": 0.3,
    },
)

STUDY = Study(
    name="ridge-collapse",
    title="iterated self-training of linear regressors",
    paper=PAPER,
    params=Params,
    outputs=(
        *both(
            _relation,
            test_error="excess error on true labels: the sum of its parts",
            bias="noise-free part",
            variance="label noise of the downstream fit",
            generator_variance="label noise of all generators",
        ),
        *theory_only(
            clean_test_error="test error at n = 0",
            excess_error="test error minus clean test error",
            collapse_slope="growth of the error per generation (T0 >= d + 2, λ0 = 0)",
            kappa="effective penalty κ of the downstream fit",
            kappa_generator="effective penalty κ of a generator",
            df1="degrees of freedom of the downstream fit",
            df2="second-order degrees of freedom",
        ),
    ),
    theory=theory,
    simulate_direct=simulate_direct,
    simulate_fast=simulate_fast,
    simulate_conditional=simulate_conditional,
    shortcuts=(
        ("fast", everything_is_unbiased, simulate_unbiased_fits),
        ("fast", generators_are_unbiased, simulate_unbiased_generators),
        ("conditional", one_isotropic_ridge, average_one_isotropic_ridge),
    ),
    validate=validate,
    figures=figures,
    tolerance=0.05,  # second-order corrections on the ladder are of the order of a percent
    check_cells=CHECK_CELLS,
)
