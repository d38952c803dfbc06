"""Linear models in high dimension."""
