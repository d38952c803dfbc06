"""Tables of preferences: what is read, imputed and refused."""

import numpy as np
import pytest

from simulator.data.files import DataError
from simulator.data.preferences import preference_table, rating_log


def written(tmp_path, content, name="table.csv"):
    path = tmp_path / name
    path.write_text(content)
    return path


def test_a_table_with_names_and_without(tmp_path):
    named = preference_table(written(tmp_path, "user,a,b\nann,0.5,1\nbob,0,0.25\n"))
    plain = preference_table(written(tmp_path, "0.5,1\n0,0.25\n"))
    np.testing.assert_array_equal(named.table, [[0.5, 1], [0, 0.25]])
    np.testing.assert_array_equal(plain.table, named.table)
    assert named.users == ("ann", "bob")
    assert named.items == ("a", "b")
    assert named.parameters()["preference_table"] is named.table


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("0.5,1\n0,1.25\n", "row 2, column 2"),
        ("a,b\n0.5,\n0,1\n", "row 2, column 2"),
        ("0.5,1\n0\n", "row 2"),
        ("0.5,nan\n0,1\n", "row 1, column 2"),
        ("0.5,0.1\n", "1 x 2"),
        ("", "no rows"),
    ],
)
def test_bad_cells_are_named_in_one_line(tmp_path, content, where):
    with pytest.raises(DataError) as error:
        preference_table(written(tmp_path, content))
    assert where in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("mark", "header"), [("\t", ""), ("::", ""), (",", "userId,movieId,rating,timestamp\n")]
)
def test_a_log_is_ranked_and_imputed(tmp_path, mark, header):
    rng = np.random.default_rng(0)
    taste, kind = rng.normal(size=(30, 2)), rng.normal(size=(12, 2))
    rows = [
        mark.join((f"u{i}", f"i{j}", str(int(np.clip(np.rint(3 + taste[i] @ kind[j]), 1, 5))), "9"))
        for i in range(30)
        for j in range(12)
        if rng.uniform() < 0.8
    ]
    found = rating_log(written(tmp_path, header + "\n".join(rows), "log"), 20, 10, rank=2)
    assert found.table.shape == (20, 10)
    assert ((found.table >= 0) & (found.table <= 1)).all()
    assert 0.6 < found.observed < 1
    assert found.held_out_error < found.table.std()


def test_a_log_without_scores_is_refused(tmp_path):
    with pytest.raises(DataError, match="row 2"):
        rating_log(written(tmp_path, "u,i,s\nu1,i1,\n"))
