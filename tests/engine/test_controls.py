"""Control variates: sharper means, honest errors, and the same bits however a run is cut."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.engine.moments import BLOCK
from simulator.engine.regression import Regression, usable
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.simulation import simulate_study
from simulator.engine.tally import Stalled, Tally
from simulator.runtime.precision import float_dtype
from simulator.sampling.gamma import chi_square
from simulator.store.sweep import sweep_study
from simulator.study import CONTROLS
from simulator.verdict import check_study
from simulator.verdict.scores import normal_score
from tests.toy import STUDY, theory


def statistics(params):
    """Means of the squared length of the noise, and of two of its squares."""
    d = jnp.asarray(params.dim, float_dtype())
    return {"length": d, "first_two": jnp.ones(2, float_dtype())}


def simulate(key, params):
    """The error of least squares beside the noise that makes most of it."""
    key_g, key_c = jax.random.split(key)
    g = jax.random.normal(key_g, (params.dim,), float_dtype())
    dof = (params.num_samples - params.dim + 1).astype(float_dtype())
    error = params.noise_std**2 * jnp.sum(g**2) / chi_square(key_c, dof)
    return {
        "test_error": error,
        CONTROLS: {"length": jnp.sum(g**2), "first_two": g[:2] ** 2},
    }


def without(key, params):
    return {name: v for name, v in simulate(key, params).items() if name != CONTROLS}


SHARP = dataclasses.replace(STUDY, name="toy-controls", simulate_fast=simulate, controls=statistics)
PLAIN = dataclasses.replace(SHARP, simulate_fast=without)
POINT = {"dim": 6, "num_samples": 200}


def draws(rng, seeds, count, skewed=0.0, slopes=(1.0, -0.5, 0.3)):
    """Normal controls, and an output that follows them but for noise and a curved rest."""
    z = rng.standard_normal((seeds, count, len(slopes)))
    rest = 0.1 * rng.standard_normal((seeds, count)) + 0.05 * (z[..., 0] ** 2 - 1)
    rest += skewed * (rng.exponential(1.0, (seeds, count)) - 1)
    return 2.0 + z @ np.array(slopes) + rest, z


def regressed(y, z):
    regression = Regression()
    regression.update(y, z)
    return regression.summary()


@pytest.mark.parametrize(("count", "seeds"), [(20, 3000), (100, 1000), (320, 1000)])
def test_intervals_cover_the_mean(count, seeds):
    """z over seeds: of mean zero, of variance one but for few degrees of freedom."""
    y, z = draws(np.random.default_rng(0), seeds, count)
    found = [regressed(y[i], z[i]) for i in range(seeds)]
    ratio = np.array([(s.mean - 2.0) / s.standard_error for s in found])
    freedom = count - 1 - z.shape[-1]
    spread = np.sqrt(freedom / (freedom - 2))  # of Student's t
    # The regression of a curved output on few replicates errs by O(1/count).
    assert abs(np.mean(ratio)) < 4 / np.sqrt(seeds) + 1.5 / np.sqrt(count)
    assert 0.9 < np.std(ratio) / spread < 1.1
    inside = np.mean(np.abs(ratio) < 1.96 * spread)
    assert abs(inside - 0.95) < 0.015
    plain = np.mean(y.std(axis=1, ddof=1) / np.sqrt(count))
    assert np.mean([s.standard_error for s in found]) < 0.25 * plain
    assert all(s.controls == 3 for s in found)


@pytest.mark.parametrize("count", [20, 100])
def test_scores_of_skewed_residuals_stay_below_five(count):
    """As for plain means: at five standard errors, one in a thousand would be three."""
    y, z = draws(np.random.default_rng(7), 3000, count, skewed=0.3)
    found = [regressed(y[i], z[i]) for i in range(len(y))]
    ratio = np.array([(s.mean - 2.0) / s.standard_error for s in found])
    skewness = np.array([s.skewness for s in found]) / np.sqrt(count)
    assert np.sum(np.abs(normal_score(ratio, skewness, count - 3)) > 5) <= 1


@pytest.mark.parametrize("count", [30, BLOCK, 200, 1000])
def test_the_estimate_is_that_of_one_regression_on_all_replicates(count):
    y, z = (values[0] for values in draws(np.random.default_rng(1), 1, count))
    both = np.stack([y, y**2], axis=1)
    design = np.c_[np.ones(count), z]
    solution, squares, *_ = np.linalg.lstsq(design, both, rcond=None)
    covariance = np.linalg.inv(design.T @ design)[0, 0] * squares / (count - 4)
    found = regressed(both, z)
    np.testing.assert_allclose(found.mean, solution[0], rtol=1e-10)
    np.testing.assert_allclose(found.standard_error, np.sqrt(covariance), rtol=1e-10)


def test_controls_that_repeat_or_do_not_vary_change_nothing():
    y, z = (values[0] for values in draws(np.random.default_rng(2), 1, 500))
    more = np.c_[z, z[:, 0] * 3, 0 * z[:, 0]]
    one, other = regressed(y, z), regressed(y, more)
    np.testing.assert_allclose(other.mean, one.mean, rtol=1e-12)
    np.testing.assert_allclose(other.standard_error, one.standard_error, rtol=1e-12)


def test_too_few_replicates_take_the_plain_mean_and_say_so():
    few, more, many = (simulate_study(SHARP, replicates=n, **POINT) for n in (11, 13, 14))
    assert few.controls == {"test_error": 0}
    assert more.controls == {"test_error": 2}
    assert many.controls == {"test_error": 3}
    assert "control" not in str(few["test_error"])
    assert "(2 control variates)" in str(more["test_error"])
    assert "(3 control variates)" in str(many["test_error"])
    values = simulate_study(SHARP, replicates=11, keep_values=True, **POINT).values["test_error"]
    assert few.mean["test_error"] == pytest.approx(values.mean(), rel=1e-14)


def test_how_many_controls_are_used_follows_from_the_numbers_alone():
    assert [usable(n, 3) for n in (1, 11, 12, 13, 14, 1000)] == [0, 0, 1, 2, 3, 3]
    assert usable(BLOCK - 1, 60) == BLOCK - 12
    assert usable(BLOCK, 60) == 0  # the first block's slope is that of all
    assert usable(71, 60) == 60


def test_few_replicates_use_the_first_controls_of_the_study():
    y, z = (values[0] for values in draws(np.random.default_rng(6), 1, 13))
    few, first = regressed(y, z), regressed(y, z[:, :2])
    assert few.controls == first.controls == 2
    np.testing.assert_array_equal([few.mean, few.variance], [first.mean, first.variance])


def test_controls_stand_in_the_order_of_their_means():
    run = Run(SHARP, [SHARP.canonical(POINT)], checked_setting(SHARP))
    run.extend(4000)
    variances = run.summary(0)[CONTROLS].variance
    np.testing.assert_allclose(variances, [2 * POINT["dim"], 2, 2], rtol=0.3)


def test_draws_are_those_of_before_and_fewer_replicates_say_more():
    sharp, plain = (
        simulate_study(study, replicates=500, keep_values=True, **POINT) for study in (SHARP, PLAIN)
    )
    np.testing.assert_array_equal(sharp.values["test_error"], plain.values["test_error"])
    assert set(sharp.values) == {"test_error"}
    assert sharp.standard_error["test_error"] < 0.25 * plain.standard_error["test_error"]
    expected = theory(SHARP.params(**SHARP.canonical(POINT)))["test_error"]
    assert abs(sharp.mean["test_error"] - expected) < 4 * sharp.standard_error["test_error"]


def entered(outputs, cuts, through=None):
    tally = Tally()
    for start, stop in zip([0, *cuts], [*cuts, len(outputs["y"])], strict=True):
        tally.add({name: values[start:stop] for name, values in outputs.items()}, stop - 1)
        if through is not None:
            again = Tally()
            again.restore(tally.count, through(tally.state()), Stalled())
            tally = again
    return tally.summary()["y"].regressed


@pytest.mark.parametrize("cuts", [(), (1,), (10, 63), (64,), (65, 130, 131)])
def test_the_estimate_does_not_depend_on_how_a_run_was_cut(cuts):
    rng = np.random.default_rng(3)
    outputs = {"y": rng.standard_normal((200, 2, 3)), CONTROLS: rng.standard_normal((200, 4))}
    whole = entered(outputs, ())
    for through in (None, lambda state: state):
        pieces = entered(outputs, cuts, through)
        for name in ("mean", "variance", "skewness", "kurtosis"):
            np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


@pytest.mark.parametrize("earlier", [0, 3])
def test_what_was_begun_without_controls_or_with_others_goes_on_without_them(earlier):
    rng = np.random.default_rng(4)
    outputs = {"y": rng.standard_normal(100), CONTROLS: rng.standard_normal((100, 4))}
    tally, again = Tally(), Tally()
    others = {CONTROLS: outputs[CONTROLS][:, :earlier]} if earlier else {}
    tally.add({"y": outputs["y"]} | others, 99)
    again.restore(100, tally.state(), Stalled())
    again.add(outputs, 199)
    assert again.summary().keys() == {"y"}
    assert again.summary()["y"].best.count == 200
    assert again.summary()["y"].regressed is None


def test_controls_in_the_order_of_earlier_versions_are_not_mixed_with_ours():
    rng = np.random.default_rng(4)
    outputs = {"y": rng.standard_normal(100), CONTROLS: rng.standard_normal((100, 4))}
    tally, again = Tally(), Tally()
    tally.add(outputs, 99)
    earlier = {CONTROLS if name != "y" else name: mine for name, mine in tally.state().items()}
    assert earlier.keys() == {"y", CONTROLS}
    again.restore(100, earlier, Stalled())
    again.add(outputs, 199)
    assert again.summary().keys() == {"y"}
    assert again.summary()["y"].regressed is None


def test_an_infinite_replicate_makes_the_mean_infinite():
    outputs = {"y": np.ones(100), CONTROLS: np.random.default_rng(5).standard_normal((100, 2))}
    outputs["y"][70] = np.inf
    assert entered(outputs, ()) is None


@pytest.mark.parametrize("replicates", [40, 64, 130])
def test_a_store_resumes_to_the_bit(tmp_path, replicates):
    grid = {"num_samples": [40, 200]}
    memory = sweep_study(SHARP, grid, replicates=200, dim=6)
    sweep_study(SHARP, grid, replicates=replicates, dim=6, out=tmp_path / "s")
    stored = sweep_study(SHARP, grid, replicates=200, dim=6, out=tmp_path / "s")
    for group in ("mean", "standard_error"):
        np.testing.assert_array_equal(stored[group]["test_error"], memory[group]["test_error"])


def test_verdicts_use_the_sharper_mean_and_test_the_controls():
    sharp, plain = (
        check_study(study, replicates=3000, tolerance=0.05, **POINT) for study in (SHARP, PLAIN)
    )
    assert sharp.status == "agrees", str(sharp)
    assert sharp.worst("test_error").resolution < 0.3 * plain.worst("test_error").resolution
    assert sharp.worst(CONTROLS).status == "agrees"
    assert CONTROLS not in {c.output for c in plain.comparisons}
    wrong = dataclasses.replace(
        SHARP, controls=lambda p: {**statistics(p), "length": 0.9 * jnp.float64(p.dim)}
    )
    verdict = check_study(wrong, replicates=3000, tolerance=0.05, **POINT)
    assert verdict.worst(CONTROLS).status == "disagrees"


def test_a_control_of_unknown_mean_is_named():
    nameless = dataclasses.replace(SHARP, controls=lambda p: {"length": 1.0 * p.dim})
    with pytest.raises(TypeError, match="first_two"):
        simulate_study(nameless, replicates=2, **POINT)
