"""Learning from preferences: which labels to buy, and what an aligned model still does."""
