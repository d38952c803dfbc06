"""Dask workers compute what one process computes, bit for bit, and may die doing it."""

import importlib.util
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import distributed
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.store import dask as dask_cells
from simulator.store.dask import compute_with_dask
from simulator.store.files import StoreError
from simulator.store.sweep import sweep_study
from tests.toy import ARRAYS, STUDY

GRID = {"dim": [4, 6], "num_samples": [20, 40, 60]}
pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("dask")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # JAX's cache of compiled programs does not survive the kill of a worker.
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        running = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=":0",
            silence_logs=50,
        )
    with running:
        yield running


def chunks(path):
    return {
        file.relative_to(path): file.read_bytes()
        for group in ("theory", "mean", "standard_error", "status")
        for file in (path / group).rglob("c/**/*")
        if file.is_file()
    }


def records(path):
    return list((path / ".simulator/records").glob("*.rec"))


def test_workers_compute_what_one_process_computes(tmp_path, cluster, capsys):
    options = {"grid": GRID, "replicates": 100, "noise_std": 0.7}
    sweep_study(STUDY, **options, out=tmp_path / "here")
    sweep_study(STUDY, **options, out=tmp_path / "there", dask=cluster.scheduler_address)
    assert "computed 6, reused 0 of 6 cells" in capsys.readouterr().err
    assert chunks(tmp_path / "there") == chunks(tmp_path / "here")
    tasks = {file.name.partition("task-")[2] for file in records(tmp_path / "there")}
    assert len(tasks) == 2, "one for each compiled program"


def test_workers_extend_what_one_process_began(tmp_path, cluster):
    sweep_study(STUDY, GRID, replicates=70, out=tmp_path / "both")
    sweep_study(STUDY, GRID, replicates=200, out=tmp_path / "both", dask=cluster.scheduler_address)
    sweep_study(STUDY, GRID, replicates=200, out=tmp_path / "here")
    assert chunks(tmp_path / "both") == chunks(tmp_path / "here")


@pytest.mark.parametrize(
    "counts", [(20, 65), pytest.param((1, 2, 63, 64, 65, 130), marks=pytest.mark.slow)]
)
def test_any_number_of_replicates_of_arrays_is_that_of_one_process(tmp_path, cluster, counts):
    """Computed at once, and extended from one count to the next."""
    for count in counts:
        options = {"grid": {"dim": [4, 6], "num_samples": [20, 40]}, "replicates": count}
        sweep_study(ARRAYS, **options, out=tmp_path / f"here-{count}")
        for name in ("extended", f"there-{count}"):
            path, address = tmp_path / name, cluster.scheduler_address
            sweep_study(ARRAYS, **options, out=path, dask=address)
            assert chunks(path) == chunks(tmp_path / f"here-{count}")


def test_a_worker_killed_in_the_middle_of_a_cell_is_replaced(tmp_path, cluster):
    """The other worker goes on from what the dead one has recorded."""
    options = {"grid": {"dim": [6], "num_samples": [20, 40]}, "replicates": 100_000}
    before = set(worker_pids(cluster))

    def record_often():
        from simulator.store import compute as stored

        stored.INTERVAL = 0.05

    def kill_one_at_work():
        # Not Dask's default client: it would end before the sweep's, which began later.
        with distributed.Client(cluster, set_as_default=False) as client:
            client.run(record_often)
            while not records(tmp_path / "there"):
                time.sleep(0.01)
            busy = [address for address, tasks in client.processing().items() if tasks]
            os.kill(client.run(os.getpid, workers=busy[:1])[busy[0]], signal.SIGKILL)

    killer = threading.Thread(target=kill_one_at_work)
    killer.start()
    sweep_study(STUDY, **options, out=tmp_path / "there", dask=cluster.scheduler_address)
    killer.join()
    assert len(before & set(worker_pids(cluster))) == 1
    sweep_study(STUDY, **options, out=tmp_path / "here")
    assert chunks(tmp_path / "there") == chunks(tmp_path / "here")


def worker_pids(cluster):
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        return client.run(os.getpid).values()


def deadly(key, params):
    def kill(num_samples):
        if num_samples == 40 and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)

    jax.debug.callback(kill, params.num_samples)
    ballast = jnp.sum(jnp.sort(jnp.zeros(2**16) * params.noise_std))  # few lanes, few callbacks
    return {"test_error": STUDY.simulate_fast(key, params)["test_error"] + ballast}


@pytest.mark.slow
def test_a_cell_that_kills_its_workers_is_recorded_and_the_others_go_on(
    tmp_path, cluster, monkeypatch
):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)  # each death costs seconds
    study = replace(STUDY, simulate_fast=deadly)
    options = {"grid": {"num_samples": [20, 40, 60]}, "replicates": 10, "out": tmp_path / "store"}
    tree = sweep_study(study, **options, dask=cluster.scheduler_address)
    assert tree["status"]["failed"].values.tolist() == [0, 1, 0]
    assert tree["status"]["replicates"].values.tolist() == [10, 0, 10]
    mended = sweep_study(STUDY, **options, retry_failed=True)
    assert mended["status"]["failed"].values.tolist() == [0, 0, 0]


@pytest.mark.slow
def test_a_failing_cell_is_recorded_and_the_others_go_on(tmp_path, cluster):
    def diverging(key, params):
        error = STUDY.simulate_fast(key, params)["test_error"]
        return {"test_error": jnp.where(params.num_samples == 40, np.nan, error)}

    tree = sweep_study(
        replace(STUDY, simulate_fast=diverging),
        {"num_samples": [20, 40, 60]},
        replicates=10,
        out=tmp_path / "store",
        dask=cluster.scheduler_address,
    )
    assert tree["status"]["failed"].values.tolist() == [0, 1, 0]


def test_a_worker_with_other_versions_is_refused(tmp_path, cluster):
    """Its numbers might differ in their last digits, and nobody would know."""
    options = {"grid": GRID, "out": tmp_path / "store", "dask": cluster.scheduler_address}

    def other_version():
        from simulator.store import dask as dask_cells

        dask_cells.versions = lambda: {"jax": "0.0.1"}

    def own_version():
        from simulator.store import dask as dask_cells
        from simulator.store import plan

        dask_cells.versions = plan.versions

    with distributed.Client(cluster) as client:
        client.run(other_version)
        with pytest.raises(StoreError, match=r"worker has versions.*0\.0\.1"):
            sweep_study(STUDY, **options, replicates=10)
        client.run(own_version)


@pytest.mark.slow
def test_a_cluster_is_started_here(tmp_path, capsys):
    from simulator.cli import main

    words = ["sweep", "ridge-collapse", "--dim", "10", "--grid", "num_samples=30,50"]
    words += ["--replicates", "20", "--out"]
    assert main([*words, str(tmp_path / "there"), "--dask", "local:1"]) == 0
    assert main([*words, str(tmp_path / "here")]) == 0
    assert chunks(tmp_path / "there") == chunks(tmp_path / "here")
    assert main(["status", str(tmp_path / "there"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 2


def test_local_workers_are_as_many_as_asked_for_with_cores_of_their_own():
    cores = sorted(os.sched_getaffinity(0))
    with dask_cells.local_cluster(1) as on, distributed.Client(on) as client:
        assert [set(found) for found in client.run(os.sched_getaffinity, 0).values()] == [
            set(cores)
        ]


@pytest.mark.parametrize("cluster", ["", "local:0", "local:x", "host", "tcp://", 8786])
def test_what_is_no_cluster_is_refused(tmp_path, cluster):
    with pytest.raises(ValueError, match=r"dask = .* is not allowed: it must be local"):
        sweep_study(STUDY, GRID, replicates=2, out=tmp_path / "store", dask=cluster)
    assert not Path(tmp_path / "store").exists()


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cells, "SECONDS_TO_CONNECT", 0.2)
    with pytest.raises(ConnectionError, match="no Dask scheduler answers at localhost:9"):
        sweep_study(STUDY, GRID, replicates=2, out=tmp_path / "store", dask="localhost:9")


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'theory-simulator\[cluster\]'"):
        compute_with_dask("local:2")


SCRIPT = """
import simulator
from tests.toy import STUDY

def main():
    tree = simulator.sweep(STUDY, {"dim": [4]}, replicates=2, out="store", dask="local:1")
    print(tree["mean"]["test_error"].shape)

"""
UNGUARDED = ("main()", "if True:\n    main()")
GUARDED = ('if __name__ == "__main__":\n    main()', 'if "__main__" == __name__: main()')


def run_script(folder, end, how):
    (folder / "script.py").write_text(SCRIPT + end + "\n")
    paths = os.pathsep.join([str(Path(__file__).parents[2]), str(folder)])
    return subprocess.run(
        [sys.executable, *how],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("how", [["script.py"], ["-m", "script"]])
@pytest.mark.parametrize("end", UNGUARDED)
def test_a_script_that_every_process_would_run_again_is_refused(tmp_path, end, how):
    done = run_script(tmp_path, end, how)
    assert done.returncode != 0
    assert "put what calls the simulator under `if __name__" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == 1  # that of the caller, and of no other process
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("end", GUARDED)
def test_a_guarded_script_is_not(tmp_path, end):
    done = run_script(tmp_path, end, ["script.py"])
    assert done.stdout == "(1,)\n", done.stderr
