"""Studies on the user's own data: a literal NumPy bootstrap, limits."""

import jax
import numpy as np
import pytest

import simulator
from simulator.studies.collapse.ridge_collapse.resampled import STUDY as RIDGE
from simulator.studies.collapse.tail_collapse.corpus import STUDY as CORPUS
from tests.sampling.test_resampled import skewed

DATA = skewed()
ARRAYS = {
    "rows": DATA.rows,
    "eigenvalues": DATA.eigenvalues,
    "teacher": DATA.teacher,
    "residuals": DATA.residual,
}


def generations(**given):
    return simulator.simulate("ridge-collapse.resampled", **(ARRAYS | given))


def mixture(**given):
    return simulator.simulate("strong-collapse.resampled", **(ARRAYS | given))


# -- generations -------------------------------------------------------------------------------
def test_real_targets_equal_a_literal_bootstrap():
    """n = 0 on real targets is ridge regression on resampled rows, in original coordinates."""
    rng = np.random.default_rng(7)
    target = DATA.rows @ DATA.teacher + DATA.residual
    literal = []
    for _ in range(1500):
        chosen = rng.integers(0, DATA.num_rows, 50)
        x, y = DATA.rows[chosen], target[chosen]
        weights = np.linalg.solve(x.T @ x / 50 + 0.02 * np.eye(DATA.dim), x.T @ y / 50)
        literal.append(np.mean((DATA.rows @ (weights - DATA.teacher)) ** 2))
    setting = {"num_samples": 50, "num_generations": 0, "ridge": 0.02, "replicates": 1500}
    found = generations(**setting)["test_error"]
    error = np.hypot(found.standard_error, np.std(literal) / np.sqrt(1500))
    assert abs(found.mean - np.mean(literal)) < 5 * error
    assert error < 0.03 * np.mean(literal)
    # Here the noise depends on the features, and the law without that must be told apart.
    blind = generations(law="features", **setting)["test_error"]
    assert abs(blind.mean - np.mean(literal)) > 5 * error


def test_a_generation_is_a_fit_to_the_labels_of_the_one_before():
    """With endless samples every fit is its population value: S^n, S = lambda/(lambda + ridge)."""
    found = generations(
        law="features", num_samples=300_000, num_samples_generator=300_000, num_generations=3,
        ridge=[0.01, 0.1], ridge_generator=0.05, replicates=2,
    )  # fmt: skip
    for row, ridge in enumerate((0.01, 0.1)):
        keep = DATA.eigenvalues / (DATA.eigenvalues + ridge)
        kept = keep * (DATA.eigenvalues / (DATA.eigenvalues + 0.05)) ** 3
        expected = np.sum(DATA.signal * (1 - kept) ** 2)
        assert found.mean["bias"][row] == pytest.approx(expected, rel=0.02)
        assert found.mean["test_error"][row] == pytest.approx(expected, rel=0.02)


def test_noise_is_in_units_of_the_residuals():
    given = {"num_generations": 1, "replicates": 20, "seed": 3}
    one, two, none = (
        generations(noise_scale=s, noise_scale_generator=2 * s, law=law, **given)
        for s, law in ((1.0, "gaussian"), (2.0, "gaussian"), (0.0, "targets"))
    )
    assert none.mean["variance"] == none.mean["generator_variance"] == 0
    assert np.all(one.mean["variance"] > 0)
    theory = [simulator.predict(RIDGE, **ARRAYS, noise_scale=s)["variance"] for s in (1.0, 2.0)]
    assert theory[1] == pytest.approx(4 * theory[0])
    assert two.mean["variance"] / one.mean["variance"] == pytest.approx(4, rel=0.5)


# -- mixtures ----------------------------------------------------------------------------------
def test_all_synthetic_labels_of_a_zero_model_leave_the_signal():
    found = mixture(
        shift=-DATA.teacher, num_samples=70, synthetic_fraction=1.0, ridge=0.01, replicates=3
    )
    assert found.mean["test_error"] == pytest.approx(DATA.signal.sum(), rel=1e-9)


def test_parts_of_one_fit_add_up_without_noise():
    found = mixture(
        shift=0.3 * DATA.teacher, num_samples=70, synthetic_fraction=[0.2, 0.7], ridge=0.01,
        noise_scale=0.0, replicates=5,
    )  # fmt: skip
    parts = sum(found.mean[name] for name in ("bias", "synthetic_error", "cross_error"))
    np.testing.assert_allclose(parts, found.mean["test_error"], rtol=1e-9)
    assert np.all(found.mean["variance"] == 0)


def test_a_shift_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"shift has shape .*one number per feature, 12 here"):
        mixture(shift=DATA.teacher[1:], replicates=1)


# -- corpora -----------------------------------------------------------------------------------
def test_a_zipf_corpus_behaves_like_the_study_of_the_infinite_law():
    """A vocabulary of a million ranks follows the infinite law until T reaches its end."""
    counts = np.round(1e15 * np.arange(1, 1_000_001.0) ** -1.8)
    samples = np.array([30.0, 3000.0])
    for k, share in ((np.inf, 0.0), (40.0, 0.1)):
        given = {"num_samples": samples, "cutoff": k, "real_fraction": share}
        infinite = simulator.predict("tail-collapse", zipf_exponent=1.8, **given)
        mine = simulator.predict(CORPUS, counts=counts, **given)
        for name in ("test_error", "test_error_std", "num_distinct_tokens"):
            np.testing.assert_allclose(mine[name], infinite[name], rtol=2e-3)


def test_slopes_where_one_kind_of_token_is_left():
    """At k = 1 and pi = 0, where q_1 = 1: d/d pi sum_i p_i (1 - q_i)^T = -T sum_{i > 1} p_i^2."""
    counts = np.array([17.0, 9.0, 9.0, 4.0])
    with jax.enable_x64(True):

        def outputs(pi):
            params = CORPUS.params(counts=counts, num_samples=6.0, cutoff=1.0, real_fraction=pi)
            return CORPUS.theory(params)

        slopes = jax.jacfwd(outputs)(0.0)
    p = counts / counts.sum()
    np.testing.assert_allclose(slopes["test_error"], -6 * np.sum(p[1:] ** 2), rtol=1e-12)
    assert all(np.isfinite(slope) for slope in slopes.values())


def test_counts_that_do_not_fall_are_refused():
    with pytest.raises(ValueError, match="the largest first"):
        simulator.predict(CORPUS, counts=[3, 5, 1])
    with pytest.raises(ValueError, match="counts = 0 is not allowed"):
        simulator.predict(CORPUS, counts=[3, 1, 0])
