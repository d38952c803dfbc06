"""Independent programs behind the reference values: NumPy, SciPy and mpmath, and no line of JAX.

One module per paper, each function written from the paper's formulas rather than from the package,
in the plainest way: a bracketed root in place of a Newton iteration, quadrature in place of a
closed form, a sum over all terms in place of its limit. They take a study's parameters by name and
return its outputs.
"""
