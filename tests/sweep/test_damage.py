"""Damage anywhere in a store is named or harmless, and the same sweep mends it or says how."""

import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.sweep import StoreError, store_status, sweep_study
from simulator.sweep.stored import open_store
from tests.toy import STUDY

OPTIONS = {"grid": {"num_samples": [20, 40], "noise_std": [0.3]}, "replicates": 70}
pytestmark = pytest.mark.timeout(300)


class Intact:
    """Without a representation of all its contents, which takes seconds."""

    def __init__(self, *contents):
        self.contents = contents


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """A store, its files, and its results."""
    path = tmp_path_factory.mktemp("damage") / "store"
    tree = sweep_study(STUDY, **OPTIONS, out=path)
    files = {
        file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }
    return Intact(path, files, tree)


def numbers(tree):
    return {
        f"{group}/{name}": (variable.dims, variable.values.tobytes())
        for group in ("theory", "mean", "standard_error", "status")
        for name, variable in {**tree[group].data_vars, **tree[group].coords}.items()
    }


def is_honest(tree, whole):
    """Nothing wrong is read as right: cells are as they were, or count as not computed."""
    known = tree["status"]["replicates"].values > 0
    return all(
        np.array_equal(variable.values[known], whole[group][name].values[known])
        and np.isnan(variable.values[~known]).all()
        for group in ("mean", "standard_error")
        for name, variable in tree[group].data_vars.items()
    )


def attempt(function, *arguments, **options):
    try:
        return function(*arguments, **options), None
    except StoreError as error:
        return None, error


def flipped(content, where, how):
    at = where % max(len(content), 1)
    return content[:at] + bytes([content[at] ^ how]) + content[at + 1 :] if content else b"x"


DAMAGE = {
    "flipped": flipped,
    "cut": lambda content, where, how: content[: where % max(len(content), 1)],
    "grown": lambda content, where, how: content + bytes([how]) * (1 + where % 9),
    "zeros": lambda content, where, how: bytes(len(content)),
    "swapped": lambda content, where, how: content[::-1],
    "deleted": None,
}


SOME = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
anything = given(
    which=st.integers(0, 10**6),
    kind=st.sampled_from(sorted(DAMAGE)),
    where=st.integers(0, 10**6),
    how=st.integers(1, 255),
)


@SOME
@anything
def test_damage_is_named_or_harmless_and_mended_or_refused(intact, which, kind, where, how):
    check_damage(intact, which, kind, where, how)


@pytest.mark.slow
@settings(SOME, max_examples=250)
@anything
def test_more_damage_is_named_or_harmless_and_mended_or_refused(intact, which, kind, where, how):
    check_damage(intact, which, kind, where, how)


def check_damage(intact, which, kind, where, how):
    """Damage one file of the store, read it, and run the sweep again."""
    path, files, whole = intact.contents
    expected = numbers(whole)
    name = sorted(files)[which % len(files)]
    if DAMAGE[kind] is None:
        (path / name).unlink()
    else:
        (path / name).write_bytes(DAMAGE[kind](files[name], where, how))
    try:
        tree, error = attempt(open_store, path, STUDY)
        if error is not None:
            assert name.name in str(error)
        elif kind == "deleted" and name.suffix == ".rec":  # its cells count as not computed
            assert is_honest(tree, whole)
        else:
            assert numbers(tree) == expected
        _, error = attempt(store_status, path, STUDY)
        assert error is None or name.name in str(error)
        mended, error = attempt(sweep_study, STUDY, **OPTIONS, out=path)
        if error is not None:
            assert re.search(rf"{name.name} .*delete it", str(error)), error
            (path / name).unlink()  # the way out that the message names
            mended = sweep_study(STUDY, **OPTIONS, out=path)
        assert numbers(mended) == expected
    finally:
        shutil.rmtree(path)
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.binary(max_size=200) | st.sampled_from([b"{}", b"null", b'{"format": 1}', b"[1]", b"\xff"])
)
def test_any_manifest_is_refused(intact, content):
    path, files, _ = intact.contents
    manifest = path / ".simulator/manifest.json"
    manifest.write_bytes(content)
    try:
        with pytest.raises(StoreError, match=r"manifest\.json"):
            open_store(path, STUDY)
    finally:
        manifest.write_bytes(files[manifest.relative_to(path)])


def test_results_are_not_a_number_only_where_nothing_was_computed(intact):
    path, _, _ = intact.contents
    tree = open_store(path, STUDY)
    assert all(not np.isnan(v.values).any() for v in tree["mean"].data_vars.values())
