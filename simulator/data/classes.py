"""Data whose target is a class: tables and image files with labels, or a folder per class.

cats/1.png, cats/2.png, dogs/1.png, ...        a folder of folders, one per class
train-images-idx3-ubyte                        MNIST's files, labels beside it
flowers.csv, with a column of classes          any table that `load` reads; numbers or names
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simulator.data.loading import DataError, Table, from_arrays, load
from simulator.data.units import unit_columns
from simulator.equality import ByValue

MIN_CLASS = 8  # rows: training, validation and test must see each class
MAX_CLASSES = 1000
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


@dataclass(frozen=True, eq=False, repr=False)
class ClassTable(ByValue):
    """Rows and the class of each.

    Attributes
    ----------
    features : (num_rows, num_features) float64
        Columns of a text table are standardised, pixels lie between 0 and 1.
    labels : (num_rows,) int
        From 0.
    names : tuple of str
        Of the classes.
    name : str
        Where it came from.
    """

    features: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    name: str


def labelled(
    source: Table | str | os.PathLike[str], target: Any = None, **wishes: Any
) -> ClassTable:
    """Read data with classes.

    Parameters
    ----------
    source : Table or path
        A table with whole numbers as targets, a file for `load` (classes may have names there),
        or a folder with one folder of images (grey values are taken) per class.
    target, **wishes
        As those of `load`.

    Raises
    ------
    DataError
        One line: the file, what is wrong, what is allowed.
    """
    if isinstance(source, Table):
        table = source
    elif Path(source).is_dir():
        if target is not None or wishes:
            raise DataError(f"{source}: a folder has no columns; allowed: no target, no other wish")
        table = _folder(Path(source))
    else:
        table = load(source, target, categories=True, **wishes)
    values, labels, counts = np.unique(table.targets, return_inverse=True, return_counts=True)
    if np.any(values != np.round(values)):
        wrong = values[values != np.round(values)][0]
        raise DataError(
            f"{table.name}: the target holds {wrong:g}; allowed: whole numbers that name classes"
        )
    if len(values) > MAX_CLASSES:
        raise DataError(f"{table.name}: {len(values)} classes; allowed: at most {MAX_CLASSES}")
    names = table.categories or tuple(f"{value:g}" for value in values)
    rare = int(np.argmin(counts))
    if counts[rare] < MIN_CLASS:
        raise DataError(
            f"{table.name}: class {names[rare]} has {counts[rare]} rows; allowed: at least "
            f"{MIN_CLASS} of each"
        )
    if table.own_units:
        features = unit_columns(table.features)[0]
    else:
        low = table.features.min()
        features = (table.features - low) / (table.features.max() - low)
    return ClassTable(features, labels, names, table.name)


def _folder(path: Path) -> Table:
    """Grey images of one size, the class from the folder that holds them."""
    from PIL import Image, UnidentifiedImageError

    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    rows: list[np.ndarray] = []
    labels: list[int] = []
    for number, folder in enumerate(folders):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() not in IMAGES:
                continue
            try:
                with Image.open(file) as image:
                    pixels = np.asarray(image.convert("L"), float)
            except (UnidentifiedImageError, OSError) as error:
                raise DataError(f"{file}: no image; allowed: {', '.join(IMAGES)}") from error
            if rows and pixels.shape != rows[0].shape:
                raise DataError(
                    f"{file}: {pixels.shape[1]} x {pixels.shape[0]} pixels; allowed: "
                    f"{rows[0].shape[1]} x {rows[0].shape[0]}, as the first image"
                )
            rows.append(pixels)
            labels.append(number)
    found = tuple(folders[number].name for number in sorted(set(labels)))
    if len(found) < 2:
        raise DataError(
            f"{path}: {len(found)} folders with images; allowed: one folder of images for each of "
            "at least two classes"
        )
    places = np.unique(labels, return_inverse=True)[1]
    table = from_arrays(np.stack(rows), places.astype(float), path.name)
    return replace(table, categories=found)
