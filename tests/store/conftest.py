"""A finished store, and copies of it to disturb."""

import shutil

import pytest

from tests.store.finished import sweep


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "store"
    return path, sweep(path)


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of a finished store, and the results in it."""
    original, tree = finished
    return shutil.copytree(original, tmp_path / "store"), tree
