"""A user's token counts: reading, fitting, predicting, simulating."""

import gzip
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.data import corpus
from simulator.data.loading import DataError

IDEAL = np.arange(1, 401.0) ** -1.25


def _sample(seed=0, total=60_000):
    return np.random.default_rng(seed).multinomial(total, IDEAL / IDEAL.sum())


def test_formats_give_the_same_counts(tmp_path):
    words = [f"tok{i}" for i in range(30) for _ in range(60 // (i + 1))]
    counts = corpus.token_counts(words)
    (tmp_path / "text.txt").write_text(" ".join(words) + "\n")
    (tmp_path / "table.csv").write_text(
        "word,count\n" + "\n".join(f"w{i},{c}" for i, c in enumerate(counts))
    )
    (tmp_path / "table.tsv").write_text("\n".join(f"w{i}\t{c}" for i, c in enumerate(counts)))
    np.save(tmp_path / "table.npy", counts[::-1])
    for name in ("text.txt", "table.csv", "table.tsv", "table.npy"):
        np.testing.assert_array_equal(corpus.load_counts(tmp_path / name), counts)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "word,count\na,3\nb,many\n"),
        ("b.csv", ""),
        ("c.txt", "one two three"),
        ("d.csv", "\n".join(f"w{i},{i - 3}" for i in range(40))),
        ("e.csv", "\n".join(f"w{i},{i + 0.5}" for i in range(40))),
        ("f.csv", "\n".join(f"w{i},7" for i in range(40))),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=name):
        corpus.load_counts(path)
    with pytest.raises(DataError, match="no such file"):
        corpus.load_counts(tmp_path / "absent.csv")


ZIPF = np.array([round(5e5 / k**1.1) for k in range(1, 201)])
ONE = "\n".join(map(str, ZIPF))
TWO = "\n".join(f"w{i},{count}" for i, count in enumerate(ZIPF))
THREE = [(f"w{i}", count, i + 1) for i, count in enumerate(ZIPF)]
SERIES = pd.Series(ZIPF, index=[f"w{i}" for i in range(200)])


def columns(*names, sep=","):
    order = [("word", "count", "rank").index(name.strip().lower()) for name in names]
    rows = [sep.join(str(row[i]) for i in order) for row in THREE]
    return "\n".join([sep.join(names), *rows])


READ = {
    "one column": ONE,
    "one column, byte-order mark": "\ufeff" + ONE,
    "one column, as R writes it": '"count"\n' + ONE,
    "one column of quoted counts": "\n".join(f'"{count}"' for count in ZIPF),
    "one column, header": "\ufeffCount\r\n" + ONE.replace("\n", "\r\n"),
    "one column, line ends of old Macs": ONE.replace("\n", "\r"),
    "two columns": TWO,
    "semicolons": TWO.replace(",", ";"),
    "blanks": TWO.replace(",", "  "),
    "blanks around commas": TWO.replace(",", " , "),
    "decimals and exponents": TWO.replace("500000", "5e5").replace("233258", "233258.0"),
    "count before rank": columns("word", "count", "rank"),
    "rank before count": columns("Rank", "Word", "COUNT"),
    "frequency": columns("rank", "word", "count").replace("count", "frequency"),
    "count before token_id": columns("count", "rank").replace("rank", "token_id"),
    "blanks in a header": columns("rank ", " word ", " count", sep=";"),
    "Series.to_csv": SERIES.to_csv(),
    "Series without index": pd.Series(ZIPF).to_csv(index=False),
    "value_counts": SERIES.rename("count").to_csv(),
    "DataFrame.to_csv": pd.DataFrame({"word": SERIES.index, "n": ZIPF}).to_csv(),
    "zeros": TWO + "\na,0\nb,0",
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_tables_of_counts(tmp_path, content):
    (tmp_path / "a.CSV").write_bytes(content.encode())
    law = corpus.corpus(tmp_path / "a.CSV")
    np.testing.assert_array_equal(law.counts, ZIPF)
    assert law.exponent == pytest.approx(1.0999990, abs=1e-7)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content.encode()))
    np.testing.assert_array_equal(corpus.load_counts(tmp_path / "a.csv.gz"), ZIPF)


#: A word as a table may hold it: anything but what ends a line.
WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1, max_size=5
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    words=st.lists(WORDS, min_size=25, max_size=30, unique=True),
    seed=st.integers(0, 10**6),
    name=st.sampled_from([*corpus.COUNT_NAMES, "Count", None]),
    index=st.booleans(),
    separator=st.sampled_from([",", ";", "\t"]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_a_data_frame_of_counts_comes_back(
    tmp_path_factory, words, seed, name, index, separator, ending
):
    counts = np.random.default_rng(seed).integers(1, 10**14, len(words))
    if name is None:  # without a header only the counts are numbers
        words = ["w" + word for word in words]
    frame = pd.DataFrame({"word": words, name: counts})
    content = frame.to_csv(
        sep=separator, index=index and name is not None, header=name is not None,
        lineterminator=ending,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("counts") / ("a.tsv" if separator == "\t" else "a.csv")
    path.write_bytes(content.encode())
    np.testing.assert_array_equal(corpus.load_counts(path), np.sort(counts)[::-1])


REFUSED = {
    "thousands in one row": (TWO.replace("w0,500000", "w0,500,000"), "row 2 has 2 cells; .* 3"),
    "thousands in all rows": ("\n".join(f"w{i},{c // 1000},{c % 1000:03}" for i, c in
                                        enumerate(ZIPF)), "2 columns hold numbers"),
    "thousands below a header": ("word,count\n" + TWO.replace("500000", "500,000"),
                                 "data row 1 has 3 cells; allowed: 2"),
    "thousands in quotes": (TWO.replace("500000", '"500,000"'), "counts such as 500000"),
    "thousands with points": (TWO.replace("500000", "500.000"), "could be 500 or 500000"),
    "thousands with blanks": (TWO.replace("233258", "233 258"), "data row 2: '233 258'"),
    "a rank, no header": ("\n".join(f"{w},{c},{r}" for w, c, r in THREE), "2 columns hold num"),
    "an id, no header": ("\n".join(f"{c},{r}" for w, c, r in THREE), "2 columns hold numbers"),
    "a header without counts": (columns("word", "rank"), "0 names of a column of counts"),
    "two columns of counts": (columns("word", "count", "rank").replace("rank", "frequency"),
                              "2 names of a column of counts"),
    "a mark in the first row": ("a,?\n" + TWO, "'a, [?]'. holds no plain number"),
    "a mark further down": (TWO + "\na,?", "data row 201: '[?]'"),
    "a mark below a header": ("word,count\n" + TWO + "\na,?", "data row 201: '[?]'"),
    "a blank": (TWO + "\na,", "data row 201: ''"),
    "nan": (TWO + "\na,nan", "data row 201: 'nan'"),
    "a fraction": (TWO + "\na,2.5", "data row 201: '2.5'"),
    "a negative count": (TWO + "\na,-2", "data row 201: '-2'"),
    "a huge exponent": (TWO + "\na,1e999999999", "data row 201: '1e999999999'"),
    "underscores": (TWO + "\na,5_0", "data row 201: '5_0'"),
    "2^64 - 1": (TWO + "\na,18446744073709551615", "sum to 18446744073711901056; .* below 2\\^63"),
    "a sum beyond 2^63": (TWO + "\na,5000000000000000000" * 2, "sum to 10000000000002349441"),
    "an open quote": (TWO + '\n",77', "unexpected end of data at line 201"),
    "two open quotes": (TWO.replace("w5,", '",').replace("w9,", '",'), "several lines"),
    "a quote that swallows rows": (TWO.replace("\nw5,", '\n"w5,').replace("\nw9,", '\nw9",'),
                                   "several lines"),
    "a huge cell": (TWO + "\n" + "x" * 200_000 + ",3", "field larger than field limit"),
    "only a header": ("word,count\n", "only a header"),
    "nothing": ("\ufeff\n", "empty"),
    "not UTF-8": (TWO.encode() + b"\n\xe9,3", "no UTF-8 text"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_tables_that_are_refused(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        corpus.load_counts(path)
    assert "a.csv: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.append(ZIPF.astype("u8"), np.uint64(2**64 - 1)), "below 2\\^63"),
        (np.append(ZIPF, [5 * 10**18] * 2), "below 2\\^63"),
        (np.array([*ZIPF.tolist(), 2**70], object), "below 2\\^63"),
        (np.ma.array(ZIPF), "masked arrays are not allowed"),
        ([np.ma.array(ZIPF), ZIPF], "masked arrays are not allowed"),
        (ZIPF[None], r"of shape \(1, 200\)"),
        (ZIPF > 3, "not bool"),
        (np.append(ZIPF, np.inf), "whole numbers"),
        (np.append(ZIPF, -1), "whole numbers"),
        (None, "one column of numbers"),
        ([[1, 2], [3]], "one column of numbers"),
    ],
)
def test_arrays_of_counts_that_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        corpus.fit(values)


def test_large_counts_are_exact():
    counts = np.append(ZIPF, [2**53 + 1, 2**62])
    found = corpus.checked_counts(counts, "mine")
    assert found[:2].tolist() == [2**62, 2**53 + 1]
    law = corpus.fit(counts)
    assert law.probabilities[0] == pytest.approx(2**62 / sum(counts.tolist()), rel=1e-15)


TEXT = "a rose is a rose is a rose " + " ".join(f"word{i}" for i in range(20)) + "\n"
CHINESE = "今天天气很好，我们一起去公园散步。公园里有很多人，孩子们在草地上奔跑。\n我喜欢春天。\n"


def test_texts(tmp_path):
    expected = corpus.token_counts(TEXT.split())
    for name, content in {
        "a.txt": TEXT, "a.TXT": "\ufeff" + TEXT, "a": TEXT.replace(" ", "\r"),
        "b.md": "\ufeff" + TEXT[:26] + "\n\ufeff" + TEXT[26:],
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content.encode())
        np.testing.assert_array_equal(corpus.load_counts(tmp_path / name), expected)
    segmented = " ".join(CHINESE) + " " + TEXT
    (tmp_path / "zh.txt").write_text(segmented, encoding="utf-8")
    np.testing.assert_array_equal(
        corpus.load_counts(tmp_path / "zh.txt"), corpus.token_counts(segmented.split())
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", CHINESE * 30, "no blanks between words; allowed: a text segmented"),
        (
            "a.txt",
            "今日は天気がとてもいいので、公園へ散歩に行きました。\n" * 30,
            "no blanks between",
        ),
        ("a.txt", "床前明月光，\n疑是地上霜。\n举头望明月，\n" * 9, "no blanks between words"),
        ("a.txt", "วันนี้อากาศดีมากเราไปเดินเล่น ที่สวนสาธารณะด้วยกัน\n" * 9, "no blanks between words"),
        ("a.txt", CHINESE.encode("gb18030"), "no UTF-8 text"),
        ("a.txt", TWO.replace(",", "\t"), "like a row of a table, .* allowed: the ending .csv"),
        ("a.dat", "word count\n" + TWO.replace(",", " "), "like a row of a table"),
        ("a.txt", ONE, "like a row of a table"),
        ("a.json", '{"the": 3}', "unknown format; allowed: .csv"),
        ("a.txt", "", "0 distinct tokens"),
    ],
)
def test_texts_that_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        corpus.load_counts(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.txt", "a"])
def test_folders_and_links_in_circles(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: a folder; allowed: a file"):
        corpus.load_counts(tmp_path / name)
    (tmp_path / name).rmdir()
    (tmp_path / name).symlink_to(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}: unreadable .Too many levels"):
        corpus.load_counts(tmp_path / name)


def test_a_pipe_is_a_text():
    program = (
        "from simulator.data.corpus import load_counts; print(load_counts('/dev/stdin').sum())"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], input=TEXT, text=True, capture_output=True, check=True,
        timeout=120, env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert found.stdout == f"{len(TEXT.split())}\n"


LAW = corpus.fit(ZIPF)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: corpus.RankLaw(np.array([2, 1]), np.nan, 0.1), "exponent = nan"),
        (lambda: corpus.RankLaw(np.array([1, 2]), 1.0, 0.1), "one decreasing row"),
        (lambda: corpus.fit_ordered(np.array([0, 7])), "at least two above 0"),
    ],
)
def test_arguments_that_are_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_exponent_and_its_error_are_right_over_repeated_samples():
    """Counts keep their true rank here, so that the likelihood is well specified."""
    fits = [corpus.fit_ordered(_sample(seed)) for seed in range(60)]
    exponents = np.array([beta for beta, _ in fits])
    error = np.mean([e for _, e in fits])
    assert abs(exponents.mean() - 1.25) < 5 * error / np.sqrt(60)
    assert abs(exponents.std() / error - 1) < 5 / np.sqrt(2 * 60)


def test_a_law_is_what_the_study_takes():
    import simulator

    law = corpus.fit(_sample())
    given = {"num_samples": 900, "cutoff": 25, "real_fraction": 0.05}
    found = simulator.predict("tail-collapse.corpus", **given, **law.parameters())
    p = law.probabilities
    q = 0.05 * p + 0.95 * np.where(np.arange(len(p)) < 25, p, 0) / p[:25].sum()
    np.testing.assert_allclose(found["test_error"], p @ (1 - q) ** 900, rtol=1e-12)
    np.testing.assert_allclose(found["plateau_error"], p[25:].sum(), rtol=1e-12)


def test_the_standard_library_is_a_corpus():
    law = corpus.corpus()
    assert len(law.counts) > 2000
    assert 0.5 < law.exponent < 1.5
    assert 0 < law.exponent_error < 0.05
