"""Links in place of a store's files and folders, locks that cannot be had, paths to nowhere."""

import errno
import os
from pathlib import Path

import pytest

from simulator.store import records as store_module
from simulator.store.contents import open_store, store_status
from simulator.store.files import StoreError
from simulator.store.records import locked
from tests.store.finished import means, sweep
from tests.toy import STUDY

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_in_place_of_the_lock_is_refused_and_its_target_left_alone(copy, tmp_path, kind):
    path, _ = copy
    precious = tmp_path / "thesis.tex"
    precious.write_text("precious")
    lock = path / ".simulator/lock"
    lock.unlink()
    (lock.symlink_to if kind == "symbolic" else lock.hardlink_to)(precious)
    with pytest.raises(StoreError, match=r"lock is a link.*delete it"):
        sweep(path)
    assert precious.read_text() == "precious"


def test_a_lock_swapped_for_a_link_at_the_last_moment_is_refused_too(copy, tmp_path):
    path, _ = copy
    (tmp_path / "thesis.tex").write_text("precious")
    (path / ".simulator/lock").unlink()
    (path / ".simulator/lock").symlink_to(tmp_path / "thesis.tex")
    with pytest.raises(StoreError, match=r"lock is no plain file"), locked(path):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("name", ["mean", ".simulator", ".simulator/records", "mean/test_error/c"])
def test_no_folder_behind_a_link_is_read_or_changed(copy, tmp_path, name):
    path, _ = copy
    outside = tmp_path / "outside"
    (path / name).rename(outside)
    (path / name).symlink_to(outside)
    before = {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()}
    for use in (sweep, lambda path: open_store(path, STUDY), lambda p: store_status(p, STUDY)):
        with pytest.raises(StoreError, match=f"{name} is a link"):
            use(path)
    assert {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()} == before


def test_the_store_itself_may_be_reached_through_a_link(copy, tmp_path):
    path, whole = copy
    (tmp_path / "link").symlink_to(path)
    assert means(sweep(tmp_path / "link")) == means(whole)


@pytest.mark.parametrize(
    ("function", "number"), [("open", errno.EACCES), ("open", errno.EROFS), ("flock", errno.ENOLCK)]
)
def test_a_lock_that_cannot_be_had_is_named(copy, monkeypatch, function, number):
    path, _ = copy
    module = {"open": os, "flock": store_module.fcntl}[function]
    real = getattr(module, function)

    def failing(what, *others):
        if function == "flock" or Path(what).name == "lock":
            raise OSError(number, os.strerror(number))
        return real(what, *others)

    monkeypatch.setattr(module, function, failing)
    with pytest.raises(StoreError, match=rf"lock cannot be locked \({os.strerror(number)}\)"):
        sweep(path)


def test_a_lock_full_of_garbage_is_no_obstacle(copy):
    path, _ = copy
    lock = path / ".simulator/lock"
    with locked(path):
        lock.write_bytes(b"\xff\n" * 1000)
        with pytest.raises(StoreError, match="in use by another sweep"):
            sweep(path)
    sweep(path)


@pytest.mark.parametrize("name", ["x" * 300, "loop", "file/store"])
def test_a_path_that_leads_nowhere_is_named(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    for use in (sweep, lambda path: open_store(path, STUDY), lambda p: store_status(p, STUDY)):
        with pytest.raises((StoreError, ValueError), match=f"{name[:10]}|of a shorter name"):
            use(tmp_path / name)
