"""Strong model collapse: regression on a mixture of real and synthetic data (arXiv 2410.04840)."""
