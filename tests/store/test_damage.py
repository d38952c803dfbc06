"""Damage anywhere in a store is named or harmless, and the same sweep mends it or says how."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.store.contents import open_store, store_status
from simulator.store.files import StoreError, remove
from simulator.store.manifest import read_manifest, write_manifest
from simulator.store.sweep import sweep_study
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


#: What may stand in the place of a file.
REPLACED = {
    "folder": Path.mkdir,
    "loop": lambda file: file.symlink_to(file.name),
    "link": lambda file: file.symlink_to("/dev/null"),
    "pipe": os.mkfifo,
}
DAMAGE = {
    **dict.fromkeys(REPLACED),
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


def damage(file, kind, where, how):
    content = file.read_bytes()
    if DAMAGE[kind] is not None:
        file.write_bytes(DAMAGE[kind](content, where, how))
        return
    file.unlink()
    if kind in REPLACED:
        REPLACED[kind](file)


def check_damage(intact, which, kind, where, how):
    """Damage one file of the store, read it, and run the sweep again."""
    path, files, whole = intact.contents
    expected = numbers(whole)
    name = sorted(files)[which % len(files)]
    damage(path / name, kind, where, how)
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
            remove(path / name)  # the way out that the message names
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


SCALARS = st.sampled_from([None, True, -1, 0, 3, 2**70, 0.5, 1e300, "", "x", "Infinity", [], {}])
CRAFTED = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(), SCALARS, max_size=2)


def crafted(value, data):
    """The JSON value with something else somewhere in it, or without something."""
    if not isinstance(value, (dict, list)) or not value or data.draw(st.integers(0, 9)) == 0:
        return data.draw(CRAFTED)
    places = sorted(value) if isinstance(value, dict) else list(range(len(value)))
    place = data.draw(st.sampled_from(places))
    changed = dict(value) if isinstance(value, dict) else list(value)
    if data.draw(st.integers(0, 9)) == 0:
        del changed[place]
    else:
        changed[place] = crafted(value[place], data)
    return changed


def check_crafted(path, file, content):
    """What is signed but makes no sense is named, by everyone who reads it, or reads as a store."""
    original = file.read_bytes()
    file.write_bytes(content)
    try:
        for use in (open_store, store_status):
            _, error = attempt(use, path, STUDY)
            assert error is None or str(path) in str(error)
    finally:
        file.write_bytes(original)


@pytest.mark.parametrize("change", [{"dtype": "float8"}, {"method": "guess"}])
def test_a_manifest_that_names_no_way_to_compute_is_refused(intact, change):
    path, _, _ = intact.contents
    file = path / ".simulator" / "manifest.json"
    original = file.read_bytes()
    try:
        write_manifest(path, read_manifest(path) | change)
        for use in (open_store, store_status):
            with pytest.raises(StoreError, match=f"{next(iter(change))} is not what a sweep"):
                use(path, STUDY)
    finally:
        file.write_bytes(original)


@settings(SOME, max_examples=200)
@given(st.data())
def test_crafted_manifests_are_refused_or_read(intact, data):
    path, files, _ = intact.contents
    file = path / ".simulator/manifest.json"
    manifest = json.loads(files[file.relative_to(path)])
    del manifest["checksum"]
    changed = crafted(manifest, data)
    if isinstance(changed, dict):
        text = json.dumps(changed, sort_keys=True)
        changed = changed | {"checksum": hashlib.sha256(text.encode()).hexdigest()}
    check_crafted(path, file, json.dumps(changed).encode())


@settings(SOME, max_examples=200)
@given(st.data())
def test_crafted_records_are_refused_or_read(intact, data):
    path, files, _ = intact.contents
    name = next(name for name in sorted(files) if name.suffix == ".rec")
    head, _, payload = files[name].partition(b"\n")[2].partition(b"\n")
    header = json.dumps(crafted(json.loads(head), data)).encode()
    body = header + b"\n" + payload[: len(payload) - data.draw(st.sampled_from([0, 0, 1, 8]))]
    content = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    check_crafted(path, path / name, content)


def test_bottomless_json_is_refused(intact):
    path, files, _ = intact.contents
    record = next(name for name in sorted(files) if name.suffix == ".rec")
    body = b"[" * 10**5 + b"\n"
    signed = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    for name, content in ((record, signed), (Path(".simulator/manifest.json"), body)):
        (path / name).write_bytes(content)
        try:
            _, error = attempt(open_store, path, STUDY)
            assert name.name in str(error)
        finally:
            (path / name).write_bytes(files[name])


def test_results_are_not_a_number_only_where_nothing_was_computed(intact):
    path, _, _ = intact.contents
    tree = open_store(path, STUDY)
    assert all(not np.isnan(v.values).any() for v in tree["mean"].data_vars.values())


def test_a_file_in_place_of_the_records_is_named(tmp_path, intact):
    """Else all would count as not computed."""
    path = tmp_path / "store"
    shutil.copytree(intact.contents[0], path)
    shutil.rmtree(path / ".simulator/records")
    (path / ".simulator/records").write_text("")
    for reader in (open_store, store_status):
        with pytest.raises(StoreError, match="records is no folder: delete it and run"):
            reader(path, STUDY)
