"""A small sweep that tests of the store finish, copy and disturb."""

from simulator.store.sweep import sweep_study
from tests.toy import STUDY

GRID = {"num_samples": [20, 40], "noise_std": [0.3]}


def sweep(path, study=STUDY, replicates=20, grid=GRID, **options):
    return sweep_study(study, grid, replicates=replicates, out=path, **options)


def means(tree):
    return tree["mean"]["test_error"].values.tolist()
