"""Scaling laws for associative memories (arXiv 2310.02984)."""
