"""The accuracy/robustness path, its stopping rules and certificates, for all norms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from simulator.maths import robust_path, robust_regression, separable
from simulator.maths.norms import ATTACK_NORMS, Norm
from simulator.maths.robust_path import MEAN_ABSOLUTE, RULES, Problem, Setting

DIM = 6
TRUTH = np.array([0.9, -1.4, 0.3, 0.0, 0.7, -0.2])
METRIC = np.array([0.4, 2.0, 1.1, 0.7, 3.0, 0.9])
KINDS = [(kind, 2.0) for kind in ATTACK_NORMS if kind != "lp"] + [("lp", p) for p in (1.4, 5.0)]
FULL = np.cov(np.random.default_rng(3).normal(size=(DIM, 40)) + np.linspace(0, 1, 40))
SHAPES = {"diagonal": np.array([2.0, 0.7, 1.3, 0.4, 0.9, 0.1]), "full": FULL}
#: Each norm and shape is a program: `make test` compiles a few.
QUICK = {("l2", "diagonal"), ("l1", "full"), ("lp", "full")}
SETTING = {"radius": 0.35, "noise_std": 0.3, "budget": 0.2}


def each_problem(quick=QUICK):
    """Parametrise a test over norms and shapes."""
    cells = [(kind, order, shape) for kind, order in KINDS for shape in SHAPES]
    return pytest.mark.parametrize(
        ("kind", "order", "shape"),
        [
            pytest.param(
                *cell, marks=[] if cell[::2] in quick and cell[1] != 1.4 else pytest.mark.slow
            )
            for cell in cells
        ],
    )


pytestmark = pytest.mark.usefixtures("float64")


def problem_of(kind, order, shape):
    covariance = SHAPES[shape]
    inverse = 1 / covariance if shape == "diagonal" else np.linalg.inv(covariance)
    norm = Norm(kind, jnp.asarray(order), jnp.asarray(METRIC))
    return Problem(jnp.asarray(covariance), jnp.asarray(inverse), jnp.asarray(TRUTH), norm)


def settings():
    return Setting(
        jnp.arange(len(RULES)), *(jnp.full(len(RULES), value) for value in SETTING.values())
    )


@each_problem()
def test_rules_hold_and_certificates_close(kind, order, shape):
    """``lambda = ||Sigma (w0 - w)||`` as each rule wants it; no predictor as accurate is safer."""
    problem = problem_of(kind, order, shape)
    points, errors = jax.jit(robust_path.stopped)(problem, settings())
    r, sigma, budget = SETTING.values()
    a, b = np.asarray(points.distance), np.asarray(points.dual_norm)
    s = np.hypot(a, sigma)
    wanted = [
        r * s[0] * (r * b[0] + MEAN_ABSOLUTE * s[0]) / (s[0] + MEAN_ABSOLUTE * r * b[0]),
        r * s[1],
        r**2 * b[2],
    ]
    np.testing.assert_allclose(points.multiplier[:3], wanted, rtol=1e-10)
    assert a[3] == pytest.approx(budget, rel=1e-10)
    assert np.max(points.gap) < 1e-10
    assert np.max(errors) < 1e-10
    covariance = np.diag(SHAPES[shape]) if shape == "diagonal" else SHAPES[shape]
    inverse = np.linalg.inv(covariance)
    for w, distance, exposed in zip(np.asarray(points.weights), a, b, strict=True):
        gap = TRUTH - w
        assert np.sqrt(gap @ covariance @ gap) == pytest.approx(distance, rel=1e-10)
        z = covariance @ gap
        z = z / float(problem.norm.size(jnp.asarray(z)))
        bound = z @ TRUTH - distance * np.sqrt(z @ inverse @ z)
        assert bound == pytest.approx(exposed, rel=1e-10)


@each_problem({("linf", "full")})
def test_no_direct_search_beats_the_optimum(kind, order, shape):
    problem = problem_of(kind, order, shape)
    r, sigma, _ = SETTING.values()
    found = jax.jit(lambda p: robust_regression.robust(p, r, sigma)["optimum"])(problem)
    covariance = np.diag(SHAPES[shape]) if shape == "diagonal" else SHAPES[shape]
    dual = jax.jit(problem.norm.dual)

    def risk(w):
        gap = w - TRUTH
        s = np.sqrt(gap @ covariance @ gap + sigma**2)
        exposed = r * float(dual(jnp.asarray(w)))
        return s**2 + 2 * MEAN_ABSOLUTE * s * exposed + exposed**2

    best = risk(np.asarray(found.weights))
    options = {"maxiter": 400, "xatol": 1e-10, "fatol": 1e-14}
    searched = minimize(risk, np.asarray(found.weights), method="Nelder-Mead", options=options)
    assert searched.fun >= best * (1 - 1e-10)
    from_truth = minimize(risk, TRUTH, method="Powell", options={"maxiter": 200})
    assert from_truth.fun >= best * (1 - 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "order"), KINDS)
def test_a_full_covariance_that_is_diagonal_gives_the_explicit_path(kind, order):
    explicit = problem_of(kind, order, "diagonal")
    full = Problem(
        jnp.diag(explicit.covariance), jnp.diag(explicit.precision), explicit.truth, explicit.norm
    )
    run = jax.jit(robust_path.stopped)
    one, other = run(explicit, settings())[0], run(full, settings())[0]
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-9, atol=1e-10)
    for radius in (robust_regression.radius_low, lambda p: robust_regression.radius_high(p, 0.2)):
        assert float(radius(full)) == pytest.approx(float(radius(explicit)), rel=1e-12)


@each_problem({("linf", "diagonal")})
def test_the_ground_truth_is_optimal_up_to_the_lower_radius(kind, order, shape):
    """Just above it, it is not; so at the upper one for 0. Without label noise."""
    problem = problem_of(kind, order, shape)
    low = robust_regression.radius_low(problem)
    high = robust_regression.radius_high(problem, 0.0)
    optimum = jax.jit(lambda r: robust_regression.robust(problem, r)["optimum"])
    near = optimum(1.02 * low)
    assert float(optimum(0.98 * low).distance) == 0
    assert 0 < near.distance < 0.3 * problem.signal()
    far = optimum(0.98 * high)
    assert float(optimum(1.02 * high).dual_norm) == 0
    assert 0 < far.dual_norm < 0.3 * problem.norm.dual(problem.truth)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "order"), [("l1", 2.0), ("linf", 2.0), ("lp", 5.0)])
def test_proximal_gradient_ends_on_the_path(kind, order):
    """With the proximal maps by Moreau's identity, for a full covariance."""
    problem = problem_of(kind, order, "full")
    points, _ = jax.jit(robust_path.stopped)(problem, settings())
    step = 1 / np.linalg.eigvalsh(FULL)[-1]

    @jax.jit
    def descend(w, multiplier):
        def move(_, w):
            gradient = problem.covariance @ (w - problem.truth)
            return problem.norm.dual_proximal(w - step * gradient, step * multiplier)

        return jax.lax.fori_loop(0, 3000, move, w)

    for index in (0, 3):
        found = descend(jnp.zeros(DIM), points.multiplier[index])
        np.testing.assert_allclose(found, points.weights[index], rtol=1e-6, atol=1e-8)


def test_simplex_over_ties_of_the_largest_entries():
    """``radius_low`` of l1 attacks, where a constraint of the small quadratic program is active."""
    rho = 0.7
    rank = np.arange(4)
    covariance = rho ** np.abs(rank[:, None] - rank[None, :])
    w0 = jnp.asarray([1.0, -1.0, 1.0, 0.3])
    inverse = np.linalg.inv(covariance)
    problem = Problem(jnp.asarray(covariance), jnp.asarray(inverse), w0, Norm("l1"))
    signs = np.sign(np.asarray(w0))
    grid = np.linspace(0, 1, 201)
    p, q = np.meshgrid(grid, grid)
    inside = p + q <= 1
    pi = np.stack([p[inside], q[inside], 1 - p[inside] - q[inside], 0 * p[inside]], axis=1) * signs
    least = np.einsum("ni,ij,nj->n", pi, inverse, pi).min()
    found = float(robust_regression.steepness(problem)) ** 2
    assert found == pytest.approx(least, rel=1e-4)
    assert found <= least + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("order", [1.001, 1.02, 50.0, 2000.0])
def test_orders_near_the_ends_are_near_l1_and_linf(order):
    """Their dual norms nearly agree, and so do the smallest risks."""
    r, sigma, _ = SETTING.values()
    for shape in SHAPES:
        problem = problem_of("lp", order, shape)
        limit = problem_of("l1" if order < 2 else "linf", 2.0, shape)
        risks = []
        for each in (problem, limit):
            best = jax.jit(lambda p: robust_regression.robust(p, r, sigma)["optimum"])(each)
            assert float(best.residual) < 1e-8
            risks.append(
                robust_regression.adversarial_risk(best.distance, best.dual_norm, r, sigma)
            )
        away = abs(np.log(DIM) * (order - 1 if order < 2 else 1 / order))
        assert float(risks[0]) == pytest.approx(float(risks[1]), rel=2 * away + 1e-9)


@pytest.mark.slow
def test_the_path_has_derivatives_in_everything():
    for kind, order in KINDS:
        problem = problem_of(kind, order, "full")
        rng = np.random.default_rng(8)
        change = rng.normal(size=(DIM, DIM))
        change = jnp.asarray(change + change.T) * 0.05
        along = jnp.asarray(rng.normal(size=DIM))

        @jax.jit
        def measures(t, problem=problem, change=change, along=along):
            covariance = problem.covariance + t * change
            norm = Norm(problem.norm.kind, problem.norm.order * (1 + t), problem.norm.metric)
            moved = Problem(covariance, jnp.linalg.inv(covariance), problem.truth + t * along, norm)
            points, _ = robust_path.stopped(moved, settings())
            return jnp.stack([points.distance, points.dual_norm])

        exact = jax.jacfwd(measures)(jnp.zeros(()))
        numeric = (measures(jnp.asarray(1e-6)) - measures(jnp.asarray(-1e-6))) / 2e-6
        np.testing.assert_allclose(exact, numeric, rtol=2e-5, atol=1e-7, err_msg=f"{kind} {order}")


def test_quadratic_problems_with_bounds():
    """Against SciPy's bounded least squares."""
    from scipy.optimize import lsq_linear

    rng = np.random.default_rng(9)
    root = rng.normal(size=(12, 8))
    target = rng.normal(size=12) * 3
    found = separable.minimum(
        jnp.asarray(root.T @ root),
        jnp.asarray(root.T @ target),
        separable.bounded,
        jnp.asarray(-0.4),
        jnp.asarray(0.7),
    )
    expected = lsq_linear(root, target, (-0.4, 0.7), tol=1e-14).x
    np.testing.assert_allclose(found.x, expected, atol=1e-7)
    np.testing.assert_allclose(found.slope, root.T @ (target - root @ found.x), atol=1e-11)
