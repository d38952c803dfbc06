"""Tables as people have them: categories, empty cells, truth values; all complaints at once."""

import numpy as np
import pandas as pd
import pytest

from simulator.data.loading import DataError, load
from simulator.data.population import population

RNG = np.random.default_rng(8)
SIZE = 40
CITIES = np.array(["Rome", "Oslo", "Bonn"])[np.arange(SIZE) % 3]
AREA = RNG.normal(50, 9, SIZE).round(3)
AGE = RNG.integers(1, 90, SIZE)
GARDEN = RNG.uniform(size=SIZE) < 0.5
PRICE = (3 * AREA - AGE + 20 * GARDEN + RNG.normal(size=SIZE)).round(3)
HOLES = [3, 17]


def messy():
    frame = pd.DataFrame({"city": CITIES, "area": AREA, "age": AGE.astype(object),
                          "garden": GARDEN, "note": [f"n{i}" for i in range(SIZE)],
                          "price": PRICE})  # fmt: skip
    frame.loc[HOLES, "age"] = None
    return frame


def saved(frame, path):
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.astype({"age": float}).to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.fixture(params=["a.csv", "a.parquet"])
def path(request, tmp_path):
    return saved(messy(), tmp_path / request.param)


def test_all_columns_are_complained_of_at_once_with_what_to_do(path):
    with pytest.raises(DataError) as caught:
        load(path, "price")
    assert str(caught.value) == (
        f"{path.name}: data row 1, column city: 'Rome' (3 categories: --one-hot city or --drop "
        "city); data row 4, column age: '' (2 of 40 cells empty: --impute age or --drop age); data "
        "row 1, column note: 'n0' (40 categories: --one-hot note or --drop note); allowed: a number"
    )


def test_one_hot_impute_and_drop(path):
    table = load(path, "price", one_hot="city", impute=["age"], drop=("note",))
    np.testing.assert_array_equal(table.targets, PRICE)
    assert table.target == "column price"
    age = AGE.astype(float)
    age[HOLES] = np.delete(age, HOLES).mean()
    indicators = [city == CITIES for city in ("Bonn", "Oslo", "Rome")]
    expected = np.column_stack([*indicators, AREA, age, GARDEN]).astype(float)
    np.testing.assert_allclose(table.features, expected, rtol=1e-14)


def test_true_means_wherever_it_applies(path):
    named = load(path, "price", one_hot=["city", "note"], impute="age")
    np.testing.assert_allclose(
        load(path, "price", one_hot=True, impute=True).features, named.features
    )
    plain = load(path, "price", drop=True)
    np.testing.assert_allclose(plain.features, np.column_stack([AREA, GARDEN]))


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"drop": "town"}, "drop = town: no such column; allowed: city, area, age"),
        ({"one_hot": "price"}, "one_hot = price; allowed: not the target"),
        ({"impute": "city", "drop": ["note", "age"]}, "impute = city: it holds no number"),
        ({"drop": ["city", "area", "age", "garden", "note"]}, "no feature is left"),
    ],
)
def test_wishes_that_make_no_sense(path, wishes, message):
    with pytest.raises(DataError, match=message):
        load(path, "price", **wishes)


def test_cells_that_are_no_numbers_are_imputed_only_by_name(tmp_path):
    frame = messy().drop(columns=["note", "city"]).astype({"age": object})
    frame.loc[5, "age"] = "?"
    path = saved(frame, tmp_path / "a.csv")
    for wishes in ({}, {"impute": True}):
        with pytest.raises(DataError, match=r"column age: '.*' \(3 of 40 cells no numbers"):
            load(path, "price", **wishes)
    assert np.isfinite(load(path, "price", impute="age").features).all()


def test_a_target_is_neither_filled_nor_coded(tmp_path):
    frame = messy()
    frame.loc[2, "price"] = None
    with pytest.raises(DataError, match=r"column price: '' .*it is the target: remove these rows"):
        load(saved(frame, tmp_path / "a.csv"), "price", one_hot=True, impute=True)
    truth = load(saved(messy(), tmp_path / "b.csv"), "garden", drop=True)
    np.testing.assert_array_equal(truth.targets, GARDEN)


def test_columns_of_many_words_are_no_categories(tmp_path):
    frame = pd.DataFrame({"id": [f"u{i}" for i in range(150)], "x": range(150), "y": range(150)})
    path = saved(frame, tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"column id: 'u0' \(150 categories: --drop id\)"):
        load(path, "y")
    with pytest.raises(DataError, match="one_hot = id: 150 categories; allowed: at most 100"):
        load(path, "y", one_hot="id")


def test_wishes_are_for_tables_with_columns(tmp_path):
    np.save(tmp_path / "a.npy", np.column_stack([AREA, AGE, PRICE]))
    with pytest.raises(DataError, match="drop is for columns of a text table"):
        load(tmp_path / "a.npy", drop="0")


def test_a_broken_parquet_file(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"a\.parquet: no table .*; allowed: an intact file"):
        load(tmp_path / "a.parquet")


def test_python_and_the_script_standardise_columns_alike(path):
    """The column in the smallest units does not hold all of the variance."""
    table = load(path, "price", drop=True)
    assert table.own_units
    np.testing.assert_allclose(population(table).eigenvalues.sum(), 1)
    assert population(table).eigenvalues[0] < 0.7
    assert population(table, standardise=False).eigenvalues[0] > 0.99
