"""Model Collapse Demystified: the case of regression (arXiv 2402.07712)."""
