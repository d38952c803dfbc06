"""The labelled arrays of a store: zarr v3 that any reader opens, and checksums of what is fixed.

One file each, with one chunk per cell, so that a hundred thousand cells are not a million files.
Every chunk carries a crc32c that all zarr readers check. Metadata, coordinates and theory, which no
record holds, have their checksums in ``layout.json``, which is written last: whoever finds that one
does not fit lays everything out anew.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulator.engine.labels import Array, Arrays, array_attributes
from simulator.store.files import PRIVATE, StoreError, read_file, remove, write_file
from simulator.store.manifest import strict


def hierarchy(
    axes: Sequence[str],
    coordinates: Any,
    arrays: Arrays,
    attributes: Mapping[str, Any],
) -> dict[str, bytes]:
    """The files, by name, of the zarr hierarchy ``group -> name -> array`` without any value.

    Results have one chunk per cell and output, theory one per output.
    """
    import zarr
    from zarr.codecs import Crc32cCodec
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    memory = MemoryStore(files)
    checked = {"compressors": [Crc32cCodec()]}
    with warnings.catch_warnings():
        # Consolidated metadata keeps readers out of our private folder; zarr says that it is not
        # in the specification yet. Nor are text coordinates.
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        warnings.simplefilter("ignore", zarr.errors.UnstableSpecificationWarning)
        zarr.create_group(memory, zarr_format=3, attributes=strict(attributes))
        for group, members in arrays.items():
            coordinates.to_zarr(
                memory,
                group=group,
                mode="w",
                zarr_format=3,
                consolidated=False,
                encoding=dict.fromkeys(coordinates.coords, checked),
            )
            node = zarr.open_group(memory, path=group, mode="a", zarr_format=3)
            for name, array in members.items():
                node.create_array(
                    name,
                    shape=array.shape,
                    **_chunks_of(array, () if group == "theory" else axes),
                    dtype=array.dtype,
                    compressors=[Crc32cCodec()],
                    fill_value=array.fill,
                    dimension_names=array.dims,
                    attributes=array_attributes(group, array),
                )
        zarr.consolidate_metadata(memory, zarr_format=3)
    return {name: content.to_bytes() for name, content in files.items()}


def in_memory(files: Mapping[str, bytes]) -> Any:
    """The files as zarr and xarray open them."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    buffer = default_buffer_prototype().buffer
    return MemoryStore({name: buffer.from_bytes(content) for name, content in files.items()})


def _chunks_of(array: Array, axes: Sequence[str]) -> dict[str, Any]:
    """One file for each array; in it, one chunk for each point of the ``axes``."""
    whole = tuple(max(size, 1) for size in array.shape)
    if not axes:
        return {"chunks": whole}
    cell = [1 if dim in axes else size for dim, size in zip(array.dims, whole, strict=True)]
    return {"chunks": tuple(cell), "shards": whole}


def write_layout(path: Path, files: Mapping[str, bytes]) -> None:
    """Write all that is there before the first cell is computed, in place of what was.

    ``zarr.json`` with the consolidated metadata, without which nothing is found, goes first and
    comes last but for the checksums.
    """
    remove_layout(path)
    for entry in ("zarr.json", *sorted({name.split("/")[0] for name in files} - {"zarr.json"})):
        remove(path / entry)
    for name in sorted(files, key=lambda name: name == "zarr.json"):
        write_file(path / name, files[name], durable=False)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    body = json.dumps(sums, indent=0).encode()
    digest = hashlib.sha256(body).hexdigest().encode()
    write_file(path / PRIVATE / "layout.json", digest + b"\n" + body)


def remove_layout(path: Path) -> None:
    """Have everything laid out anew by the next sweep that writes."""
    remove(path / PRIVATE / "layout.json")


def read_layout(path: Path) -> tuple[dict[str, bytes], dict[Path, str]]:
    """What `write_layout` wrote, and which files are not as it wrote them: the checksums, or some.

    Returns
    -------
    files : the content of each undamaged one, by name
    damaged : what is wrong with each of the others
    """
    file = path / PRIVATE / "layout.json"
    files: dict[str, bytes] = {}
    damaged: dict[Path, str] = {}
    try:
        digest, _, body = read_file(file).partition(b"\n")
        whole = hashlib.sha256(body).hexdigest().encode() == digest
        sums = json.loads(body) if whole else None
        if not isinstance(sums, dict):
            return files, {file: f"{file} is damaged"}
    except (FileNotFoundError, StoreError) as error:
        return files, {file: _why(file, error)}
    for name, expected in sums.items():
        try:
            content = read_file(path / name)
        except (FileNotFoundError, StoreError) as error:
            damaged[path / name] = _why(path / name, error)
        else:
            if hashlib.sha256(content).hexdigest() == expected:
                files[name] = content
            else:
                damaged[path / name] = f"{path / name} is damaged"
    return files, damaged


def _why(file: Path, error: Exception) -> str:
    return str(error) if isinstance(error, StoreError) else f"{file} is damaged: it is missing"


class ArrayFile:
    """An array of the hierarchy (`hierarchy`) as the one file that zarr expects.

    A file here is the little-endian values followed by their crc32c; for results, one such chunk
    per computed cell, and an index of where each lies (zarr's sharding). Going through zarr costs a
    tenth of a millisecond per cell and output, which for small cells is more than computing them.
    """

    def __init__(self, files: Mapping[str, bytes], group: str, name: str) -> None:
        metadata = json.loads(files[f"{group}/{name}/zarr.json"])
        self.array = Array(
            dims=tuple(metadata.get("dimension_names") or ()),
            shape=tuple(metadata["shape"]),
            dtype=np.dtype(metadata["data_type"]).newbyteorder("<").str,
            meaning=metadata["attributes"].get("meaning", ""),
        )
        self.sharded = any(c["name"] == "sharding_indexed" for c in metadata["codecs"])
        self.name = "/".join([group, name, "c", *["0"] * len(self.array.shape)])

    def content(self, block: np.ndarray, present: np.ndarray) -> bytes:
        """What the file holds if the cells that are ``present`` have the values in ``block``."""
        cells = [values.tobytes() for values in block.reshape(present.size, -1)]
        if self.sharded:
            return _sharded(cells, present.ravel())
        return _with_checksum(b"".join(cells))


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
