"""`sweep`."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from simulator.engine.theory import predict_study
from tests.cli import run
from tests.toy import STUDY


def test_sweep_writes_netcdf(capsys, tmp_path):
    path = tmp_path / "sweep.nc"
    code, out, err = run(
        capsys,
        "sweep",
        "toy",
        "--grid",
        "num_samples=20,30,40",
        "--grid",
        "noise_std=log:1e-2:1:3",
        "--replicates",
        "4",
        "--out",
        str(path),
    )
    assert (code, out) == (0, "")
    assert str(path) in err
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        np.testing.assert_allclose(tree["theory"]["noise_std"], [0.01, 0.1, 1.0])
        assert tree["mean"]["test_error"].dims == ("num_samples", "noise_std")
        at = {"num_samples": 30, "noise_std": 0.1}
        expected = predict_study(STUDY, **at)
        assert float(tree["theory"]["test_error"].sel(at, method="nearest")) == pytest.approx(
            float(expected["test_error"])
        )


def test_platform_is_settled_before_devices_start_and_recorded(tmp_path):
    """Without the flag, an environment that names a missing platform stops JAX."""
    words = [sys.executable, "-m", "simulator.cli", "sweep", "ridge-collapse"]
    words += ["--dim", "12", "--num-generations", "1"]
    words += [
        "--ridge",
        "0",
        "--grid",
        "num_samples=20",
        "--replicates",
        "2",
        "--out",
        str(tmp_path / "store"),
    ]
    environment = os.environ | {"JAX_PLATFORMS": "tpu"}
    subprocess.run([*words, "--platform", "cpu"], env=environment, check=True, timeout=120)
    manifest = json.loads((tmp_path / "store/.simulator/manifest.json").read_text())
    assert manifest["platform"] == "cpu"
    assert (manifest["dtype"], manifest["matmul_precision"]) == ("float64", "highest")
