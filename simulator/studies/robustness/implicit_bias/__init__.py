"""arXiv 2406.04981: the price of the optimiser's implicit bias in robust classification."""
