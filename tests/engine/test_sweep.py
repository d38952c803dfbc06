"""Predictions, simulations and sweeps of a toy study whose answers are known."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from simulator import simulate
from simulator.engine import program as program_module
from simulator.engine.cells import broadcast_cells, identity, product_cells
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import NotConverged, predict_study
from simulator.parameters import Parameter
from simulator.store.sweep import sweep_study
from tests.toy import STUDY


def formula(dim, num_samples, noise_std):
    return noise_std**2 * dim / (num_samples - dim - 1)


def test_predict_broadcasts_grids():
    n, sigma = np.array([20, 33, 47]), np.array([[0.3], [0.8]])
    outputs = predict_study(STUDY, num_samples=n, noise_std=sigma, dim=7)
    assert outputs["test_error"].dtype == np.float64
    np.testing.assert_allclose(outputs["test_error"], formula(7, n, sigma), rtol=1e-14)


def test_predict_on_more_points_than_a_chunk():
    n = np.arange(13, 713)
    outputs = predict_study(STUDY, num_samples=n)
    np.testing.assert_allclose(outputs["test_error"], formula(10, n, 0.5), rtol=1e-14)


def test_one_point_is_a_scalar():
    assert predict_study(STUDY)["test_error"].shape == ()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"num_sample": 40}, ValueError, "did you mean 'num_samples'"),
        ({"noise_std": -0.1}, ValueError, "noise_std = -0.1"),
        ({"noise_std": float("nan")}, ValueError, "noise_std = nan"),
        ({"noise_std": [0.1, np.inf]}, ValueError, "noise_std = inf"),
        ({"noise_std": "loud"}, TypeError, "noise_std = 'loud'"),
        ({"noise_std": None}, TypeError, "noise_std = None"),
        ({"num_samples": 40.5}, ValueError, "whole number"),
        ({"num_samples": [40, 40.5]}, ValueError, "whole number"),
        ({"num_samples": 11}, ValueError, "dim + 2 = 12"),
        ({"num_samples": [40, 11]}, ValueError, "num_samples = 11"),
        ({"dim": [5, 6]}, ValueError, "sweep"),
        ({"dim": True}, TypeError, "dim = True"),
        ({"num_samples": []}, ValueError, "empty"),
        ({"num_samples": [20, 30], "noise_std": [1, 2, 3]}, ValueError, "broadcast"),
    ],
)
def test_bad_parameters_are_named(arguments, error, words):
    with pytest.raises(error) as caught:
        predict_study(STUDY, **arguments)
    assert words in str(caught.value)
    with pytest.raises(error):
        simulate_study(STUDY, replicates=2, **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"replicates": 0}, ValueError, "replicates = 0"),
        ({"replicates": 2.5}, TypeError, "replicates = 2.5"),
        ({"replicates": 2, "seed": -1}, ValueError, "seed = -1"),
        ({"replicates": 2, "method": "quick"}, ValueError, "toy has fast"),
        ({"replicates": 2, "dtype": "float16"}, ValueError, "float32 or float64"),
        ({"replicates": 2, "num_samples": 2**31}, ValueError, "up to 2147483647"),
    ],
)
def test_bad_run_arguments_are_named(arguments, error, words):
    with pytest.raises(error) as caught:
        simulate_study(STUDY, **arguments)
    assert words in str(caught.value)


def test_simulation_estimates_the_mean_it_should():
    result = simulate_study(STUDY, replicates=4000, seed=3, num_samples=[25, 60], noise_std=0.7)
    z = (result.mean["test_error"] - formula(10, np.array([25, 60]), 0.7)) / result.standard_error[
        "test_error"
    ]
    assert np.all(np.abs(z) < 5)
    assert result.replicates["test_error"] == 4000
    assert result["test_error"].mean.shape == (2,)


def test_no_bit_depends_on_the_grid_or_the_number_of_replicates():
    alone = simulate_study(STUDY, replicates=50, num_samples=33, keep_values=True)
    grid = simulate_study(STUDY, replicates=7000, num_samples=[20, 33, 41], keep_values=True)
    assert np.array_equal(alone.values["test_error"], grid.values["test_error"][1, :50])


def test_chunks_do_not_change_a_bit(monkeypatch):
    reference = simulate_study(STUDY, replicates=100, num_samples=[20, 33])
    monkeypatch.setattr(program_module, "batch_size", lambda _: 8)
    chunked = simulate_study(STUDY, replicates=100, num_samples=[20, 33])
    assert np.array_equal(reference.mean["test_error"], chunked.mean["test_error"])


def test_extension_repeats_the_first_replicates():
    cells = [STUDY.canonical({"num_samples": 33})]
    once, twice = (Run(STUDY, cells, checked_setting(STUDY)) for _ in range(2))
    once.extend(150)
    twice.extend(37)
    twice.extend(150)
    assert once.summary(0)["test_error"].mean == twice.summary(0)["test_error"].mean


@pytest.mark.parametrize("change", [{"seed": 1}, {"dtype": "float32"}, {"noise_std": 0.50001}])
def test_other_content_is_another_draw(change):
    a = simulate_study(
        STUDY,
        replicates=5,
        dtype=change.get("dtype", "float64"),
        keep_values=True,
        **{k: v for k, v in change.items() if k != "dtype"},
    )
    b = simulate_study(STUDY, replicates=5, keep_values=True)
    assert not np.allclose(a.values["test_error"], b.values["test_error"], rtol=1e-3)


def test_minus_zero_is_zero():
    """As a scalar, on a grid and in an array: the same hash, so the same draws."""
    cells = [STUDY.canonical({"noise_std": zero}) for zero in (0.0, -0.0, np.float32(-0.0))]
    options = {"method": "fast", "dtype": "float64", "seed": 0}
    assert len({identity(STUDY, cell, **options) for cell in cells}) == 1
    _, values = broadcast_cells(STUDY, {"noise_std": [-0.0, 0.3]})
    assert not np.signbit(values["noise_std"]).any()
    axes, cells = product_cells(STUDY, {"noise_std": [-0.0, 0.3]}, {})
    assert not np.signbit(axes["noise_std"] + [cell["noise_std"] for cell in cells]).any()
    for static in (False, True):
        weights = Parameter("weights", "array", (), "w", "weights", static=static, dims=("row",))
        assert not np.signbit(weights.canonical([-0.0, 1.0])).any()


def test_minus_zero_draws_what_zero_draws():
    options = {"replicates": 3, "dim": 4, "num_samples": 9, "keep_values": True}
    draws = [
        simulate("ridge-collapse", ridge=zero, **options).values["test_error"].tolist()
        for zero in (0.0, -0.0)
    ]
    assert draws[0] == draws[1]


def test_sweep_is_labelled_and_matches_single_runs():
    tree = sweep_study(STUDY, {"dim": [4, 6], "num_samples": [20, 40, 60]}, replicates=30, seed=5)
    assert tree["theory"]["test_error"].dims == ("dim", "num_samples")
    single = simulate_study(STUDY, replicates=30, seed=5, dim=6, num_samples=40)
    at = {"dim": 6, "num_samples": 40}
    assert float(tree["mean"]["test_error"].sel(at)) == single.mean["test_error"]
    assert (
        float(tree["standard_error"]["test_error"].sel(at)) == single.standard_error["test_error"]
    )
    assert float(tree["theory"]["test_error"].sel(at)) == pytest.approx(formula(6, 40, 0.5))
    assert tree.attrs["noise_std"] == 0.5


def test_sweep_refuses_axes_it_cannot_label():
    with pytest.raises(ValueError, match="twice"):
        sweep_study(STUDY, {"dim": [4, 4]}, replicates=2)
    with pytest.raises(ValueError, match="given twice"):
        sweep_study(STUDY, {"dim": [4, 5]}, replicates=2, dim=6)
    with pytest.raises(TypeError, match="1-D"):
        sweep_study(STUDY, {"num_samples": 40}, replicates=2)


def test_a_theory_that_did_not_converge_is_an_error():
    def theory(params):
        outputs = STUDY.theory(params)
        return outputs | {"residual": params.noise_std}

    study = dataclasses.replace(STUDY, theory=theory)
    with pytest.raises(NotConverged, match=r"residual 5\.0e-01 .* noise_std = 0\.5"):
        predict_study(study)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (("test_error", "train_error"), "returns 'train_error', which is not declared for it"),
        ((), "does not return the declared output 'test_error'"),
        (("test_eror",), "returns 'test_eror', .* did you mean 'test_error'"),
        (("test_error", "dim"), r"returns test_error with shape \(2,\), but .* dims are \(\)"),
    ],
)
def test_both_sides_return_what_is_declared_and_nothing_else(returned, words):
    names, shape = [n for n in returned if n != "dim"], (2,) * ("dim" in returned)

    def theory(params):
        return dict.fromkeys(names, jnp.ones(shape) * params.noise_std)

    with pytest.raises(TypeError, match=f"toy: theory {words}"):
        predict_study(dataclasses.replace(STUDY, theory=theory))
    study = dataclasses.replace(STUDY, simulate_fast=lambda key, params: theory(params))
    with pytest.raises(TypeError, match=f"toy: fast {words}"):
        simulate_study(study, replicates=3)


def test_not_a_number_is_an_error_on_either_side():
    def theory(params):
        return {"test_error": params.noise_std * float("nan")}

    study = dataclasses.replace(
        STUDY, theory=theory, simulate_fast=lambda key, params: theory(params)
    )
    with pytest.raises(NotConverged, match="not-a-number"):
        predict_study(study)
    with pytest.raises(FloatingPointError, match="replicate 0"):
        simulate_study(study, replicates=3)
