"""A user's token counts: reading, fitting, predicting, simulating."""

import numpy as np
import pytest

from simulator.data import corpus
from simulator.data.loading import DataError

LAW = np.arange(1, 401.0) ** -1.25


def _sample(seed=0, total=60_000):
    return np.random.default_rng(seed).multinomial(total, LAW / LAW.sum())


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


def test_exponent_and_its_error_are_right_over_repeated_samples():
    """Counts keep their true rank here, so that the likelihood is well specified."""
    fits = [corpus.fit_ordered(_sample(seed)) for seed in range(60)]
    exponents = np.array([beta for beta, _ in fits])
    error = np.mean([e for _, e in fits])
    assert abs(exponents.mean() - 1.25) < 5 * error / np.sqrt(60)
    assert abs(exponents.std() / error - 1) < 5 / np.sqrt(2 * 60)


def test_predictions_match_the_simulation_on_the_corpus():
    law = corpus.fit(_sample())
    for cutoff, share, t in ((np.inf, 0.0, 300), (25, 0.0, 900), (25, 0.05, 20_000)):
        mean, error = law.simulate(t, cutoff=cutoff, real_fraction=share, replicates=400, seed=3)
        predicted = law.learning_curve(np.array([t]), cutoff, share)[0]
        assert abs(mean - predicted) < 5 * error
        assert error < 0.02 * predicted


def test_plateau_and_grokking_time():
    law = corpus.fit(_sample())
    plateau = law.plateau(25)
    np.testing.assert_allclose(plateau, law.probabilities[25:].sum())
    np.testing.assert_allclose(law.learning_curve(np.array([1e9]), 25)[0], plateau, rtol=1e-9)
    t = law.grokking_time(25, 0.02)
    np.testing.assert_allclose(
        law.learning_curve(np.array([t]), 25, 0.02)[0], plateau / 2, rtol=1e-3
    )
    assert law.grokking_time(25, 0.0) == np.inf
    assert 9 < law.grokking_time(25, 0.002) / t < 11
    with pytest.raises(ValueError, match="no plateau"):
        law.grokking_time(np.inf, 0.1)
    with pytest.raises(ValueError, match="real_fraction"):
        law.learning_curve(np.array([10.0]), 25, 1.5)


def test_a_zipf_corpus_behaves_like_the_study():
    """A vocabulary of a million ranks follows the infinite law until T reaches its end."""
    import simulator

    p = np.arange(1, 1_000_001.0) ** -1.8
    law = corpus.RankLaw(np.round(1e15 * p).astype(np.int64), 1.8, 0.0)
    samples = np.array([30.0, 3000.0])
    for k, share in ((np.inf, 0.0), (40.0, 0.1)):
        study = simulator.predict(
            "tail-collapse", zipf_exponent=1.8, num_samples=samples, cutoff=k, real_fraction=share
        )["test_error"]
        np.testing.assert_allclose(law.learning_curve(samples, k, share), study, rtol=2e-3)
        np.testing.assert_allclose(law.fitted_curve(samples, k, share), study, rtol=2e-3)


def test_the_standard_library_is_a_corpus():
    law = corpus.corpus()
    assert len(law.counts) > 2000
    assert 0.5 < law.exponent < 1.5
    assert 0 < law.exponent_error < 0.05
