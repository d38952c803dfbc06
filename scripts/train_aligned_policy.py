"""Train tabular policies by RLHF, E-RLHF, DPO and E-DPO; harmful mass beside the closed forms.

python scripts/train_aligned_policy.py
python scripts/train_aligned_policy.py --steps 20000 --labels 100000 --kl-regularization 0.25

Two prompts, ten responses each, four of them harmful at the first. RLHF and E-RLHF climb the
value of `simulator.maths.alignment_losses`, DPO and E-DPO descend the loss of labelled pairs, all
with optax from the reference policy. E-RLHF evaluates the reference at the safe version of the
first prompt; the harmless second one is its own, so nothing changes there. Use the same two
functions with the log-probabilities of your own model.
"""

import argparse
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from simulator.maths.alignment_losses import direct_preference_loss, regularized_value
from simulator.maths.preferences import tilted

RESPONSES, HARMFUL = 10, 4


def problem():
    """Log-references at the prompts and at their safe versions (2, prompts, responses), rewards."""
    i = np.arange(RESPONSES)
    harmful = i < HARMFUL
    base = 0.6 * np.sin(1.7 * (i + 1))
    harmless = 0.5 * np.cos(i)
    at_prompt = np.stack([base + 2.0 * harmful, harmless])
    at_safe = np.stack([base - 2.0 * harmful, harmless])
    rewards = np.stack([~harmful + 0.3 * np.cos(2.3 * (i + 1)), np.sin(i)])
    references = jax.nn.log_softmax(jnp.asarray(np.stack([at_prompt, at_safe])), axis=-1)
    return references, jnp.asarray(rewards)


def label(seed, count, rewards):
    """Prompts, winners and losers of ``count`` uniform pairs, labelled by Bradley and Terry.

    Equal ones stand together, with their weight in the mean: training costs the same for any count.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(len(rewards), size=count)
    a = rng.integers(RESPONSES, size=count)
    b = (a + rng.integers(1, RESPONSES, size=count)) % RESPONSES
    r = np.asarray(rewards)
    won = rng.uniform(size=count) < 1 / (1 + np.exp(r[x, b] - r[x, a]))
    drawn = np.stack([x, np.where(won, a, b), np.where(won, b, a)])
    kinds, counts = np.unique(drawn, axis=1, return_counts=True)
    return *kinds, counts / counts.mean()


def trained(loss, start, steps, learning_rate):
    """Logits after ``steps`` steps of Adam, the last half with a decaying rate."""
    schedule = optax.cosine_decay_schedule(learning_rate, steps)
    optimiser = optax.adam(schedule)

    def step(carry, _):
        logits, state = carry
        updates, state = optimiser.update(jax.grad(loss)(logits), state)
        return (optax.apply_updates(logits, updates), state), None

    run = jax.jit(lambda x: jax.lax.scan(step, (x, optimiser.init(x)), None, length=steps)[0][0])
    return jax.nn.log_softmax(run(start), axis=-1)


def by_value(log_reference, rewards, beta, steps, learning_rate=0.05):
    """Climb RLHF's value; E-RLHF's with the reference at the safe prompts."""

    def loss(logits):
        policy = jax.nn.log_softmax(logits, axis=-1)
        return -regularized_value(policy, log_reference, rewards, beta)

    return trained(loss, log_reference, steps, learning_rate)


def by_pairs(log_reference, pairs, beta, steps, learning_rate=0.05):
    """Descend the loss of labelled pairs: DPO, or E-DPO with the other reference."""
    x, winner, loser, weights = pairs

    def loss(logits):
        policy = jax.nn.log_softmax(logits, axis=-1)
        terms = (p[x, y] for p in (policy, log_reference) for y in (winner, loser))
        return direct_preference_loss(*terms, beta, weights)

    return trained(loss, log_reference, steps, learning_rate)


def table(steps, labels, beta, seed=0):
    """Rows (method, harmful mass by training, in closed form); closed form of the limit for DPO."""
    references, rewards = problem()
    pairs = label(seed, labels, rewards)
    methods = {
        "RLHF": (0, partial(by_value, rewards=rewards)),
        "E-RLHF": (1, partial(by_value, rewards=rewards)),
        "DPO": (0, partial(by_pairs, pairs=pairs)),
        "E-DPO": (1, partial(by_pairs, pairs=pairs)),
    }
    for name, (at, train) in methods.items():
        policy = train(references[at], beta=beta, steps=steps)
        best = tilted(references[at], rewards, beta)
        yield name, *(float(jnp.exp(p[0, :HARMFUL]).sum()) for p in (policy, best))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000, help="of the optimiser")
    parser.add_argument("--labels", type=int, default=20_000, help="labelled pairs")
    parser.add_argument("--kl-regularization", type=float, default=0.5, help="β")
    options = parser.parse_args(arguments)
    with jax.enable_x64(True):
        print("method    harmful mass, trained    closed form")
        for name, found, best in table(options.steps, options.labels, options.kl_regularization):
            print(f"{name:<8}  {found:>21.7f}  {best:>13.7f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
