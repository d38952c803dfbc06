"""A Tale of Tails: model collapse as a change of scaling laws (arXiv 2402.07043)."""
