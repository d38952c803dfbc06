"""One grid, computed: cells, theory, programs, moments, results."""
