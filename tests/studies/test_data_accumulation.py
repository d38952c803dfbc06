"""data-accumulation: printed digits, identities, limits, figures' numbers, questions backwards."""

import importlib

import numpy as np
import pytest
from scipy import special

import simulator
from simulator.studies.collapse.data_accumulation._policies import POLICIES
from tests.cases import module_name

LINEAR, GAUSSIAN, TOKENS = (
    "data-accumulation",
    "data-accumulation.gaussian",
    "data-accumulation.tokens",
)
MIXED = ("accumulate", "fresh_mix", "keep_real")
EQUAL = {"num_samples": 100, "num_samples_synthetic": 100, "num_samples_budget": 100}


def predict(name, **given):
    return simulator.predict(name, **given)


def rows():
    for name in (LINEAR, GAUSSIAN, TOKENS):
        cases = importlib.import_module(f"tests.cases.{module_name(name)}")
        for row in cases.ROWS:
            yield pytest.param(name, *row[1:], id=f"{name}: {row[0]}")


@pytest.mark.parametrize(("name", "params", "expected", "monte_carlo"), list(rows()))
def test_printed_rows(name, params, expected, monte_carlo):
    """The digits as printed, and within five errors of a Monte-Carlo of the literal model."""
    found = predict(name, **params)
    for output, value in expected.items():
        np.testing.assert_allclose(found[output][-1], value, rtol=2e-9, atol=2e-10)
    for output, (mean, error) in monte_carlo.items():
        assert abs(found[output][-1] - mean) < 5 * error, output


# -- policies ----------------------------------------------------------------------------------
FACTORS = {  # equal sizes, generations 2, 3, 5, 10, 100
    "replace": (2, 3, 5, 10, 100),
    "accumulate": (1.25, 1.361111, 1.463611, 1.549768, 1.634984),
    "accumulate_subsample": (1.75, 2.083333, 2.390833, 2.649303, 2.904952),
    "keep_real": (1.25, 1.3125, 1.332031, 1.333332, 4 / 3),
    "fresh_mix": (0.75, 0.6875, 0.667969, 0.666668, 2 / 3),
}
LIMITS = {
    "replace": np.inf,
    "accumulate": np.pi**2 / 6,
    "accumulate_subsample": np.pi**2 / 2 - 2,
    "keep_real": 4 / 3,
    "fresh_mix": 2 / 3,
}


@pytest.mark.parametrize("policy", POLICIES)
def test_policy_factors_of_equal_sizes(policy):
    found = predict(LINEAR, policy=policy, num_generations=100, dim=4, **EQUAL)
    chosen = found["policy_factor"][[1, 2, 4, 9, 99]]
    np.testing.assert_allclose(chosen, FACTORS[policy], rtol=5e-7)
    np.testing.assert_allclose(found["policy_factor_limit"], LIMITS[policy], rtol=1e-12)


def test_limits_of_the_subset_on_both_sides_of_the_real_rows():
    budget = np.array([50, 100, 200, 400, 500])
    found = predict(
        LINEAR, policy="accumulate_subsample", dim=4, num_samples=200, num_samples_synthetic=130,
        num_samples_budget=budget, num_generations=3000,
    )  # fmt: skip
    printed = [7.407083, 4.444212, 2.962776, 2.308123, 2.185174]
    np.testing.assert_allclose(found["policy_factor_limit"], printed, rtol=2e-7)
    np.testing.assert_allclose(found["policy_factor"][:, -1], printed, rtol=2e-3)


@pytest.mark.parametrize("policy", ["accumulate", "fresh_mix", "keep_real"])
def test_the_limit_is_where_the_recursion_goes(policy):
    given = {"policy": policy, "dim": 4, "num_samples": 70, "num_samples_synthetic": 130}
    found = predict(LINEAR, synthetic_weight=0.7, num_generations=4000, **given)
    close = 3e-4 if policy == "accumulate" else 1e-12
    np.testing.assert_allclose(found["policy_factor"][-1], found["policy_factor_limit"], rtol=close)


@pytest.mark.parametrize("mode", ["maximum_likelihood", "unbiased"])
def test_generation_one_is_the_same_for_all(mode):
    given = {"num_samples": 23, "num_samples_budget": 23, "num_generations": 2, "dim": 2}
    firsts = [
        predict(GAUSSIAN, policy=policy, estimator=mode, **given)["log_determinant"][0]
        for policy in POLICIES
    ]
    np.testing.assert_allclose(firsts, firsts[0], rtol=1e-12)


def test_order_of_the_policies():
    found = {p: predict(LINEAR, policy=p, dim=4, **EQUAL)["policy_factor"][1:] for p in POLICIES}
    assert np.all(found["fresh_mix"] < 1)
    assert np.all(found["keep_real"] > 1)
    assert np.all(found["keep_real"] <= found["accumulate"] + 1e-15)
    assert np.all(found["accumulate"] < found["accumulate_subsample"])
    assert np.all(found["accumulate_subsample"] < found["replace"])


# -- linear ------------------------------------------------------------------------------------
def test_numbers_of_the_figure():
    ends = {
        "replace": (0.5050505, 1.262626, 2.525253),
        "accumulate": (0.2943313, 0.3255344, 0.3371113),
        "keep_real": (0.2941919, 0.3297204, 0.3397935),
        "fresh_mix": (0.1679607, 0.1271281, 0.1255541),
    }
    for policy, values in ends.items():
        found = predict(LINEAR, policy=policy)["test_error"]
        np.testing.assert_allclose(found[[0, 1, 4, 9]], (0.2525253, *values), rtol=3e-7)


def test_the_limit_of_accumulating_with_enough_rows():
    """A difference of digammas; T_1 = 30, T_s = 20, d = 10."""
    given = {"dim": 10, "num_samples": 30, "num_samples_synthetic": 20, "num_generations": 4000}
    found = predict(LINEAR, **given)["synthetic_variance"][-1]
    np.testing.assert_allclose(found, 0.0711669723, rtol=6e-4)
    limit = 0.25 * 10 / 11 * (special.digamma(2.5) - special.digamma(1 + 19 / 20))
    np.testing.assert_allclose(limit, 0.0711669723, rtol=1e-9)


def test_the_stationary_deviation_of_a_kept_block():
    found = predict(
        LINEAR, policy="keep_real", dim=40, num_samples=80, num_samples_synthetic=60,
        synthetic_weight=0.8, num_generations=300,
    )  # fmt: skip
    np.testing.assert_allclose(found["synthetic_variance"][-1], 0.0616790781, rtol=1e-8)


def test_growing_chains_below_the_threshold():
    """Interpolated steps feed those with more rows than dimensions."""
    found = predict(
        LINEAR, policy="keep_real", dim=30, num_samples=8, num_samples_synthetic=7,
        sample_growth=1.3, num_generations=5,
    )["synthetic_variance"]  # fmt: skip
    np.testing.assert_allclose(found[1:], [0.125, 1.15909, 1.99886, 2.30859], rtol=5e-6)


SHAPES = {"dim": 9, "num_samples": 20, "num_samples_synthetic": 26, "num_generations": 6}


@pytest.mark.parametrize("policy", ["accumulate", "keep_real"])
@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_nothing_is_recovered_and_nothing_forgotten(policy, ridge):
    given = SHAPES | {"num_samples": 6, "ridge": ridge, "synthetic_weight": 0.7, "policy": policy}
    found = predict(LINEAR, **given)
    for part in ("bias", "variance"):
        np.testing.assert_array_equal(found[part], found[part][0])
    assert np.all(np.diff(found["test_error"]) >= 0)


@pytest.mark.parametrize(
    ("policy", "given"),
    [
        ("replace", {}),
        ("accumulate_subsample", {"num_samples_budget": 20}),
        ("accumulate_subsample", {"num_samples_budget": 16}),
    ],
)
def test_errors_grow_where_old_noise_is_not_shrunk(policy, given):
    noise = {"noise_std": 0.6, "noise_std_synthetic": 0.6}
    assert np.all(
        np.diff(predict(LINEAR, policy=policy, **SHAPES, **noise, **given)["test_error"]) >= 0
    )


def test_replaced_rows_may_shrink_old_noise():
    """With a penalty the error of `replace` can fall: the rule above has its conditions."""
    found = predict(LINEAR, policy="replace", ridge=0.5, noise_std=3.0, noise_std_synthetic=0.1,
                    signal_variance=0.1, **SHAPES)  # fmt: skip
    assert found["test_error"][1] < found["test_error"][0]


def test_parts_scale_with_what_they_are_made_of():
    for policy in MIXED:
        base, other = (
            predict(
                LINEAR, policy=policy, ridge=0.1, noise_std=0.3 * a, noise_std_synthetic=0.7 * b,
                signal_variance=1.3 * c, **SHAPES,
            )
            for a, b, c in ((1, 1, 1), (2, 3, 5))
        )  # fmt: skip
        np.testing.assert_allclose(other["variance"], 4 * base["variance"], rtol=1e-12)
        np.testing.assert_allclose(
            other["synthetic_variance"], 9 * base["synthetic_variance"], rtol=1e-12
        )
        np.testing.assert_allclose(other["bias"], 5 * base["bias"], rtol=1e-12)


def test_kept_and_accumulated_are_the_same_at_generation_two():
    given = SHAPES | {"dim": 60, "num_samples": 130, "num_samples_synthetic": 170}
    kept, pooled = (
        predict(LINEAR, policy=p, **given)["test_error"][1] for p in ("keep_real", "accumulate")
    )
    np.testing.assert_allclose(kept, pooled, rtol=3e-3)  # O(1/d)


@pytest.mark.parametrize("policy", MIXED)
@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_no_weight_is_no_synthetic_data(policy, ridge):
    given = SHAPES | {"policy": policy, "ridge": ridge}
    none = predict(LINEAR, synthetic_weight=0.0, **given)
    hardly = predict(LINEAR, synthetic_weight=1e-7, **given)
    np.testing.assert_allclose(none["test_error"], none["test_error"][0], rtol=1e-12)
    # Fresh rows with a weight are an equivalent, O(1/d), without a penalty.
    close = 0.12 if policy == "fresh_mix" and ridge == 0 else 1e-6
    np.testing.assert_allclose(hardly["test_error"], none["test_error"], rtol=close)
    few = predict(LINEAR, synthetic_weight=0.0, **(given | {"num_samples": 4}))
    np.testing.assert_allclose(few["test_error"], few["test_error"][0], rtol=1e-12)


def test_a_kept_block_of_vanishing_weight_is_replaced():
    heavy = predict(LINEAR, policy="keep_real", synthetic_weight=1e9, **SHAPES)
    alone = predict(LINEAR, policy="replace", **SHAPES)
    np.testing.assert_allclose(
        heavy["synthetic_variance"], alone["synthetic_variance"], rtol=0.12
    )  # an equivalent against tr(T) of 26 rows in 9 dimensions


@pytest.mark.parametrize("policy", ["replace", "accumulate", "fresh_mix", "keep_real"])
def test_one_design_is_a_multiple_of_generation_one(policy):
    """For any dimension, number of rows and noise, interpolating or not."""
    multiples = []
    for d, t, noise in ((8, 20, 0.3), (30, 17, 0.9)):
        found = predict(
            LINEAR, design="same", policy=policy, dim=d, num_samples=t, num_samples_synthetic=t,
            noise_std=noise, noise_std_synthetic=2 * noise, synthetic_weight=0.6,
        )  # fmt: skip
        first = found["variance"][0]
        multiples.append((found["variance"] / first, found["synthetic_variance"] / first / 4))
    np.testing.assert_allclose(multiples[0], multiples[1], rtol=1e-12)


def test_infinite_noise_from_the_threshold_on():
    found = predict(LINEAR, dim=12, num_samples=4, num_samples_synthetic=4, num_generations=6)
    assert np.isfinite(found["synthetic_variance"][:2]).all()
    assert np.isinf(found["synthetic_variance"][2:]).all()
    assert np.isfinite(found["variance"]).all()
    for policy in POLICIES[:2] + POLICIES[3:]:
        found = predict(LINEAR, dim=12, num_samples=13, policy=policy)
        assert np.isinf(found["variance"]).all()
        silent = predict(LINEAR, dim=12, num_samples=13, policy=policy, noise_std=0.0)
        np.testing.assert_array_equal(silent["variance"], 0)
    mixed = {"dim": 12, "num_samples": 6, "num_samples_synthetic": 6, "policy": "fresh_mix"}
    found = predict(LINEAR, **mixed)
    for part in ("bias", "variance", "synthetic_variance"):
        assert np.isfinite(found[part][0])
        assert np.isinf(found[part][1:]).all()
    np.testing.assert_array_equal(found["num_samples_equivalent"][1:], 13)


def test_the_golden_ratio_where_features_are_few():
    """The stationary minimum over the weight, for several d/T_1; it tends to the golden ratio."""
    ratios = {
        0.05: (0.612, 0.60712, 0.65517),
        0.25: (0.585, 0.55483, 0.6),
        0.5: (0.545, 0.46056, 0.5),
        0.75: (0.4955, 0.30501, 0.33333),
        0.95: (0.446, 0.08237, 0.09091),
    }
    for phi, (best, value, at_one) in ratios.items():
        d = round(1000 * phi)
        given = {"dim": d, "num_samples": 1000, "num_samples_synthetic": 1000, "noise_std": 1.0,
                 "noise_std_synthetic": 1.0, "policy": "fresh_mix", "num_generations": 30,
                 "ridge": 1e-9}  # fmt: skip
        found = simulator.optimise(
            LINEAR, "test_error", {"synthetic_weight": (0.1, 1.0)}, at={"generation": 30}, **given
        )
        np.testing.assert_allclose(float(found["synthetic_weight"]), best, atol=2e-3)
        alone = predict(LINEAR, **(given | {"num_generations": 1}))["test_error"][0]
        np.testing.assert_allclose(float(found["test_error"]) / alone, value, rtol=2e-3)
        unweighted = predict(LINEAR, **given, synthetic_weight=1.0)["test_error"][-1]
        np.testing.assert_allclose(unweighted / alone, at_one, rtol=2e-3)
    golden = predict(LINEAR, policy="fresh_mix")["optimal_synthetic_weight"]
    np.testing.assert_allclose(golden, (np.sqrt(5) - 1) / 2, rtol=1e-14)


def test_the_best_weight_is_the_best_of_many_rows_per_feature():
    """`optimise` against its closed form, for unequal noise and sizes."""
    given = {"dim": 2, "num_samples": 5000, "num_samples_synthetic": [3000, 9000],
             "noise_std": 0.5, "noise_std_synthetic": 0.8, "policy": "fresh_mix",
             "num_generations": 40, "ridge": 1e-9}  # fmt: skip
    found = simulator.optimise(
        LINEAR, "test_error", {"synthetic_weight": (0.01, 2.0)}, at={"generation": 40}, **given
    )
    best = predict(LINEAR, **given)["optimal_synthetic_weight"]
    np.testing.assert_allclose(found["synthetic_weight"], best, rtol=2e-3)


def test_how_many_real_rows_keep_the_error_below_a_bound():
    given = {"dim": 20, "num_samples_synthetic": 80, "num_generations": 30}
    for policy in ("fresh_mix", "accumulate"):
        found = simulator.solve(
            LINEAR, "test_error", equals=0.1, over={"num_samples": (30, 1e5)},
            at={"generation": 30}, policy=policy, **given,
        )  # fmt: skip
        needed = int(np.ceil(float(found["num_samples"])))
        around = [predict(LINEAR, policy=policy, num_samples=t, **given)["test_error"]
                  for t in (needed - 1, needed)]  # fmt: skip
        assert around[0][-1] > 0.1 >= around[1][-1]


def test_the_number_of_real_rows_counts_their_share_hardly():
    """Error over (one row's)/T_1 of pooled rows, from one in a hundred real to nearly all."""
    share = np.array([0.01, 0.1, 0.5, 0.9, 0.99])
    real = 10**6
    given = {"num_samples": real, "num_samples_synthetic": np.round(real * (1 - share) / share),
             "dim": 2}  # fmt: skip
    rho = share / (1 - share)
    laws = {
        "keep_real": (3 - 2 * share) / (2 - share),
        "fresh_mix": 1 / (2 - share),
        "accumulate": 1 + rho * special.polygamma(1, 1 + rho),
    }
    for policy, law in laws.items():
        found = predict(LINEAR, policy=policy, **given)["policy_factor_limit"]
        np.testing.assert_allclose(found, law, rtol=1e-4)
        assert np.all((found >= 0.5) & (found <= 2))
