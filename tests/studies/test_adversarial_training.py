"""Properties of the adversarial-training studies (arXiv 2410.16073), beyond the common battery."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import simulator
from simulator.engine.theory import predict_study
from simulator.studies.robustness.adversarial_training import _rademacher as rm
from simulator.studies.robustness.adversarial_training import mahalanobis
from simulator.studies.robustness.adversarial_training import main as isotropic
from simulator.study import RESIDUAL
from tests.cases import adversarial_training as cases
from tests.cases import adversarial_training_mahalanobis as mahalanobis_cases

NAME = "adversarial-training"


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def predict(**params):
    return simulator.predict(NAME, **params)


# -- the theory --------------------------------------------------------------------------------
RATIOS = np.array([0.07, 0.3, 0.9, 2.2, 7.0])


@pytest.mark.parametrize("options", [
    {"attack_norm": "linf", "regularization": 0.03},
    pytest.param({"attack_norm": "l2", "regularization": 0.2}, marks=pytest.mark.slow),
    pytest.param(
        {"attack_norm": "l2", "loss": "hinge", "regularization": 0.2}, marks=pytest.mark.slow
    ),
])  # fmt: skip
def test_inequalities_and_identities(options):
    rho, tau = 1.7, 0.3
    o = predict(sample_ratio=RATIOS, teacher_variance=rho, noise_std=tau, attack_radius_train=0.25,
                attack_radius_test=0.4, **options)  # fmt: skip
    for name in ("m_hat", "q_hat", "V_hat", "P_hat"):
        assert np.all(o[name] >= 0)
    assert np.all(o["m"] ** 2 < rho * o["q"])
    np.testing.assert_allclose(o["m"], rho * o["m_hat"] * o["V"], rtol=1e-12)
    if options["attack_norm"] == "linf":
        assert np.all(o["P"] ** 2 <= o["q"])
        # Thresholding lowers ||w||_1 / ||w||_2 below its Gaussian value.
        assert np.all(o["P"] / np.sqrt(o["q"]) < np.sqrt(2 / np.pi))
    else:
        np.testing.assert_allclose(o["P"], o["q"], rtol=1e-12)
    np.testing.assert_allclose(
        o["boundary_error"], o["adversarial_error"] - o["generalization_error"], atol=1e-15
    )
    assert np.all(o["robust_train_error"] <= o["adversarial_error"])
    t = o["m"] / np.sqrt((rho + tau**2) * o["q"])
    np.testing.assert_allclose(o["generalization_error"], np.arccos(t) / np.pi, rtol=1e-12)
    size = o["P"] if options["attack_norm"] == "linf" else np.sqrt(o["P"])
    k, a = 0.4 * size / np.sqrt(o["q"]), t / np.sqrt(1 - t**2)
    robust = special.ndtr(k) - 2 * special.owens_t(k, a)
    np.testing.assert_allclose(o["adversarial_error"], robust, rtol=1e-12)


def test_test_radius():
    radius = np.array([0.0, 0.05, 0.2, 0.5, 1.0])
    o = predict(attack_radius_test=radius, regularization=0.04, noise_std=0.2)
    assert np.all(np.diff(o["adversarial_error"]) > 0)
    np.testing.assert_allclose(o["adversarial_error"][0], o["generalization_error"][0], rtol=1e-14)
    assert np.ptp(o["q"]) < 1e-13 * o["q"][0]


def test_train_radius_beyond_the_test_radius_can_help():
    table = cases.ADVERSARIAL_ERROR_BY_TRAIN_RADIUS
    o = predict(attack_radius_train=np.array(list(table)))
    np.testing.assert_allclose(o["adversarial_error"], list(table.values()), atol=6e-7)


@pytest.mark.slow
def test_without_attack_in_training_its_norm_is_irrelevant():
    options = {"attack_radius_train": 0.0, "sample_ratio": 1.3, "regularization": 0.07}
    linf, l2 = (predict(attack_norm=norm, **options) for norm in ("linf", "l2"))
    for name in ("m", "q", "V", "m_hat", "q_hat", "V_hat", "generalization_error",
                 "robust_train_loss"):  # fmt: skip
        np.testing.assert_allclose(linf[name], l2[name], rtol=1e-11)


def test_teacher_scale_without_label_noise():
    options = {"sample_ratio": 0.8, "regularization": 0.05}
    one, other = predict(teacher_variance=0.6, **options), predict(teacher_variance=5.4, **options)
    for name in ("q", "V", "P", "adversarial_error", "robust_train_loss"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-11)
    np.testing.assert_allclose(3 * one["m"], other["m"], rtol=1e-11)


def test_few_samples():
    o = predict(sample_ratio=np.array([1e-3, 4e-3]), regularization=0.1, attack_radius_test=0.45)
    for name in ("m", "q", "q_hat", "P_hat", "V_hat"):
        np.testing.assert_allclose(o[name][1] / o[name][0], 4, rtol=0.03)
    np.testing.assert_allclose(o["P"][1] / o["P"][0], 2, rtol=0.03)
    # The limit Phi(eps_g sqrt(2/pi)), whatever lambda, is approached like sqrt(alpha).
    distance = special.ndtr(0.45 * np.sqrt(2 / np.pi)) - o["adversarial_error"]
    np.testing.assert_allclose(distance[1] / distance[0], 2, rtol=0.02)
    np.testing.assert_allclose(distance[0], 0, atol=0.01)


@pytest.mark.slow
def test_weights_vanish_beyond_the_threshold():
    alpha, rho, tau = 0.8, 1.6, 0.5
    edge = np.sqrt(1 / alpha + 2 / np.pi * rho / (rho + tau**2))
    o = predict(attack_norm="l2", sample_ratio=alpha, teacher_variance=rho, noise_std=tau,
                attack_radius_train=edge * np.array([0.98, 1.02]), regularization=0.3)  # fmt: skip
    assert 0 < o["q"][0] < 0.01
    assert o["q"][1] == o["m"][1] == o["P"][1] == 0
    assert o["adversarial_error"][1] == o["robust_train_error"][1] == 0.5
    np.testing.assert_allclose(o["robust_train_loss"], np.log(2), rtol=1e-2)

    def error(lam):
        params = isotropic.Params(attack_norm="l2", sample_ratio=alpha,
                                  attack_radius_train=2 * edge, regularization=lam)  # fmt: skip
        return isotropic.theory(params)["adversarial_error"]

    gradient = jax.jit(jax.grad(error))(0.3)
    assert gradient == 0


@pytest.mark.slow
def test_sparse_weights_vanish_at_strong_regularization():
    lam = np.array([0.05, 0.2, 40.0])
    for norm in ("l2", "linf"):
        o = predict(
            attack_norm=norm, penalty_order=1.0, regularization=lam, attack_radius_train=0.2
        )
        assert np.all(o["q"][:2] > 0)
        assert o["q"][2] == 0
        assert o["generalization_error"][2] == 0.5


@pytest.mark.slow
def test_converges_over_the_box():
    rng = np.random.default_rng(0)
    count = 48  # three chunks of the theory
    points = {
        "sample_ratio": np.exp(rng.uniform(np.log(0.03), np.log(10), count)),
        "regularization": np.exp(rng.uniform(np.log(1e-5), np.log(3), count)),
        "attack_radius_train": rng.uniform(0, 0.9, count),
        "teacher_variance": rng.uniform(0.3, 3, count),
        "noise_std": rng.uniform(0, 1, count),
    }
    for options in (
        {"attack_norm": "l2"},
        {"attack_norm": "linf", "penalty_order": 1.0},
        {"attack_norm": "linf", "penalty_order": 2.4},
    ):
        o = predict(**points, **options)  # raises where it did not converge
        assert np.all((o["adversarial_error"] >= 0) & (o["adversarial_error"] <= 1))


def test_unconverged_points_are_an_error():
    """The theory reports its residual, here above a tolerance that nothing can meet."""
    study = replace(simulator.get(NAME), residual_tolerance=1e-30)
    with pytest.raises(RuntimeError, match="did not converge"):
        predict_study(study, sample_ratio=1.7)


def test_mahalanobis_with_unit_spectra_is_the_l2_study():
    options = {"sample_ratio": 1.4, "attack_radius_train": 0.25, "noise_std": 0.3}
    unit = [[0.3, 1, 1, 1, 1], [0.7, 1, 1, 1, 1]]
    one = simulator.predict(f"{NAME}.mahalanobis", regularization=0.14, spectrum=unit, **options)
    other = predict(attack_norm="l2", regularization=0.07, **options)
    for name, value in other.items():
        np.testing.assert_allclose(one[name], value, rtol=1e-11, err_msg=name)


@pytest.mark.slow
def test_rows_of_a_spectrum_may_be_split_and_merged():
    rows = [[0.4, 0.7, 1.3, 2.0, 0.6], [0.6, 1.5, 0.9, 0.5, 1.8]]
    split = [[0.1, *rows[0][1:]], [0.6, *rows[1][1:]], [0.3, *rows[0][1:]]]
    one, other = (simulator.predict(f"{NAME}.mahalanobis", spectrum=s, noise_std=0.2)
                  for s in (rows, split))  # fmt: skip
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-10)
    with pytest.raises(ValueError, match="must sum"):
        simulator.predict(f"{NAME}.mahalanobis", spectrum=split[:2])
    with pytest.raises(ValueError, match="one row per block"):
        simulator.predict(f"{NAME}.mahalanobis", spectrum=[[1.0, 2.0]])


# -- optima by differentiation -----------------------------------------------------------------
@pytest.mark.slow
def test_gradient_in_the_regularization_and_in_the_order():
    params = isotropic.Params()

    def error(lam, order):
        changed = replace(params, regularization=lam)
        return isotropic.theory_of_order(changed, order)["adversarial_error"]

    by_lam, by_order = jax.jit(jax.grad(error, (0, 1)))(0.01, jnp.asarray(2.0))
    np.testing.assert_allclose(by_lam, -0.11379, rtol=2e-4)  # the reference is a difference
    value = jax.jit(error)
    low, high = (value(0.01, jnp.asarray(2.0 + s)) for s in (-1e-5, 1e-5))
    np.testing.assert_allclose(by_order, (high - low) / 2e-5, rtol=1e-5)
    low, high = (value(0.01 + s, jnp.asarray(2.0)) for s in (-1e-6, 1e-6))
    np.testing.assert_allclose(by_lam, (high - low) / 2e-6, rtol=1e-7)


# -- simulations -------------------------------------------------------------------------------
def replicates(simulate, params, count, seed):
    keys = jax.random.split(jax.random.key(seed), count)
    return jax.jit(lambda k: jax.lax.map(lambda key: simulate(key, params), k, batch_size=50))(keys)


@pytest.mark.slow  # the verdict of the battery has both parts
@pytest.mark.parametrize("module", [isotropic, mahalanobis])
def test_the_reduced_design_has_the_law_of_the_literal_one(module):
    options = {"sample_ratio": 0.3, "dim": 60, "noise_std": 0.3, "regularization": 0.2}
    if module is isotropic:
        params = isotropic.Params(attack_norm="l2", teacher_variance=1.4, **options)
    else:
        rows = ((0.3, 0.7, 1.3, 2.0, 0.6), (0.7, 1.5, 0.9, 0.5, 1.8))
        params = mahalanobis.Params(spectrum=np.array(rows), **options)
    direct = replicates(module.simulate_direct, params, 400, 1)
    fast = replicates(module.simulate_fast, params, 400, 2)
    for name in ("m", "q", "P", "robust_train_loss", "adversarial_error"):
        assert stats.ks_2samp(direct[name], fast[name]).pvalue > 1e-4, name
    assert np.max(direct[RESIDUAL]) < 1e-8
    assert np.max(fast[RESIDUAL]) < 1e-8


@pytest.mark.slow
def test_conditional_errors_average_the_drawn_ones():
    params = isotropic.Params(sample_ratio=1.5, dim=40, noise_std=0.3, regularization=0.1)
    drawn = replicates(isotropic.simulate_fast, params, 300, 3)
    expected = replicates(isotropic.simulate_conditional, params, 300, 4)
    for name in ("generalization_error", "adversarial_error", "boundary_error"):
        error = np.hypot(*(np.std(x[name]) / np.sqrt(300) for x in (drawn, expected)))
        assert abs(np.mean(drawn[name]) - np.mean(expected[name])) < 5 * error
        assert np.std(expected[name]) < np.std(drawn[name])


@pytest.mark.slow
def test_a_classifier_without_weights_follows_the_convention():
    params = isotropic.Params(attack_norm="l2", attack_radius_train=5.0, dim=20, sample_ratio=0.7)
    simulations = (isotropic.simulate_direct, isotropic.simulate_conditional)
    for o in jax.jit(lambda: [f(jax.random.key(0), params) for f in simulations])():
        assert o["q"] == o["m"] == o["boundary_error"] == 0
        assert o["adversarial_error"] == o["robust_train_error"] == 0.5
        np.testing.assert_allclose(o["robust_train_loss"], np.log(2), rtol=1e-14)


@pytest.mark.parametrize("wrong", [{"penalty_order": 2.5}, {"penalty_order": 1.0, "loss": "hinge"}])
def test_simulations_refuse_penalties_that_they_cannot_solve(wrong):
    with pytest.raises(ValueError, match="penalty_order"):
        simulator.simulate(NAME, replicates=1, dim=20, **wrong)


REFERENCES = [(NAME, 400, c) for c in cases.TESTS.cases if c.monte_carlo] + [
    (f"{NAME}.mahalanobis", 300, c) for c in mahalanobis_cases.TESTS.cases
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dim", "case"), REFERENCES, ids=lambda x: getattr(x, "label", ""))
def test_monte_carlo_of_the_reference(name, dim, case, seed):
    found = simulator.simulate(
        name, replicates=40, dim=dim, method="conditional", seed=seed, **case.params
    )
    for output, (mean, error) in case.monte_carlo.items():
        spread = 5 * np.hypot(error, found.standard_error[output])
        assert abs(found.mean[output] - mean) < spread, output


# -- bounds ------------------------------------------------------------------------------------
COMPLEXITY = jax.jit(rm.robust_complexity, static_argnames=("penalty_order", "num_signs"))


def test_exact_complexity_is_the_supremum():
    rng = np.random.default_rng(2)
    n, d, e = 5, 4, 0.4
    x = rng.normal(size=(n, d)) * rng.uniform(0.5, 2, d)
    signs = np.array(np.meshgrid(*[[-1, 1]] * n)).reshape(n, -1).T
    pulled, total = signs @ x, signs.sum(axis=1)
    w = rng.normal(size=(50_000, d))
    for order in (1, 2):
        ball = w / np.linalg.norm(w, ord=order, axis=1)[:, None]
        if order == 1:
            ball = np.concatenate([ball, np.eye(d), -np.eye(d)])
        size = np.abs(ball).sum(axis=1)
        reward = [np.max(ball @ u - e * s * size) for u, s in zip(pulled, total, strict=True)]
        brute = 1.7 * np.mean(np.maximum(reward, 0)) / n  # w = 0 is in the ball
        mean, error = COMPLEXITY(jax.random.key(0), x, e, order, 1.7, num_signs=20_000)
        assert abs(mean - brute) < 5 * error + 0.01 * brute


@pytest.mark.parametrize(("order", "exact"), [(2, 1.4094), (1, 0.2959)])
def test_bounds_hold_and_complexities_have_the_size_of_the_reference(order, exact):
    n, d, e = 100, 200, 0.1
    x = np.random.default_rng(5).normal(size=(n, d))
    mean, error = COMPLEXITY(jax.random.key(1), x, e, order, num_signs=2000)
    clean = jax.jit(rm.clean_complexity_bound, static_argnums=1)(x, order)
    total = clean + rm.attack_complexity(d, n, e, np.inf, order)
    assert mean + 5 * error < total
    np.testing.assert_allclose(mean, exact, rtol=0.05)  # another draw of the inputs
    columns = np.sqrt(np.sum(x**2, axis=0))
    clean, spread = {2: (np.sqrt(np.sum(columns**2)), np.sqrt(d)),
                     1: (np.sqrt(2 * np.log(2 * d)) * columns.max(), 1.0)}[order]  # fmt: skip
    np.testing.assert_allclose(total, clean / n + e * spread / (2 * np.sqrt(n)), rtol=1e-12)


def test_the_attack_term_is_dimension_free_for_the_dual_penalty():
    small, large = (rm.attack_complexity(d, 50, 0.2, np.inf, 1) for d in (10, 1000))
    assert small == large
    small, large = (rm.attack_complexity(d, 50, 0.2, np.inf, 2) for d in (10, 1000))
    np.testing.assert_allclose(large / small, 10)
    matched = rm.mahalanobis_attack_complexity(50, 0.2, [1.0, 5.0], [1.0, 5.0])
    isotropic_penalty = rm.mahalanobis_attack_complexity(50, 0.2, [1.0, 5.0], [1.0, 1.0])
    np.testing.assert_allclose(isotropic_penalty / matched, np.sqrt(5))


def test_bounds_of_other_balls_reduce_to_the_l2_ball():
    x = np.random.default_rng(3).normal(size=(30, 20))

    @jax.jit
    def bounds(x):
        ellipsoid = rm.mahalanobis_complexity_bound(x, jnp.full(20, 4.0), scale=1.3)
        euclidean = rm.strongly_convex_complexity_bound(x, 2.0, 1.0)
        return ellipsoid, euclidean, rm.clean_complexity_bound(x, 2)

    ellipsoid, euclidean, clean = bounds(x)
    np.testing.assert_allclose(ellipsoid, 1.3 * clean / 2)
    assert euclidean >= clean  # largest row instead of their mean
    with pytest.raises(ValueError, match="1 or 2"):
        rm.clean_complexity_bound(x, 3)
