"""Files of a store: read and written whole, never through a link; every failure names the file."""

import contextlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

PRIVATE = ".simulator"
#: What belongs to a store in its folder.
OWN = (PRIVATE, "zarr.json", "theory", "mean", "standard_error", "status")
#: What a writer that was killed leaves behind: ours, and those of zarr.
_PARTIAL = re.compile(r"\.[0-9a-f]{8,32}\.partial$")
WAY_OUT = "delete it and run the same sweep again"
#: A pipe in place of a file must not make us wait for somebody to write into it.
_CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class StoreError(RuntimeError):
    """A store that cannot be used as asked; the message names the file and the way out."""


def read_file(file: Path) -> bytes:
    """The content of a plain file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    StoreError
        If it is something else, or cannot be read.
    """
    try:
        with open(open_plain(file, os.O_RDONLY), "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({reason(error)})") from error


def open_plain(file: Path, flags: int) -> int:
    """Open a plain file; a link, a folder, a pipe or a device is refused."""
    try:
        descriptor = os.open(file, flags | _CAREFULLY, 0o666)
    except OSError as error:
        if os.path.islink(file) or os.path.isdir(file):
            raise StoreError(f"{file} is no plain file: {WAY_OUT}") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(f"{file} is no plain file: {WAY_OUT}")
    return descriptor


def write_file(file: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file that appears whole or not at all, and its folder if need be."""
    partial = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = make_partial(file)
        with open(descriptor, "wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(partial, file)
    except OSError as error:
        if os.path.isdir(file):
            raise StoreError(f"{file} is a folder where a file belongs: {WAY_OUT}") from error
        raise StoreError(
            f"{file} could not be written ({reason(error)}): what was stored before is safe; "
            "make room or mend the folder, then run the same command again"
        ) from error
    finally:
        if partial is not None:
            with contextlib.suppress(OSError):  # it has become the file
                partial.unlink()


def make_partial(file: Path) -> tuple[int, Path]:
    """A new file beside ``file`` that is to replace it: open for writing, and its name."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.partial")
    return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFULLY, 0o666), partial


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless they are there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{error.filename or folder} cannot be made a folder ({reason(error)}): mend that, or "
            f"if a file is in its place, {WAY_OUT}"
        ) from error


def remove(entry: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing if there is none."""
    try:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{error.filename or entry} cannot be removed ({reason(error)}): mend the folder, then "
            "run the same command again"
        ) from error


def entries_of(folder: Path) -> list[os.DirEntry]:
    """What is in a folder; nothing if it is not there."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):  # whoever needs the folder will say so
        return []
    except OSError as error:
        raise StoreError(f"{folder} cannot be read ({reason(error)})") from error


def own_files(path: Path) -> list[Path]:
    """All files of the store at ``path``; `StoreError` if a link is among them."""
    found: list[Path] = []
    for entry in entries_of(path):
        if entry.name in OWN or is_partial(entry.name):
            found += _files_in(entry)
    return found


def remove_partial_files(path: Path) -> None:
    """Remove what writers that were killed have left."""
    for file in own_files(path):
        if is_partial(file.name):
            remove(file)


def _files_in(entry: os.DirEntry) -> Iterator[Path]:
    if entry.is_symlink():
        raise StoreError(f"{entry.path} is a link, and a store holds none: {WAY_OUT}")
    if entry.is_dir(follow_symlinks=False):
        for inner in entries_of(Path(entry.path)):
            yield from _files_in(inner)
    else:
        yield Path(entry.path)


def is_partial(name: str) -> bool:
    """Was the file of this name left behind by a writer that was killed?"""
    return _PARTIAL.search(name) is not None


def reason(error: OSError) -> str:
    """Why, in the words of the system."""
    return error.strerror or str(error)
