"""Fit scaling laws to tables of training runs, and plan from them, with honest intervals."""
