"""arXiv 2408.01420 with SciPy: incomplete beta functions, loops over responses, pseudo-inverses."""

import math

import numpy as np
from scipy import special, stats


def simplex(
    num_explanations,
    num_harmful,
    harm_threshold,
    attack_radius,
    attack_norm,
    concentration,
    dirichlet_harmful,
    dirichlet_safe,
):
    """Study ``jailbreaking``."""
    n, m, p = num_explanations, num_harmful, harm_threshold
    moved = attack_radius / 2 if attack_norm == "l1" else attack_radius
    t = max(p - moved, 0.0)
    safe = special.betainc(m, n - m, t)
    scale = math.sqrt((n - 1) * p * (1 - p))
    score = (m - 1 - (n - 1) * p) / scale
    expanded = score + math.sqrt(n - 1) * (attack_radius if attack_norm == "l1" else 2 * moved)
    return {
        "uniform_probability": special.betaincc(m, n - m, t),
        "dirichlet_probability": special.betaincc(
            m * dirichlet_harmful, (n - m) * dirichlet_safe, t
        ),
        "jailbreak_lower_bound": max(0.0, 1 - concentration * safe),
        "alignment_score": score,
        "alignment_score_expanded": expanded,
        "normal_approximation": stats.norm.cdf(score + (n - 1) * (p - t) / scale),
        "paper_normal_probability": stats.norm.cdf(expanded),
        "paper_lower_bound": max(0.0, 1 - concentration * stats.norm.sf(expanded)),
    }


def prompt(num_explanations, num_harmful, harmful_logit, safe_prompt_logit, reward_gap):
    """The two references and the rewards, response by response."""
    harmful = [i < num_harmful for i in range(num_explanations)]
    base = [0.6 * math.sin(1.7 * (i + 1)) for i in range(num_explanations)]
    references = []
    for logit in (harmful_logit, safe_prompt_logit):
        weight = np.array([math.exp(b + logit * h) for b, h in zip(base, harmful, strict=True)])
        references.append(weight / weight.sum())
    rewards = np.array(
        [reward_gap * (not h) + 0.3 * math.cos(2.3 * (i + 1)) for i, h in enumerate(harmful)]
    )
    return references, rewards, np.array(harmful)


def alignment(
    num_explanations,
    num_harmful,
    harmful_logit,
    safe_prompt_logit,
    reward_gap,
    kl_regularization,
    num_preferences,
):
    """Study ``jailbreaking.alignment``; the delta method by a pseudo-inverse."""
    n, beta = num_explanations, kl_regularization
    references, r, harmful = prompt(
        num_explanations, num_harmful, harmful_logit, safe_prompt_logit, reward_gap
    )
    fisher, pairs = np.zeros((n, n)), n * (n - 1) / 2
    for a in range(n):
        for b in range(a):
            e = np.zeros(n)
            e[a], e[b] = 1, -1
            s = 1 / (1 + math.exp(r[b] - r[a]))
            fisher += s * (1 - s) * np.outer(e, e) / pairs
    covariance = np.linalg.pinv(fisher)
    found = {"harm_reference": references[0][harmful].sum()}
    for ref, method, fit in zip(references, ("rlhf", "erlhf"), ("dpo", "edpo"), strict=True):
        weight = ref * np.exp((r - r.max()) / beta)
        z, policy = weight.sum(), weight / weight.sum()
        harm = policy[harmful].sum()
        v = policy * (harmful - harm) / beta
        found |= {
            f"harm_{method}": harm,
            f"reward_{method}": policy @ r,
            f"kl_{method}": np.sum(policy * np.log(policy / ref)),
            f"objective_{method}": beta * math.log(z) + r.max(),
            f"harm_std_{fit}": math.sqrt(v @ covariance @ v / num_preferences),
        }
    return found


def attack(
    harmful_logit,
    safe_prompt_logit,
    reward_gap,
    kl_regularization,
    query_spread,
    num_attempts,
    harm_threshold,
):
    """Study ``jailbreaking.attack``."""
    z = special.logit(harm_threshold)
    pull = reward_gap / kl_regularization
    centres = {
        "base": harmful_logit,
        "rlhf": harmful_logit - pull,
        "erlhf": safe_prompt_logit - pull,
    }
    found = {
        f"attack_success_rate_{name}": -special.expm1(
            num_attempts * stats.norm.logcdf((z - mu) / query_spread)
        )
        for name, mu in centres.items()
    }
    half = z - query_spread * stats.norm.ppf(0.5 ** (1 / num_attempts))
    room = harmful_logit - half
    found["kl_regularization_for_half_success"] = reward_gap / room if room > 0 else math.inf
    return found


def pac_bayes(
    num_models,
    num_explanations,
    num_prompts,
    model_spread,
    num_samples,
    inverse_temperature,
    failure_probability,
):
    """Study ``jailbreaking.pac-bayes``: a loop over the counts of the first prompt."""
    answers = np.zeros((num_models, num_prompts, num_explanations))
    for m in range(num_models):
        for q in range(num_prompts):
            logits = [
                math.sin(1.3 * (i + 1) * (q + 1))
                + (m > 0)
                * model_spread
                * math.sin(0.9 * (m + 1) * (i + 1) + 2.1 * (q + 1) * (m + 1))
                for i in range(num_explanations)
            ]
            answers[m, q] = special.softmax(logits)
    risk = np.abs(answers - answers[0]).sum(axis=2) / 2
    law = np.array([1.0]) if num_prompts == 1 else np.array([2 / 3, 1 / 3])
    total = num_samples
    names = (
        *("population_risk", "empirical_risk", "posterior_kl"),
        *("maurer_bound", "catoni_bound", "violation_probability"),
    )
    found = dict.fromkeys(names, 0.0)
    for k in range(total + 1) if num_prompts == 2 else [total]:
        chance = stats.binom.pmf(k, total, 2 / 3) if num_prompts == 2 else 1.0
        share = np.array([k / total, 1 - k / total][:num_prompts])
        rho = special.softmax(-inverse_temperature * risk @ share)
        true, empirical = rho @ risk @ law, rho @ risk @ share
        kl = np.sum(special.xlogy(rho, rho * num_models))
        slack = (kl + math.log(2 * math.sqrt(total) / failure_probability)) / (2 * total)
        maurer = empirical + math.sqrt(slack)
        catoni = empirical + (kl + math.log(1 / failure_probability)) / inverse_temperature
        catoni += inverse_temperature / (8 * total)
        values = (true, empirical, kl, maurer, catoni, float(true > maurer))
        for name, value in zip(names, values, strict=True):
            found[name] += chance * value
    return found
