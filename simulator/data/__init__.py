"""Data of the user and of our dependencies, turned into spectra, teachers and rank laws.

>>> from simulator.data import digits, population, apply_feature_map, predict_generations
>>> data = population(apply_feature_map(digits(), "polynomial"))
>>> predict_generations(data, num_samples=600, num_samples_generator=1200, num_generations=3,
...                     ridge=1e-3)
"""

from simulator.data.comparison import compare
from simulator.data.datasets import digits, photograph_patches
from simulator.data.experiment import labeller_shift, simulate_generations, simulate_mixture
from simulator.data.feature_maps import apply_feature_map
from simulator.data.loading import DataError, Table, from_arrays, load
from simulator.data.population import Population, population, power_law
from simulator.data.prediction import predict_generations, predict_mixture

__all__ = [
    "DataError",
    "Population",
    "Table",
    "apply_feature_map",
    "compare",
    "digits",
    "from_arrays",
    "labeller_shift",
    "load",
    "photograph_patches",
    "population",
    "power_law",
    "predict_generations",
    "predict_mixture",
    "simulate_generations",
    "simulate_mixture",
]
