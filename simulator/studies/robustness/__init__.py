"""Robustness and implicit bias."""
