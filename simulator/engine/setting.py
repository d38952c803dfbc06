"""How cells are simulated: method, dtype and seed, which enter every random key."""

from typing import Any, NamedTuple

from simulator import checks
from simulator.parameters import Method
from simulator.runtime.compilation import default_platform
from simulator.study import Study


class Setting(NamedTuple):
    """Checked: see :func:`checked_setting`."""

    method: Method
    dtype: str
    seed: int


def checked_setting(
    study: Study, *, method: str | None = None, dtype: Any = None, seed: Any = 0
) -> Setting:
    """The setting in which ``study`` is simulated; the preferred method and dtype unless given.

    Raises
    ------
    TypeError, ValueError
        For a method that the study does not have, another dtype than float32 and float64, or a
        seed that is no whole number >= 0.
    """
    return Setting(study.simulation(method)[0], checked_dtype(dtype), checks.seed(seed))


def checked_dtype(dtype: Any) -> str:
    """The name of a simulation dtype; the default depends on the device."""
    if dtype is None:
        return "float64" if default_platform() == "cpu" else "float32"
    return checks.dtype(dtype)
