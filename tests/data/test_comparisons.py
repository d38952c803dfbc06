"""Paired comparisons of the user: rewards, intervals, the next pairs, and one line of error."""

import numpy as np
import pytest
from scipy import optimize, stats

from simulator.data.comparisons import DataError, fit, from_pairs, load_comparisons
from tests.studies.test_compilation import compilations

RNG = np.random.default_rng(11)
TRUTH = np.array([0.9, 0.2, -0.1, -1.0])
NAMES = ("ant", "bee", "cat", "dog")


def labelled(count, truth=TRUTH, rng=RNG):
    a = rng.integers(len(truth), size=count)
    b = (a + rng.integers(1, len(truth), size=count)) % len(truth)
    won = rng.random(count) < 1 / (1 + np.exp(truth[b] - truth[a]))
    names = np.array(NAMES)[: len(truth)]
    return list(zip(names[np.where(won, a, b)], names[np.where(won, b, a)], strict=True))


def test_rewards_and_errors_are_those_of_a_minimiser():
    data = from_pairs(labelled(300))
    found = fit(data)

    def loss(rest):
        r = np.concatenate([[0.0], rest])
        return np.sum(data.wins * np.log1p(np.exp(r[None, :] - r[:, None])))

    best = optimize.minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    rewards = np.concatenate([[0.0], best])
    rewards -= rewards.mean()
    order = [data.items.index(item) for item in found.items]
    np.testing.assert_allclose(found.rewards, rewards[order], atol=1e-6)
    step, h = 1e-4, np.eye(3)
    hessian = np.array([
        [(loss(best + step * (p + q)) - loss(best + step * (p - q)) - loss(best - step * (p - q))
          + loss(best - step * (p + q))) / (4 * step**2) for q in h] for p in h
    ])  # fmt: skip
    centre = (np.eye(4) - 1 / 4)[:, 1:]
    spread = np.sqrt(np.diagonal(centre @ np.linalg.inv(hessian) @ centre.T))
    np.testing.assert_allclose((found.high - found.low) / 2, 1.959964 * spread[order], rtol=1e-4)


def test_a_second_fit_of_as_many_items_compiles_nothing():
    fit(from_pairs(labelled(60)))
    with compilations() as compiled:
        fit(from_pairs(labelled(90)))
    assert not compiled


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, inside = np.random.default_rng(2), []
    for _ in range(150):
        found = fit(from_pairs(labelled(200, rng=rng)), level=0.8)
        right = np.array([TRUTH[NAMES.index(item)] for item in found.items])
        inside.append((found.low <= right) & (right <= found.high))
    assert stats.binomtest(int(np.sum(inside)), 600, 0.8).pvalue > 1e-3


def test_the_next_pair_is_the_one_that_lowers_the_variance_most():
    data = from_pairs(labelled(60))
    found = fit(data)
    pairs = found.next_pairs(3)
    before = np.trace(found.covariance)
    position = {item: i for i, item in enumerate(found.items)}

    def drop(a, b):
        g = np.eye(4)[position[a]] - np.eye(4)[position[b]]
        gap = found.rewards @ g
        weight = 1 / (2 + np.exp(gap) + np.exp(-gap))
        centre = np.eye(4) - 1 / 4
        information = np.linalg.pinv(found.covariance) + weight * np.outer(g, g)
        return 1 - np.trace(centre @ np.linalg.pinv(information)) / before

    gains = {(a, b): drop(a, b) for a in found.items for b in found.items if a < b}
    assert pairs[0].gain == pytest.approx(max(gains.values()), rel=1e-6)
    assert {pairs[0].first, pairs[0].second} == set(max(gains, key=gains.get))
    assert [p.gain for p in pairs] == sorted((p.gain for p in pairs), reverse=True)


def test_pilaf_pairs_are_a_law():
    found = fit(from_pairs(labelled(100)))
    shares = [pair.gain for pair in found.pilaf_pairs(0.5, 6)]
    assert len(shares) == 6
    assert 0 < sum(shares) < 1
    assert shares == sorted(shares, reverse=True)


def test_tables(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("rejected,prompt,chosen,count\nbee,1,ant,3\nant,2,bee,1\n")
    data = load_comparisons(path)
    assert data.items == ("ant", "bee")
    assert data.wins.tolist() == [[0, 3], [1, 0]]
    path.write_text("ant\tbee\nbee\tant\n")
    assert load_comparisons(path).wins.tolist() == [[0, 1], [1, 0]]
    found = fit(data)
    assert found.rewards[0] - found.rewards[1] == pytest.approx(np.log(3), rel=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,2,3\n", "no column is called winner or loser"),
        ("winner,b\n1,2\n", "no column is called loser"),
        ("winner,loser\n", "only a header"),
        ("winner,loser,count\na,b,1.5\n", "data row 1: '1.5'; allowed: a whole count"),
        ("winner,loser\na,a\n", "data row 1: 'a' twice"),
        ("winner,loser\na,\n", "an item without a name"),
    ],
)
def test_tables_that_are_none_are_one_line(tmp_path, text, message):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        load_comparisons(path)
    assert "\n" not in str(error.value)


def test_rewards_that_are_infinite_are_refused_and_a_prior_mends_it():
    data = from_pairs([("ant", "bee"), ("bee", "ant"), ("ant", "cat")])
    with pytest.raises(DataError, match=r"'cat': lost all their comparisons.*--prior"):
        fit(data)
    with pytest.raises(DataError, match="have no comparisons"):
        fit(from_pairs([("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]))
    found = fit(data, prior=2.0)
    assert found.items[-1] == "cat"
    assert np.all(np.isfinite(found.low))
    with pytest.raises(DataError, match="prior"):
        fit(data, prior=-1.0)
