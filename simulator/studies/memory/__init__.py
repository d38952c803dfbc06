"""Memory: what associative matrices and heads store."""
