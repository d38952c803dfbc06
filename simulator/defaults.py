"""Defaults that functions and the command line share: the command line shows them without JAX."""

#: Replicates per point of a simulation, and of a sweep.
REPLICATES = 100
