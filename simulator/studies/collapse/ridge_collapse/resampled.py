"""Iterated self-training on a data set of one's own.

Question. What does Gaussian theory, told nothing but the spectrum, say of model collapse on *my*
data, and where is it wrong?

Model. As ``ridge-collapse``; the population is a data set, centred and in the eigenbasis of its
covariance ``Σ = diag(λ)``: rows ``x``, the best linear fit ``w`` of the targets (``teacher``), and
the residual ``y - x·w`` it leaves. Every generator, and the downstream fit, is a ridge fit to rows
drawn with replacement. ``law`` says what of the data is real: ``targets`` (rows, and residuals of
these rows as label noise), ``features`` (rows, Gaussian noise) or ``gaussian`` (neither); label
noise is the residual times ``noise_scale``. Error: ``‖ŵ - w‖²_Σ``, a mean over all rows.

Theory. That of ``ridge-collapse`` with the data's ``λ_k``, ``s_k = λ_k w_k²`` and ``σ² =
mean(residual²)``, the same for every law: the equivalents of Gaussian rows, relative error O(1/df2)
under ``gaussian``. How far other laws are from it depends on the data: the verdict allows
`ACCURACY` and says *disagrees* beyond. It resolves 3 % more: every replicate draws the rows of all
fits, and 1 % takes ten times as many. Penalties are positive: a sample with replacement may miss a
direction, so that without penalty no mean exists.

Reference: E. Dohmatob, Y. Feng, J. Kempe, "Model Collapse Demystified: The Case of Regression",
NeurIPS 2024, arXiv 2402.07712 (there, section 5: real data through their spectrum).
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.sampling.resampled import (  # isort: skip
    LAWS, check_data_set, data_set_of, normal_equations, squared_norms,
)  # fmt: skip
from simulator.data_set import ACCURACY, DataSet
from simulator.maths.generations import last_errors
from simulator.maths.resolvent import ridge_fit
from simulator.maths.spectra import Spectrum
from simulator.parameters import parameters, static, traced
from simulator.studies.collapse.ridge_collapse import PAPER
from simulator.study import Figure, Study, approximate, both, theory_only


@parameters
class Params(DataSet):
    num_samples: int = traced(60, symbol="T", detail="of the downstream fit", at_least=1)
    num_samples_generator: int = traced(72, symbol="T₀", at_least=1)
    num_generations: int = static(
        3,
        symbol="n",
        detail="between truth and model",
        at_least=0,
        traced_in=("theory", "direct"),
    )
    ridge: float = traced(0.01, detail="of the downstream fit", above=0)
    ridge_generator: float = traced(0.003, "λ₀", "penalty of each generator", above=0)
    noise_scale: float = traced(1.0, detail="of the downstream fit", at_least=0)
    noise_scale_generator: float = traced(
        1.0, "σ₀/σ_r", "label noise of each generator over the residuals", at_least=0
    )


def theory(params):
    """Errors by recursion over the fits (arXiv 2402.07712), for the spectrum of the data."""
    spectrum = Spectrum(params.eigenvalues, params.eigenvalues * params.teacher**2)
    downstream = ridge_fit(params.eigenvalues, params.num_samples, params.ridge)
    generator = ridge_fit(params.eigenvalues, params.num_samples_generator, params.ridge_generator)
    residual = data_set_of(params).noise_std()
    errors = last_errors(
        spectrum,
        downstream,
        generator,
        params.noise_scale * residual,
        params.noise_scale_generator * residual,
        params.num_generations,
    )
    return {
        **errors.parts(),
        "kappa": downstream.kappa,
        "df1": downstream.df1,
        "df2": downstream.df2,
    }


def simulate_direct(key, params):
    """Every generation draws its rows and labels and is fitted; then the downstream model."""
    key_chain, key_downstream = jax.random.split(key)
    data = data_set_of(params)

    def sample(key, num_samples):
        return normal_equations(
            key, data, params.law, num_samples, lambda rows, noise, index, key: noise[:, None]
        )

    # Two columns that superpose: the noise-free iterate and the response to generators' noise.
    def generation(index, weights):
        key = jax.random.fold_in(key_chain, index)
        fit = sample(key, params.num_samples_generator)
        labels = fit.gram @ weights
        labels = labels.at[:, 1].add(params.noise_scale_generator * fit.cross[:, 0])
        return fit.solve(params.ridge_generator, labels)

    clean = jnp.stack([params.teacher, jnp.zeros_like(params.teacher)], axis=1)
    labeller = lax.fori_loop(0, params.num_generations, generation, clean)
    fit = sample(key_downstream, params.num_samples)
    labels = jnp.concatenate([fit.gram @ labeller, params.noise_scale * fit.cross], axis=1)
    bias, generators, noise = fit.solve(params.ridge, labels).T - _first_row(params.teacher, 3)
    return squared_norms(
        params.eigenvalues,
        test_error=bias + generators + noise,
        bias=bias,
        variance=noise,
        generator_variance=generators,
    )


def _first_row(values, num_rows):
    return jnp.zeros((num_rows, len(values)), float).at[0].set(values)


def validate(params, side):
    check_data_set(params.rows, params.eigenvalues, params.teacher, params.residuals)


_CHAIN = {"num_samples": 48, "num_samples_generator": 96, "ridge_generator": 0.003}

figures = {
    "u-shape": Figure(
        title="The penalty that suits the data, before and after generations of labellers",
        x="ridge", y=("test_error",), series="num_generations",
        grid={"ridge": [1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3], "num_generations": [0, 1, 5]},
        params=_CHAIN,
        caption="The example data set: T = 48 rows, labellers see 96; points are resampled rows.",
    ),
    "laws": Figure(
        title="Where the theory fails, and what is to blame",
        x="num_samples", y=("test_error",), series="law",
        grid={"num_samples": [24, 48, 96, 192, 384], "law": list(LAWS)},
        params=_CHAIN | {"ridge": 0.003, "num_generations": 0},
        caption="The example data set; the theory is told its spectrum and the size of residuals.",
    ),
}  # fmt: skip

STUDY = Study(
    name="ridge-collapse.resampled",
    title="iterated self-training of linear regressors on a data set",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            approximate("Gaussian equivalent; data may deviate by more", accuracy=ACCURACY),
            test_error="excess error on the true targets, of the fitted model",
            bias="noise-free part",
            variance="label noise of the downstream fit",
            generator_variance="label noise of all generators",
        ),
        *theory_only(
            clean_test_error="test error at n = 0",
            excess_error="test error minus clean test error",
            kappa="effective penalty κ of the downstream fit",
            df1="degrees of freedom of the downstream fit",
            df2="second-order degrees of freedom",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate, figures=figures,
    tolerance=0.03,  # beyond the accuracy
    check_cells=tuple(
        {"law": law, "noise_scale": 0.8, "noise_scale_generator": 1.2, "num_generations": 2}
        for law in LAWS
    ),
)  # fmt: skip
