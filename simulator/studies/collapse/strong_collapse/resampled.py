"""Strong model collapse on a data set of one's own.

Question. A share of the labels of *my* data comes from another model. What does it cost, and how
large may the share be?

Model. As ``strong-collapse``; the population is a data set, centred and in the eigenbasis of its
covariance ``Σ = diag(λ)``: rows ``x``, the best linear fit ``w`` of the targets (``teacher``), and
the residual it leaves. A ridge fit to ``n`` rows drawn with replacement, of which ``p2 n`` have the
labels ``x·(w + δ) + N(0, σ2²)`` of another model (``shift`` is ``δ``). ``law`` says what of the
data is real: ``targets`` (rows, and residuals of these rows as label noise), ``features`` (rows,
Gaussian noise) or ``gaussian`` (neither). Error: ``‖ŵ - w‖²_Σ``, a mean over all rows.

Theory. That of ``strong-collapse`` with the data's ``s_k = λ_k w_k²``, ``g_k = λ_k δ_k²``, ``x_k =
λ_k w_k δ_k`` and ``σ1² = mean(residual²)``, the same for every law: the equivalents of Gaussian
rows, relative error O(1/df2) under ``gaussian``. How far other laws are from it depends on the
data: the verdict allows `ACCURACY` and says *disagrees* beyond. It resolves 3 % more: every
replicate draws rows and fits, and 1 % takes 4 10^5. Penalties are positive: a sample with
replacement may miss a direction, so that without penalty no mean exists.

Simulations use ``p2 n`` rounded to the nearest whole number (halves up).

Reference: E. Dohmatob, Y. Feng, A. Subramonian, J. Kempe, "Strong Model Collapse", ICLR 2025,
arXiv 2410.04840.
"""

import jax
import jax.numpy as jnp

from simulator.sampling.resampled import (  # isort: skip
    LAWS, check_data_set, data_set_of, normal_equations, squared_norms,
)  # fmt: skip
from simulator.data_set import ACCURACY, EXAMPLE, DataSet
from simulator.maths.mixture_error import mixture_errors
from simulator.maths.mixture_resolvent import mixture_fit
from simulator.parameters import array, parameters, traced
from simulator.studies.collapse.strong_collapse import PAPER
from simulator.studies.collapse.strong_collapse._model import counts_of, fractions_of, realised
from simulator.study import Figure, Study, approximate, both, theory_only

#: A labeller that knows half of the teacher's first weights, and too much of the last.
_SHIFT = tuple(round(w * (-0.5 if k < 6 else 0.4), 9) for k, w in enumerate(EXAMPLE["teacher"]))


@parameters
class Params(DataSet):
    shift: tuple = array(
        _SHIFT, "δ", "weights of the synthetic labeller minus the teacher's", dims=("feature",),
        large=True,
    )  # fmt: skip
    num_samples: int = traced(96, detail="real and synthetic together", at_least=1)
    synthetic_fraction: float = traced(
        0.3, "p₂", "share of rows with synthetic labels", at_least=0, at_most=1
    )
    ridge: float = traced(0.01, above=0)
    noise_scale: float = traced(1.0, symbol="σ₁/σ_r", detail="of real labels", at_least=0)
    noise_std_synthetic: float = traced(0.0, symbol="σ₂", at_least=0)


def theory(params):
    """Theorem 1 for the spectrum, teacher and shift of the data."""
    eigenvalues, teacher, shift = params.eigenvalues, params.teacher, params.shift
    fractions = fractions_of(params)
    noise = jnp.stack(
        [
            params.noise_scale**2 * data_set_of(params).noise_std() ** 2,
            params.noise_std_synthetic**2,
        ]
    )
    fit = mixture_fit(eigenvalues, params.num_samples, fractions, jnp.ones(2, float), params.ridge)
    parts = mixture_errors(
        fit,
        eigenvalues,
        fractions,
        noise,
        signal=eigenvalues * teacher**2,
        shift=eigenvalues * shift**2,
        cross=eigenvalues * teacher * shift,
    )
    diagnostics = {"kappa": fit.kappa, "df1": fit.df1, "df2": fit.df2}
    return {"test_error": sum(parts)} | parts._asdict() | diagnostics


def simulate_direct(key, params):
    """Draw the rows, replace the labels of the first ``p2 n``, fit."""
    num_synthetic = counts_of(params)[1]

    def columns(rows, noise, index, key):
        """What synthetic labels add to the teacher's, and the noise of all labels."""
        synthetic = index < num_synthetic
        model_noise = params.noise_std_synthetic * jax.random.normal(key, noise.shape, float)
        response = jnp.where(synthetic, rows @ params.shift, 0)
        both = jnp.where(synthetic, model_noise, params.noise_scale * noise)
        return jnp.stack([response, both], axis=1)

    fit = normal_equations(key, data_set_of(params), params.law, params.num_samples, columns)
    labels = jnp.concatenate([(fit.gram @ params.teacher)[:, None], fit.cross], axis=1)
    weights, synthetic, noise = fit.solve(params.ridge, labels).T
    bias = weights - params.teacher
    found = squared_norms(
        params.eigenvalues,
        test_error=bias + synthetic + noise,
        bias=bias,
        variance=noise,
        synthetic_error=synthetic,
    )
    return found | {"cross_error": 2 * jnp.sum(params.eigenvalues * bias * synthetic)}


def validate(params, side):
    check_data_set(params.rows, params.eigenvalues, params.teacher, params.residuals)
    if params.shift.shape != params.teacher.shape:
        raise ValueError(
            f"shift has shape {params.shift.shape}: it must be one number per feature, "
            f"{len(params.teacher)} here"
        )


figures = {
    "plateau": Figure(
        title="More rows do not help where a share of the labels is another model's",
        x="num_samples", y=("test_error",), series="synthetic_fraction",
        grid={"num_samples": [24, 48, 96, 192, 384, 768],
              "synthetic_fraction": [0.0, 0.2, 0.5, 1.0]},
        caption="The example data set, λ = 0.01; points are resampled rows.",
    ),
}  # fmt: skip

STUDY = Study(
    name="strong-collapse.resampled",
    title="ridge regression on a data set, a share of whose labels is synthetic",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            approximate("Gaussian equivalent; data may deviate by more", accuracy=ACCURACY),
            test_error="excess error on the true targets, of the fitted model",
            bias="response to the teacher",
            variance="label noise",
            synthetic_error="response to the shift of the synthetic labels",
            cross_error="teacher-shift cross term",
        ),
        *theory_only(
            kappa="effective penalty κ",
            df1="degrees of freedom at κ",
            df2="second-order degrees of freedom",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, realised=realised, validate=validate,
    figures=figures,
    tolerance=0.03,  # beyond the accuracy
    check_cells=tuple(
        {"law": law, "noise_scale": 0.8, "noise_std_synthetic": 0.3, "num_samples": 70}
        for law in LAWS
    ),
)  # fmt: skip
