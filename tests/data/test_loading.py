"""Every format reads back what was written; every defect gets one helpful line."""

import gzip

import numpy as np
import pandas as pd
import pytest

from simulator.data.loading import DataError, from_arrays, load

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 4))
Y = RNG.normal(size=30)


def idx(values, code=0x08):
    values = np.asarray(values)
    header = bytes([0, 0, code, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return header + values.tobytes()


def check(table, features=X, targets=Y):
    np.testing.assert_allclose(table.features, features)
    np.testing.assert_allclose(table.targets, targets)
    assert table.features.dtype == table.targets.dtype == np.float64


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.column_stack([X, Y]))
    check(load(tmp_path / "a.npy"))
    table = load(tmp_path / "a.npy", target=1)
    check(table, np.column_stack([X[:, [0, 2, 3]], Y]), X[:, 1])


def test_npz_by_key_and_by_guess(tmp_path):
    images = X.reshape(30, 2, 2)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=Y, x_test=images[:3], y_test=Y[:3])
    check(load(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", table=X, price=Y)
    check(load(tmp_path / "b.npz", target="price"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", [True, False])
def test_csv(tmp_path, delimiter, header):
    path = tmp_path / "a.csv"
    np.savetxt(
        path,
        np.column_stack([Y, X]),
        delimiter=delimiter,
        header=delimiter.join(["price", "a", "b", "c", "d"]) if header else "",
        comments="",
    )
    check(load(path, target="price" if header else 0))
    check(load(path, target="0"))


def test_csv_gz(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.writelines(f"{','.join(map(repr, map(float, row)))}\n" for row in np.c_[X, Y])
    check(load(tmp_path / "a.csv.gz"))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_finds_its_labels(tmp_path, suffix):
    images = RNG.integers(0, 255, (20, 3, 3)).astype("u1")
    labels = RNG.integers(0, 10, 20).astype("u1")
    pack = gzip.compress if suffix else bytes
    (tmp_path / f"train-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
    (tmp_path / f"train-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))
    table = load(tmp_path / f"train-images-idx3-ubyte{suffix}")
    check(table, images.reshape(20, 9), labels)


def test_idx_of_floats_with_named_labels(tmp_path):
    (tmp_path / "f.idx").write_bytes(idx(X.astype(">f4"), 0x0D))
    (tmp_path / "t.idx").write_bytes(idx(Y.astype(">f8"), 0x0E))
    table = load(tmp_path / "f.idx", target=str(tmp_path / "t.idx"))
    check(table, X.astype("f4"), Y)


def test_a_constant_column_is_harmless():
    wide = np.column_stack([X, np.ones(30)])
    check(from_arrays(wide, Y[:, None]), wide)
    nullable = pd.DataFrame(wide).convert_dtypes()
    check(from_arrays(nullable, pd.Series(Y).convert_dtypes()), wide)


def holed(value):
    x = X.copy()
    x[4, 2] = value
    return x


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (holed(np.nan), Y, r"1 non-finite values, the first \(row 4, column 2\) is nan"),
        (holed(np.inf), Y, "is inf; allowed: finite"),
        (X, np.where(np.arange(30) == 7, np.nan, Y), r"targets hold 1 .*row 7"),
        (X, np.ones(30), "targets are constant"),
        (np.ones((30, 3)), Y, "features are constant"),
        (X[:9], Y[:9], "9 rows are too few; allowed: at least 10"),
        (X, Y[:20], "30 rows of features but 20 targets"),
        (X[:, 0], Y, r"features have shape \(30,\)"),
        (X, np.c_[Y, Y], r"targets have shape \(30, 2\)"),
        (X[:, :0], Y, "no feature is left"),
        (X.astype(str), Y, "features have type <U"),
        (X, Y + 1j, "targets have type complex128"),
        (np.ma.array(X), Y, "features: masked arrays are not allowed"),
        (list(map(np.ma.array, X)), Y, "features: masked arrays are not allowed"),
        (X, np.ma.array(Y, mask=Y > 0), "targets: masked arrays are not allowed"),
        ([[1, 2], [3]], Y, "features: .*inhomogeneous"),
    ],
)
def test_defects_of_arrays(features, targets, message):
    with pytest.raises(DataError, match=message) as caught:
        from_arrays(features, targets, "mine")
    assert str(caught.value).startswith("mine: ")
    assert "\n" not in str(caught.value)


NUMBERS = "\n".join(",".join(map(str, row)) for row in np.c_[X, Y])


@pytest.mark.parametrize(
    ("name", "content", "target", "message"),
    [
        ("a.csv", "", None, "empty"),
        ("a.csv", NUMBERS + "\n1,2,3", None, "data row 31 has 3 cells; allowed: 5"),
        ("a.csv", "a,b,c,d,e\n" + NUMBERS + "\n1,2,red,4,5", None, "row 31, column c: 'red'"),
        ("a.csv", "a,b,c,d,e\n" + NUMBERS, "price", "no column 'price'; allowed: a, b, c, d, e"),
        ("a.csv", NUMBERS, "9", "no target column '9'; allowed: an index from -5 to 4"),
        ("a.csv", NUMBERS, "price", "no column 'price'; allowed: 0, 1, 2, 3, 4"),
        ("a.csv", b"\xff\xfe\x00\x81", None, "unreadable"),
        ("a.csv.gz", "plain text", None, "unreadable"),
        ("a.npy", "not numpy", None, "not an array of numbers"),
        ("a.npz", "not a zip", None, "intact .npz"),
        ("a.xlsx", "?", None, "unknown format; allowed: .npy"),
        ("a-images-idx3-ubyte", idx(np.ones((12, 2), "u1")), None, "no file of labels"),
    ],
)
def test_defects_of_files(tmp_path, name, content, target, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        load(path, target)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_defects(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "missing.csv")
    np.save(tmp_path / "a.npy", X[:, 0])
    with pytest.raises(DataError, match=r"shape \(30,\)"):
        load(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"b\.npy: not an array of numbers"):
        load(tmp_path / "b.npy")
    np.savez(tmp_path / "a.npz", a=X, b=X, y=Y)
    with pytest.raises(DataError, match="could be a or b"):
        load(tmp_path / "a.npz")
    with pytest.raises(DataError, match="no array price for the targets; allowed: a, b, y"):
        load(tmp_path / "a.npz", target="price")
    whole = idx(np.arange(40, dtype="u1").reshape(20, 2))
    labels = tmp_path / "labels.idx"
    labels.write_bytes(idx(np.arange(20, dtype="u1")))
    for broken, message in ((whole[:-3], "37 bytes of values; allowed: 40"), (b"??", "no IDX")):
        (tmp_path / "x.idx").write_bytes(broken)
        with pytest.raises(DataError, match=message):
            load(tmp_path / "x.idx", target=str(labels))
