"""Side-by-side speed ratios: the same task, one core each, in one run."""
