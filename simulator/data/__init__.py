"""Data of the user and of our dependencies, turned into spectra, teachers and rank laws.

What comes of it are array parameters, which studies on data take as any other parameters:

>>> import simulator
>>> from simulator.data import digits, population, apply_feature_map
>>> data = population(apply_feature_map(digits(), "polynomial"))
>>> simulator.predict("ridge-collapse.resampled", num_samples=600, ridge=1e-3, **data.parameters())
"""

from simulator.data.classes import ClassTable, labelled
from simulator.data.datasets import digits, mnist, photograph_patches
from simulator.data.feature_maps import apply_feature_map
from simulator.data.loading import DataError, Table, from_arrays, load
from simulator.data.population import Population, labeller_shift, population, power_law

__all__ = [
    "ClassTable",
    "DataError",
    "Population",
    "Table",
    "apply_feature_map",
    "digits",
    "from_arrays",
    "labelled",
    "labeller_shift",
    "load",
    "mnist",
    "photograph_patches",
    "population",
    "power_law",
]
