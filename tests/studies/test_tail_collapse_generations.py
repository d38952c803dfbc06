"""tail-collapse.generations: limits, and a naive chain."""

import jax
import numpy as np
import pytest
from scipy import special, stats

import simulator
from simulator.studies.collapse.tail_collapse import generations


def chain(**params):
    return simulator.predict("tail-collapse.generations", **params)


def test_one_generation_is_clean_training():
    for k in (np.inf, 30.0):
        one = chain(num_generations=1, num_samples=700.0, cutoff=k, zipf_exponent=1.45)
        clean = simulator.predict(
            "tail-collapse", num_samples=700.0, cutoff=k, zipf_exponent=1.45, sampling="poisson"
        )
        np.testing.assert_allclose(one["test_error"], clean["test_error"], rtol=1e-10)
        np.testing.assert_allclose(
            one["num_distinct_tokens"], clean["num_distinct_tokens"], rtol=1e-10
        )


@pytest.mark.slow
def test_effective_size_is_below_every_sample_and_falls_with_generations():
    sizes = [
        float(
            chain(num_generations=n, num_samples=900.0, num_samples_generator=400.0)[
                "num_samples_effective"
            ]
        )
        for n in (1, 2, 3, 5, 9)
    ]
    assert np.all(np.diff(sizes) < 0)
    assert sizes[1] <= 400


def test_no_more_distinct_tokens_than_exist():
    for beta in (1.05, 1.5):
        found = simulator.predict(
            "tail-collapse.generations",
            zipf_exponent=beta,
            cutoff=200,
            num_samples=1e15,
            num_samples_generator=1e15,
            num_generations=1,
        )
        assert found["num_distinct_tokens"] == 200
        plateau = special.zeta(beta, 201) / special.zeta(beta)
        np.testing.assert_allclose(found["test_error"], plateau, rtol=1e-12)


def test_endless_last_sample_leaves_the_generator():
    out = chain(num_generations=2, num_samples=1e12, num_samples_generator=730.0)
    np.testing.assert_allclose(out["num_samples_effective"], 730.0, rtol=1e-12)


def test_degradation_is_sublinear_and_below_its_linear_envelope():
    for beta in (1.3, 1.5, 2.2):
        outs = {n: chain(zipf_exponent=beta, num_generations=n) for n in (1, 2, 30)}
        c = 1 - 1 / beta
        for n, out in outs.items():
            assert out["test_error"] <= out["test_error_upper_bound"] * (1 + 1e-3)
            ratio = out["test_error"] / outs[1]["test_error"]
            np.testing.assert_allclose(ratio, (1000 / out["num_samples_effective"]) ** c, rtol=2e-3)
            assert n == 1 or ratio < n


def test_skills_are_unlearned_from_the_tail():
    ranks = np.arange(1.0, 400.0)

    @jax.jit
    def skills(params):
        return generations.probability_known(params, ranks), generations.last_known_rank(params)

    def at(n):
        return skills(generations.Params(num_generations=n, num_samples_generator=1000.0))

    (first, last_of_first), (fifth, last_of_fifth) = at(1), at(5)
    assert np.all(fifth < first + 1e-7)
    assert np.argmax(first - fifth) > 20  # frequent tokens are kept, rare ones never known
    for last, known in ((last_of_first, first), (last_of_fifth, fifth)):
        assert known[int(last) - 1] >= 0.5 > known[int(last)]
    cut = generations.Params(cutoff=30.0, num_samples=1e7, num_samples_generator=1e7)
    known, last = skills(cut)
    assert float(known[30]) == 0
    assert float(last) == 30


@pytest.mark.slow
def test_chain_matches_a_naive_chain_of_token_lists():
    rng = np.random.default_rng(3)
    beta, t0, t, n, replicates = 1.7, 120, 300, 3, 500
    a = 1 / special.zeta(beta)
    errors = []
    for _ in range(replicates):
        tokens = rng.zipf(beta, t0)
        for size in [t0] * (n - 2) + [t]:
            tokens = rng.choice(tokens, size)
        errors.append(1 - a * np.sum(np.unique(tokens).astype(float) ** -beta))
    found = simulator.simulate(
        "tail-collapse.generations",
        replicates=replicates,
        zipf_exponent=beta,
        num_samples=float(t),
        num_samples_generator=float(t0),
        num_generations=n,
        keep_values=True,
    ).values["test_error"]
    assert stats.ks_2samp(np.round(found, 6), np.round(errors, 6)).pvalue > 1e-4
    gap = found.mean() - np.mean(errors)
    assert abs(gap) < 5 * np.sqrt(2 * np.var(errors) / replicates)
