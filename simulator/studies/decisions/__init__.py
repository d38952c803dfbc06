"""Decisions in sequence: rankings and bandits whose welfare is that of averages."""
