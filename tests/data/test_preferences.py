"""Tables of preferences: what is read, imputed and refused."""

import numpy as np
import pytest

from simulator.data.files import DataError
from simulator.data.preferences import Preferences, preference_table, rating_log


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


def small():
    table = np.random.default_rng(3).uniform(size=(6, 5))
    names = tuple("abcdef"), tuple("vwxyz")
    return Preferences(table, *names)


def test_the_policy_to_deploy_reaches_the_frontier():
    """Its exposures and utility are those of the optimum of `fair-ranking`, like log T / T."""
    import simulator

    prefs = small()
    best = simulator.predict("fair-ranking", num_slots=2, fairness_weight=3.0, **prefs.parameters())
    ranker = prefs.ranker(num_slots=2, fairness_weight=3.0)
    rng, utility, rounds = np.random.default_rng(0), 0.0, 6000
    for _ in range(rounds // 6):
        for user in rng.permutation(list(prefs.users)):
            first, second = ranker.rank(user)
            row = prefs.table[prefs.users.index(user)]
            utility += row[prefs.items.index(first)]
            utility += row[prefs.items.index(second)] / np.log2(3)
    assert ranker.rounds == rounds
    value = utility / rounds - 1.5 * np.sum((ranker.exposure - ranker.exposure.mean()) ** 2)
    assert 0 < float(best["optimal_value"]) - value < 2e-3
    np.testing.assert_allclose(ranker.exposure, best["optimal_exposure"], atol=0.02)


def test_without_weight_it_sorts_by_relevance():
    prefs = small()
    ranker = prefs.ranker(num_slots=5, fairness_weight=0.0)
    order = np.argsort(-prefs.table[2])
    assert ranker.rank("c") == tuple(prefs.items[j] for j in order)
    assert ranker.rank("c") == tuple(prefs.items[j] for j in order)


@pytest.mark.parametrize(
    ("slots", "weight", "words"),
    [(0, 1.0, "num_slots = 0"), (6, 1.0, "1 to 5"), (2, -1.0, "fairness_weight = -1")],
)
def test_a_ranker_that_cannot_be(slots, weight, words):
    with pytest.raises(ValueError, match=words):
        small().ranker(slots, weight)


def test_an_unknown_user_is_named():
    with pytest.raises(ValueError, match="user = 'q' is not in the table"):
        small().ranker(2, 1.0).rank("q")
