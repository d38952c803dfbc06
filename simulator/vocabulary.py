"""Names that several studies share: symbol, meaning and typical range, said once.

A parameter whose name stands here takes symbol and meaning from here; where a paper writes another
letter its declaration says ``symbol="T"``, and what a study has to add goes into ``detail``.
"""

from typing import NamedTuple

Range = tuple[float, float]


class Word(NamedTuple):
    """One name of the vocabulary; ``typical`` is a range in which most of its values lie."""

    symbol: str
    meaning: str
    typical: Range | None = None


VOCABULARY: dict[str, Word] = {
    # Sizes
    "dim": Word("d", "dimension: features of an input, or of an embedding", (10, 1000)),
    "width": Word("m", "hidden units or random features", (2, 1000)),
    "num_samples": Word("n", "training samples", (20, 10_000)),
    "num_samples_generator": Word("n₀", "training samples of each generator", (20, 10_000)),
    "num_samples_test": Word("n_test", "test points", (1000, 100_000)),
    "num_generations": Word("G", "generations of models", (0, 20)),
    "num_steps": Word("t", "steps of the optimiser or of the procedure", (1, 100_000)),
    "num_starts": Word("s", "random starts, the best of which counts", (1, 10)),
    "num_tokens": Word("N", "tokens of the vocabulary", (10, 10_000)),
    "num_classes": Word("M", "output classes", (2, 20)),
    "num_samples_synthetic": Word("N", "synthetic samples", (20, 100_000)),
    "sample_ratio": Word("α", "samples per dimension; a simulation has n = round(α d)", (0.2, 5)),
    # Data and teachers
    "inputs": Word("x", "data points"),
    "labels": Word("y", "labels ±1"),
    "rows": Word("X", "rows of a data set, in the eigenbasis of their covariance"),
    "residuals": Word("r", "what the best linear fit of the targets leaves, row by row"),
    "eigenvalues": Word("λ_k", "eigenvalues of the covariance"),
    "covariance": Word("Σ", "covariance of the inputs as a matrix, instead of a named spectrum"),
    "noise_scale": Word("σ/σ_r", "label noise over the residuals", (0, 2)),
    "law": Word("–", "rows and label noise of the data, rows alone, or Gaussian of both"),
    "spectrum": Word("Σ", "covariance of the inputs"),
    "spectrum_exponent": Word("β", "decay of the eigenvalues, λ_k = k^-β (power_law)", (0.5, 3)),
    "covariance_scale": Word("τ", "multiplies the covariance", (0.01, 10)),
    "correlation": Word("ρ", "correlation", (-0.9, 0.9)),
    "signal": Word("w0", "ground truth: k^(-δ/2), 1 for s features, 1/k, 1, or given"),
    "signal_exponent": Word("δ", "decay of the ground truth, w0_k² = k^-δ (power_law)", (0, 3)),
    "sparsity": Word("s", "features that count (sparse)", (1, 100)),
    "signal_vector": Word("w0_k", "ground truth, feature by feature (custom)"),
    "signal_scale": Word("c", "multiplies the ground truth", (0.1, 10)),
    "source_exponent": Word(
        "r", "decay of the signal, λ_k w_k² ~ k^-(1+2βr) (power_law)", (0.1, 1)
    ),
    "signal_variance": Word("‖w‖²_Σ", "variance of the true signal", (0.1, 10)),
    "noise_std": Word("σ", "standard deviation of the label noise", (0, 2)),
    "noise_std_synthetic": Word("σ_s", "label noise of synthetic samples", (0, 2)),
    "teacher": Word("w*", "teacher"),
    "teacher_density": Word("k", "share of non-zero teacher entries", (0.05, 1)),
    "zipf_exponent": Word("β", "exponent of the token law", (1.1, 3)),
    "cutoff": Word("k", "rank where training data end", (2, 10_000)),
    "sampling": Word("–", "T tokens exactly, or Poisson(T)"),
    "signal_norm": Word("|μ|", "distance of the class means from the origin", (0.5, 3)),
    "core_strength": Word("c", "class means along the core direction", (0.5, 2)),
    "spurious_strength": Word("s", "group means along the spurious direction", (0, 2)),
    "minority_fraction": Word("π", "chance that the attribute contradicts the label", (0.02, 0.5)),
    "num_group_samples": Word("M", "group-balanced samples, a multiple of 4", (20, 10_000)),
    "group_prior_weight": Word("k", "weight of the mean group loss", (0, 100)),
    "perturbation_radius": Word("ρ", "radius of the perturbed parameters", (0, 1)),
    "means": Word("μ", "class means"),
    "stds": Word("σ", "standard deviations of the classes"),
    "priors": Word("φ", "class frequencies, summing to 1"),
    "density": Word("d", "share of the data that is kept", (0.05, 1)),
    "pruner": Word("–", "how many of each class, and which samples, are kept"),
    # Generators and verifiers
    "generator_accuracy": Word("p", "chance that a synthetic label is right", (0.05, 0.95)),
    "keep_correct": Word("φ", "chance that a right label is kept", (0.1, 1)),
    "keep_incorrect": Word("ψ", "chance that a wrong label is kept", (0, 1)),
    "generator_angle": Word("θ_g", "angle between generator and truth", (0.1, 2)),
    "verifier_angle": Word("θ_p", "angle between verifier and truth", (0.1, 2)),
    "azimuth": Word("α", "angle of the verifier around the truth; 0: errors on one side", (0, 3.1)),
    "num_candidates": Word("K", "candidates per prompt", (1, 64)),
    "score_gap": Word("g", "how much higher a right candidate scores on average", (0, 4)),
    "num_prompts": Word("–", "prompts", (1, 20_000)),
    # Estimators
    "estimator": Word("–", "estimator"),
    "design": Word("–", "inputs of the generations: fresh or shared"),
    "ridge": Word("λ", "penalty (mean-square loss + λ‖·‖²)", (1e-6, 10)),
    "regularization": Word("λ", "strength of the penalty", (1e-4, 10)),
    "loss": Word("ℓ", "loss of the margin"),
    "weighting": Word("a_i", "every sample counts once, or synthetic ones weigh α"),
    "mixing_weight": Word("α", "weight of the synthetic loss (mixing)", (0, 1)),
    "shift_correlation": Word("ρ", "correlation of teacher and shift", (-1, 1)),
    "scheme_exponent": Word("ρ", "stored weights are frequencies to this power", (0, 2)),
    "threshold": Word("P", "tokens stored, by rank", (1, 1000)),
    "embedding": Word("e", "law of the embeddings"),
    "unembedding": Word("u", "law of the unembeddings"),
    "optimizer": Word("–", "optimiser"),
    "step_size": Word("η", "size of a step", (0, 1)),
    "learning_rate": Word("η", "learning rate", (1e-3, 10)),
    "batch_size": Word("B", "size of the batch of a step", (1, 10_000)),
    "init_scale": Word("s", "scale of the start", (1e-3, 1)),
    # Preferences
    "kl_regularization": Word("β", "strength of the penalty β KL(π | π_ref), no 1/2", (0.1, 2)),
    "num_explanations": Word("n", "explanations: the possible answers", (2, 1000)),
    "num_harmful": Word("m", "harmful explanations, the first ones", (1, 300)),
    "harm_threshold": Word("p", "harmful mass that counts as a jailbreak", (0.1, 0.9)),
    "harmful_logit": Word("ℓ_h", "log-odds of harm under the reference at the harmful prompt"),
    "safe_prompt_logit": Word("ℓ_s", "the same at its safe version"),
    "reward_gap": Word("Δ", "reward of a safe answer less that of a harmful one", (0, 5)),
    "num_preferences": Word("n", "labelled pairs", (100, 100_000)),
    # Decisions in sequence
    "objective": Word("f", "what is maximised"),
    "algorithm": Word("–", "how decisions are made"),
    "num_rounds": Word("T", "rounds", (1, 1_000_000)),
    "failure_probability": Word("δ", "chance that a bound may fail", (0.001, 0.5)),
    "num_checkpoints": Word("–", "times, each twice the last, that are shown", (1, 20)),
    "num_items": Word("m", "items", (2, 1000)),
    "num_slots": Word("K", "slots that are seen", (1, 20)),
    "popularity": Word("–", "how much some items are better for everybody", (0, 2)),
    "taste": Word("–", "how much tastes differ", (0, 2)),
    "smoothing": Word("η", "added before a power or a root is taken", (0.01, 1)),
    # Attacks
    "attack_norm": Word("p", "norm that bounds the attack"),
    "attack_radius": Word("r", "attack radius", (0, 1)),
    "attack_p": Word("p", "order of the norm that bounds the attack (lp)", (1.1, 10)),
    "attack_metric": Word("B", "diagonal of the norm that bounds the attack (mahalanobis)"),
    "attack_metric_exponent": Word("η", "growth of that diagonal, B_k = k^η (power_law)", (-2, 2)),
    "attack_metric_diagonal": Word("B_k", "that diagonal itself (custom)"),
    "attack_radius_train": Word("ε_t", "attack radius in training", (0, 1)),
    "attack_radius_test": Word("ε_g", "attack radius at test", (0, 1)),
    "attack_radius_fraction": Word("f", "attack radius over the largest feasible one", (0, 0.95)),
}
