"""A device that computes wrong numbers is refused before anything else runs on it."""

import jax
import jax.numpy as jnp
import pytest

from simulator.engine import devices
from simulator.engine.simulation import simulate_study
from tests.toy import STUDY


@pytest.fixture
def fresh():
    devices.check_device.cache_clear()
    yield
    devices.check_device.cache_clear()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_this_device_has_the_known_mean(fresh, dtype):
    devices.check_device(jax.local_devices()[0], dtype)


@pytest.mark.parametrize("wrong", [lambda x: 1.01 * x, lambda x: x * jnp.nan])
def test_a_device_that_is_wrong_by_one_percent_is_refused(fresh, monkeypatch, wrong):
    right = devices.inverse_trace
    monkeypatch.setattr(devices, "inverse_trace", lambda key: wrong(right(key)))
    with pytest.raises(
        devices.WrongDevice, match=r"computes wrong numbers in float32: .* 0\.145455"
    ):
        devices.check_device(jax.local_devices()[0], "float32")


def test_accelerators_are_checked_once_before_they_simulate(monkeypatch):
    class Accelerator:
        platform = "gpu"

    card, checked = Accelerator(), []
    monkeypatch.setattr(devices, "local_devices", lambda: [card])
    monkeypatch.setattr(devices, "check_device", lambda device, dtype: checked.append(device))
    devices.check_accelerators("float32")
    assert checked == [card]


def test_the_check_comes_before_the_simulation(monkeypatch):
    def refuse(dtype):
        raise devices.WrongDevice(dtype)

    monkeypatch.setattr("simulator.engine.run.check_accelerators", refuse)
    with pytest.raises(devices.WrongDevice, match="float32"):
        simulate_study(STUDY, replicates=3, dtype="float32")
