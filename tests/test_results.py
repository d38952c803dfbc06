"""Studies and results travel between processes, and compare by value."""

import copy
import dataclasses
import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import simulator
from simulator import data, registry
from simulator.data import corpus
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import predict_study
from simulator.equality import same
from simulator.store.sweep import sweep_study
from simulator.verdict import check_study
from tests.toy import ASYMPTOTIC, STUDY


@pytest.mark.parametrize("name", simulator.studies())
def test_every_study_pickles(name):
    study = registry.get(name)
    assert pickle.loads(pickle.dumps(study)) is study
    assert copy.deepcopy(study) is study
    params = study.params()
    assert pickle.loads(pickle.dumps(params)) == params


def test_a_changed_study_pickles_by_value():
    copied = pickle.loads(pickle.dumps(ASYMPTOTIC))
    assert copied is not STUDY
    assert copied == ASYMPTOTIC


def of_data():
    """One object of every kind that is made of data."""
    rows = np.random.default_rng(0).normal(size=(60, 4)) * [8, 4, 2, 1]
    table = data.from_arrays(rows, rows.sum(axis=1))
    population = data.population(table)
    return table, population, corpus.fit(np.arange(60)[:0:-1])


def test_results_pickle_and_compare_by_value():
    results = [
        simulate_study(STUDY, replicates=3, noise_std=[0.1, 0.2], keep_values=True),
        simulate_study(STUDY, replicates=1)["test_error"],  # an error that is not a number
        check_study(STUDY, replicates=64, dim=10),
        check_study(STUDY, replicates=64, dim=10).comparisons[0],
        *of_data(),
    ]
    for result in results:
        copied = pickle.loads(pickle.dumps(result))
        assert (copied == result) is True
        assert (copied != result) is False
        assert (result == 3) is False
        assert (result == None) is False  # noqa: E711
        with pytest.raises(TypeError, match="unhashable"):
            hash(result)
    one, two = (simulate_study(STUDY, replicates=3, seed=seed) for seed in (0, 1))
    assert (one == two) is False
    assert (one == dataclasses.replace(one, mean={})) is False
    tree = sweep_study(STUDY, {"noise_std": [0.1]}, replicates=2)
    assert pickle.loads(pickle.dumps(tree)).identical(tree)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), True),
        (np.array([1.0, 2.0]), np.array([1.0]), False),
        (np.array(["a"]), np.array(["a"]), True),
        ({"a": np.ones(2)}, {"a": np.ones(2)}, True),
        ({"a": np.ones(2)}, {"b": np.ones(2)}, False),
        ([np.ones(2)], [np.zeros(2)], False),
        (float("nan"), float("nan"), True),
        (1.0, np.ones(2), False),
    ],
)
def test_same(one, other, equal):
    assert same(one, other) is equal


FORKED = """
import os, sys, warnings
import simulator
from simulator import data, registry
from simulator.data import corpus
from tests.toy import STUDY
from simulator.engine.theory import predict_study
warnings.simplefilter("ignore")
if {computed}:
    predict_study(STUDY)
pid = os.fork()
if pid == 0:
    try:
        predict_study(STUDY)
        os._exit(0)
    except RuntimeError as error:
        os._exit(3 if "spawn" in str(error) else 4)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.parametrize(("computed", "code"), [(True, "3"), (False, "0")])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_says_so_instead_of_hanging(computed, code):
    program = FORKED.format(computed=computed)
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120
    )
    assert found.stdout.strip() == code


def _predicted(noise_std):
    return float(predict_study(STUDY, noise_std=noise_std)["test_error"])


def test_a_spawned_pool_computes():
    noise = [0.1, 0.2]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(_predicted, noise)
    assert found == [_predicted(value) for value in noise]
