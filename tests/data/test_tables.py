"""Text tables of other programs: read as they were meant, or refused in one line."""

import gzip
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.data.loading import DataError, load

RNG = np.random.default_rng(5)
X = RNG.normal(size=(20, 3))
Y = RNG.normal(size=20)
PLAIN = pd.DataFrame(np.column_stack([X, Y]))  # columns 0, 1, 2, 3
NAMED = PLAIN.set_axis(["a", "b", "c", "price"], axis=1)
ROWS = PLAIN.to_csv(index=False, header=False)
WHOLE = RNG.integers(0, 9, (20, 4))


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check(table, features=X, targets=Y):
    np.testing.assert_array_equal(table.features, features)
    np.testing.assert_array_equal(table.targets, targets)


# --------------------------------------------------------------------------------------------
# What pandas and others write
# --------------------------------------------------------------------------------------------
FLOATS = st.floats(-1e300, 1e300)
NAMES = st.lists(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)
    .map(lambda name: "x" + name)
    .filter(lambda name: name.isprintable()),
    min_size=4, max_size=4, unique=True,
)  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    values=st.lists(st.tuples(*[FLOATS] * 4), min_size=10, max_size=14, unique=True),
    names=st.one_of(st.none(), NAMES, st.just([0, 1, 2, "y"]), st.just(["y", 0, 1, 2])),
    index=st.booleans(),
    separator=st.sampled_from([",", ";", "\t"]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from(["", "\ufeff"]),
    quoting=st.sampled_from([0, 1, 2]),
)
def test_a_data_frame_comes_back(
    tmp_path_factory, values, names, index, separator, ending, mark, quoting
):
    frame = pd.DataFrame(values)
    if names:
        frame.columns = names
    content = frame.to_csv(index=index, sep=separator, lineterminator=ending, quoting=quoting)
    path = written(tmp_path_factory.mktemp("frame") / "f.csv", mark + content)
    numbers = frame.to_numpy()
    constant = [bool(np.all(c == c[0])) for c in (numbers[:, :-1], numbers[:, -1])]
    if any(constant):
        with pytest.raises(DataError, match="constant"):
            load(path)
        return
    check(load(path), numbers[:, :-1], numbers[:, -1])
    for column, name in enumerate(names or ()):
        if np.ptp(numbers[:, column] / 4):
            check(load(path, str(name)), np.delete(numbers, column, axis=1), numbers[:, column])


SAVED = io.BytesIO()
np.savetxt(SAVED, PLAIN, header="a b c price", fmt="%.17g")
READ = {
    "unnamed columns": PLAIN.to_csv(index=False),
    "no header": ROWS,
    "unnamed index": NAMED.to_csv(),
    "unnamed index and columns": PLAIN.to_csv(),
    "index of R": NAMED.set_axis(range(1, 21)).to_csv(),
    "index read and written again": NAMED.reset_index(names="Unnamed: 0").to_csv(index=False),
    "byte-order mark": "\ufeff" + ROWS,
    "byte-order mark and quotes": "\ufeff" + NAMED.to_csv(index=False, quoting=1),
    "line ends of old Macs": NAMED.to_csv(index=False, lineterminator="\r"),
    "mixed line ends": ROWS.replace("\n", "\r\n", 7).replace("\r\n", "\r", 3),
    "empty lines": "\n" + ROWS.replace("\n", "\n\n") + "  \n",
    "blanks after commas": NAMED.to_csv(index=False).replace(",", ", "),
    "blanks in the header": "first name, last name, x y z, price\n" + ROWS,
    "quotes after blanks": 'a, "b, c", c, price\n' + ROWS,
    "semicolons": NAMED.to_csv(index=False, sep=";"),
    "commas in names, semicolons between": '"a, b";b;c;d, e\n' + ROWS.replace(",", ";"),
    "NumPy's text": SAVED.getvalue(),
    "blanks only": ROWS.replace(",", "  "),
    "a repeated name": "a,a,b,price\n" + ROWS,
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_read(tmp_path, content):
    check(load(written(tmp_path / "a.csv", content)))


def test_other_names_of_files(tmp_path):
    csv, tsv = NAMED.to_csv(), NAMED.to_csv(sep="\t")
    for name, content in {
        "A.CSV": csv, "a.TSV": tsv, "a.txt": csv, "a": csv,
        "A.CSV.GZ": gzip.compress(csv.encode(), mtime=0),
    }.items():  # fmt: skip
        check(load(written(tmp_path / name, content), "price"))


def test_whole_numbers_under_numbered_columns(tmp_path):
    frame = pd.DataFrame(np.column_stack([WHOLE, WHOLE.sum(1)]), columns=[0, 1, 2, 3, "y"])
    check(load(written(tmp_path / "a.csv", frame.to_csv(index=False))), WHOLE, WHOLE.sum(1))


def test_names_come_before_numbers_and_index_columns_do_not_count(tmp_path):
    path = written(tmp_path / "a.csv", PLAIN.set_axis(["y", 0, 1, 2], axis=1).to_csv())
    assert load(path, "0").targets[4] == PLAIN.iloc[4, 1]  # the name
    assert load(path, 0).targets[4] == PLAIN.iloc[4, 0]  # the position
    assert load(path, "-4").targets[4] == PLAIN.iloc[4, 0]


# --------------------------------------------------------------------------------------------
# What could be read in two ways, or not at all
# --------------------------------------------------------------------------------------------
WHOLE_ROWS = pd.DataFrame(WHOLE).to_csv(index=False, header=False)
REFUSED = {
    "a mark in the first row": ("?,1,2,3\n" + ROWS, "data row 1, column 0: '[?]'"),
    "a mark beside 0, 1, 2": ("?,0,1,2\n" + ROWS, "data row 1, column 0: '[?]'"),
    "only marks": ("?,?,?,?\n" + ROWS, "data row 1, column 0: '[?]'"),
    "a missing value in the first row": ("1,2,NA,3\n" + ROWS, "data row 1, column 2: 'NA'"),
    "a word in the first row": ("1,red,2,3\n" + ROWS, "data row 1, column 1: 'red'"),
    "a blank in the first row": (",1,2,3\n" + ROWS, "data row 1, column 0: ''"),
    "a mark further down": (ROWS + "1,?,2,3", "data row 21, column 1: '[?]'"),
    "a mark below a header": ("a,b,c,d\n" + ROWS + "1,?,2,3", "data row 21, column b: '[?]'"),
    "a blank": (ROWS + "1,,2,3", "data row 21, column 1: ''"),
    "only blanks": (ROWS + ",,,", "data row 21, column 0: ''"),
    "nan": (ROWS + "1,nan,2,3", "data row 21, column 1: 'nan'"),
    "inf": (ROWS + "1,2,-inf,3", "data row 21, column 2: '-inf'"),
    "beyond float64": (ROWS + "1,2,1e400,3", "data row 21, column 2: '1e400'"),
    "underscores": (ROWS + "1,2,1_000,3", "data row 21, column 2: '1_000'"),
    "other digits": (ROWS + "1,2,\u0663,3", "data row 21, column 2"),
    "hexadecimal": (ROWS + "1,2,0x10,3", "data row 21, column 2: '0x10'"),
    "percent": (ROWS + "1,2,5%,3", "data row 21, column 2: '5%'"),
    "truth values": (ROWS + "1,2,True,3", "data row 21, column 2: 'True'"),
    "thousands": ("a,b\n" + "".join(f"{i},{500 - i},000\n" for i in range(20)),
                  "data row 1 has 3 cells; allowed: 2"),
    "thousands in quotes": (ROWS + '1,2,"1,000",3', "data row 21, column 2: '1,000'"),
    "a row too long": (ROWS + "1,2,3,4,5", "data row 21 has 5 cells; allowed: 4"),
    "a comma at every end": (ROWS.replace("\n", ",\n"), "data row 1, column 4: ''"),
    "decimal commas": (NAMED.to_csv(index=False, sep=";", decimal=","),
                       "column a: '-?[01],\\d+' .decimal commas: write points"),
    "decimal commas, no header": (PLAIN.to_csv(index=False, header=False, sep=";", decimal=","),
                                  "commas or semicolons; allowed: one of them"),
    "a blank name": ("a,,c,price\n" + ROWS, "data row 1, column 1: ''"),
    "a blank name at the end": ("a,b,c,\n" + ROWS, "data row 1, column 3: ''"),
    "a first column without a name": (",b,c,price\n" + ROWS, "first column has no name"),
    "a shuffled index": (NAMED.sample(frac=1, random_state=2).to_csv(), "column has no name"),
    "row numbers without a header": (PLAIN.to_csv(header=False), "labels, or a feature"),
    "years as names": ("id,2019,2020,2021\n" + ROWS, "data row 1, column 0: 'id'"),
    "years over decimals": ("2019,2020,2021,2022\n" + ROWS, "could be a header or data"),
    "numbers of columns as floats": ("0.0,1.0,2.0,3.0\n" + ROWS, "could be a header or data"),
    "0, 1, 2, 3 over whole numbers": ("0,1,2,3\n" + WHOLE_ROWS, "could be a header or data"),
    "a word and 0, 1 over whole numbers": (
        "low,0,1\n" + pd.DataFrame(WHOLE[:, :3]).to_csv(index=False, header=False),
        "could be a header or data"),
    "a title": ("my data\n" + ROWS, "data row 1 has 4 cells; allowed: 1"),
    "an open quote in the header": ('a,b,c,"price\n' + ROWS, "unexpected end of data at line 21"),
    "an open quote in a row": (ROWS + '"1,2,3,4\n', "unexpected end of data at line 21"),
    "text behind a quote": (ROWS + '1,2,"3"4,5\n', "at line 21"),
    "a huge cell": ("a,b,c," + "x" * 200_000 + "\n" + ROWS, "field larger than field limit"),
    "only a header": ("a,b,c,price\n", "only a header"),
    "a numbered header alone": (",0,1,2\n", "only a header"),
    "only a byte-order mark": ("\ufeff", "empty"),
    "only line ends": ("\r\n\r\n", "empty"),
    "one column": ("\n".join(map(repr, map(float, Y))), "no feature is left"),
    "zero bytes": (ROWS + "\0", "a zero byte"),
    "UTF-16": (ROWS.encode("utf-16"), "no UTF-8 text"),
    "Latin-1": ("Größe,b,c,d\n".encode("latin-1") + ROWS.encode(), "no UTF-8 text"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        load(written(tmp_path / "a.csv", content))
    assert str(caught.value).startswith("a.csv: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", [True, 1.5, b"a", [1], 10**30, "9", "1_0", "4", -5, "None"])
def test_targets_that_are_none(tmp_path, target):
    path = written(tmp_path / "a.csv", NAMED.to_csv())
    with pytest.raises(DataError, match=r"no (target )?column") as caught:
        load(path, target)
    assert repr(target) in str(caught.value)


def test_a_name_of_two_columns_is_no_target(tmp_path):
    path = written(tmp_path / "a.csv", "a,a,b,price\n" + ROWS)
    with pytest.raises(DataError, match="'a' is the name of several columns"):
        load(path, "a")


# --------------------------------------------------------------------------------------------
# What is no file
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.npz", "a-images-idx3-ubyte", "a"])
def test_folders_and_links_in_circles(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: a folder; allowed: a file"):
        load(tmp_path / name)
    (tmp_path / name).rmdir()
    (tmp_path / name).symlink_to(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}: unreadable .Too many levels of symbolic links"):
        load(tmp_path / name)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"{name}: no such file"):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("path", "message"),
    [("/dev/zero", "a device"), ("x" * 300 + ".csv", "too long"), ("a\0b.csv", "null byte"),
     ("a\nb.csv", "no such file"), ("", "a folder")],
)  # fmt: skip
def test_odd_paths(path, message):
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", [3, None, b"a.csv", ["a.csv"]])
def test_what_is_no_path(path):
    with pytest.raises(TypeError, match=r"path = .* is not allowed: it must be the path of a file"):
        load(path)


def test_a_pipe_is_a_text_table():
    program = "from simulator.data import load; print(load('/dev/stdin').features.shape)"
    found = subprocess.run(
        [sys.executable, "-c", program], input=NAMED.to_csv(), text=True, capture_output=True,
        check=True, timeout=120, env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert found.stdout == "(20, 3)\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': ((((".ljust(117) + b"\n",
         "not an array"),
        ("a.npy", b"\x93NUMPY\x01\x00\x76\x00"
         + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000, 4), }".ljust(117)
         + b"\n", "Unable to allocate"),
        ("a.npz", b"PK\x05\x06" + bytes(18), "the archive is empty"),
        ("a-images-idx3-ubyte", bytes([0, 0, 8, 255]) + bytes(1020), "255 dims"),
        ("a.csv.gz", gzip.compress(ROWS.encode(), mtime=0)[:-30], "unreadable"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        load(written(tmp_path / name, content))
    assert "\n" not in str(caught.value)


def test_an_archive_under_another_name_and_a_flipped_byte(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    archive = (tmp_path / "a.npz").read_bytes()
    with pytest.raises(DataError, match=r"an archive of arrays; allowed: .* \.npz"):
        load(written(tmp_path / "b.npy", archive))
    broken = bytearray(archive)
    broken[200] ^= 255
    with pytest.raises(DataError, match="not arrays of numbers"):
        load(written(tmp_path / "a.npz", bytes(broken)))
