"""arXiv 2410.22069: the margins that steepest descent in different norms maximises."""
