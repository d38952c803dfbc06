"""The labelled arrays of a store: zarr v3 that any reader opens, and checksums of what is fixed.

One file each, with one chunk per cell, so that a hundred thousand cells are not a million files.
Every chunk carries a crc32c that all zarr readers check. Metadata, coordinates and theory, which no
record holds, have their checksums in ``layout.json``, which is written last: whoever finds that one
does not fit lays everything out anew.
"""

import contextlib
import hashlib
import json
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simulator.sweep.store import PRIVATE, write_file


@dataclass(frozen=True)
class Array:
    """One array of the hierarchy: the grid's axes, then the output's own dims."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str = "<f8"
    meaning: str = ""


def create_arrays(
    path: Path,
    axes: Sequence[str],
    coordinates: Any,
    arrays: Mapping[str, Mapping[str, Array]],
    attributes: Mapping[str, Any],
) -> None:
    """Lay out the empty zarr hierarchy ``group -> name -> array``.

    Results have one chunk per cell and output, theory one per output. What stood there before is
    replaced. ``zarr.json`` with the consolidated metadata, without which nothing is found, goes
    first and comes last.
    """
    import zarr
    from zarr.codecs import Crc32cCodec

    with contextlib.suppress(FileNotFoundError):
        (path / "zarr.json").unlink()
    for group, members in arrays.items():
        shutil.rmtree(path / group, ignore_errors=True)
        coordinates.to_zarr(path / group, mode="w", zarr_format=3, consolidated=False)
        node = zarr.open_group(path / group, mode="a", zarr_format=3)
        for name, array in members.items():
            node.create_array(
                name,
                shape=array.shape,
                **_chunks_of(array, () if group == "theory" else axes),
                dtype=array.dtype,
                compressors=[Crc32cCodec()],
                fill_value=np.nan if array.dtype == "<f8" else 0,
                dimension_names=array.dims,
                attributes={"meaning": array.meaning},
            )
    with warnings.catch_warnings():
        # Consolidated metadata keeps readers out of our private folder; zarr says that it is not
        # in the specification yet, and that the private folder is no array. Both are meant.
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        zarr.create_group(path, zarr_format=3, attributes=dict(attributes))
        zarr.consolidate_metadata(path, zarr_format=3)


def _chunks_of(array: Array, axes: Sequence[str]) -> dict[str, Any]:
    """One file for each array; in it, one chunk for each point of the ``axes``."""
    whole = tuple(max(size, 1) for size in array.shape)
    if not axes:
        return {"chunks": whole}
    cell = [1 if dim in axes else size for dim, size in zip(array.dims, whole, strict=True)]
    return {"chunks": tuple(cell), "shards": whole}


def write_layout(path: Path, groups: Iterable[str]) -> None:
    """Note the checksums of all files that are there before the first cell is computed."""
    members = [file for group in groups for file in sorted((path / group).rglob("*"))]
    sums = {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in [path / "zarr.json", *members]
        if file.is_file()
    }
    body = json.dumps(sums, indent=0).encode()
    digest = hashlib.sha256(body).hexdigest().encode()
    write_file(path / PRIVATE / "layout.json", digest + b"\n" + body)


def remove_layout(path: Path) -> None:
    """Have everything laid out anew by the next sweep that writes."""
    (path / PRIVATE / "layout.json").unlink(missing_ok=True)


def damaged_layout(path: Path) -> Iterator[Path]:
    """Files of the layout that are not what was written, or the layout itself."""
    file = path / PRIVATE / "layout.json"
    digest, _, body = file.read_bytes().partition(b"\n") if file.is_file() else (b"", b"", b"")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        yield file
        return
    for name, expected in json.loads(body).items():
        part = path / name
        if not part.is_file() or hashlib.sha256(part.read_bytes()).hexdigest() != expected:
            yield part


class ArrayFile:
    """Writes an array of the hierarchy as the one file that zarr expects.

    A file here is the little-endian values followed by their crc32c; for results, one such chunk
    per computed cell, and an index of where each lies (zarr's sharding). Going through zarr costs a
    tenth of a millisecond per cell and output, which for small cells is more than computing them.
    """

    def __init__(self, path: Path, group: str, name: str) -> None:
        metadata = json.loads((path / group / name / "zarr.json").read_text())
        self.shape = tuple(metadata["shape"])
        self.dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        self.fill = np.nan if self.dtype.kind == "f" else 0
        self.sharded = any(c["name"] == "sharding_indexed" for c in metadata["codecs"])
        self.file = path.joinpath(group, name, "c", *["0"] * len(self.shape))

    def empty(self) -> np.ndarray:
        """The array without any value."""
        return np.full(self.shape, self.fill, self.dtype)

    def write(self, block: np.ndarray, present: np.ndarray) -> None:
        """Write the values of the cells that are ``present``; the file appears whole."""
        cells = [values.tobytes() for values in block.reshape(present.size, -1)]
        if self.sharded:
            content = _sharded(cells, present.ravel())
        else:
            content = _with_checksum(b"".join(cells))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.file, content, durable=False)


def _with_checksum(content: bytes) -> bytes:
    import google_crc32c

    return content + int(google_crc32c.value(content)).to_bytes(4, "little")


def _sharded(cells: Sequence[bytes], present: np.ndarray) -> bytes:
    """The chunks of a shard, then the (offset, length) of each; all ones where there is none."""
    chunks = [_with_checksum(cell) for cell, there in zip(cells, present, strict=True) if there]
    index = np.full((len(cells), 2), 2**64 - 1, "<u8")
    size = len(chunks[0]) if chunks else 0
    index[present] = np.stack([np.arange(len(chunks)) * size, np.full(len(chunks), size)], axis=1)
    return b"".join(chunks) + _with_checksum(index.tobytes())
