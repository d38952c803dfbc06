"""Feature maps that turn a data set into a linear problem with a rich spectrum.

Ridge regression on ``phi(x)`` is what kernel and random-feature methods do, and the theory of
linear models speaks about it through the spectrum of ``phi``:

- ``linear``: ``phi(x) = x``.
- ``polynomial``: kernel ``(1 + x.x' / p)^degree`` on ``num_features`` landmarks (Nystroem).
- ``rbf``: kernel ``exp(-gamma ||x - x'||^2)`` on ``num_features`` landmarks (Nystroem).
- ``fourier``: random Fourier features ``sqrt(2/m) cos(w.x + u)`` of the same kernel.
- ``relu``: ``max(0, w.x / sqrt(p) + bias)``, ``w`` and ``bias`` standard normal.

Inputs are standardised first: centred, and divided by one common standard deviation, so that
``E||x||^2 = p`` (pixels keep their relative contrast, unlike with column-wise scaling); the
columns of a text table or a data frame, which have units of their own, one by one. ``gamma``
defaults to ``1 / p``. The kernels, landmarks and Fourier features are scikit-learn's.
"""

from typing import Any, Literal, get_args

import numpy as np

from simulator.data.checks import number, whole_number
from simulator.data.loading import DataError, Table
from simulator.data.units import unit_columns

FeatureMap = Literal["linear", "polynomial", "rbf", "fourier", "relu"]
FEATURE_MAPS: tuple[FeatureMap, ...] = get_args(FeatureMap)


def apply_feature_map(
    table: Table,
    kind: FeatureMap,
    num_features: int = 300,
    *,
    degree: int = 2,
    gamma: float | None = None,
    columnwise: bool | None = None,
    seed: int = 0,
) -> Table:
    """The same rows and targets seen through a feature map.

    Parameters
    ----------
    table : Table
    kind : {"linear", "polynomial", "rbf", "fourier", "relu"}
    num_features : int
        Landmarks or random features; no effect on ``linear``.
    degree : int
        Of ``polynomial``.
    gamma : float, optional
        Inverse squared length of ``rbf`` and ``fourier``.
    columnwise : bool
        Standardise every column to unit variance instead of all by one number. Unless given, where
        columns have units of their own (`Table.own_units`).
    seed : int
        Of the landmarks or random weights.

    Raises
    ------
    DataError
        For an unknown map, or more landmarks than rows.
    """
    if kind not in FEATURE_MAPS:
        raise DataError(f"feature map {kind!r} is unknown; allowed: {', '.join(FEATURE_MAPS)}")
    num_features = whole_number("num_features", num_features, 1)
    degree = whole_number("degree", degree, 1)
    seed = whole_number("seed", seed, 0, 2**32 - 1)
    inputs = standardise(table.features, table.own_units if columnwise is None else columnwise)
    num_rows, num_inputs = inputs.shape
    if kind == "linear":
        return table.with_features(inputs, "linear")
    if kind in ("polynomial", "rbf") and num_features > num_rows:
        raise DataError(
            f"{table.name}: num_features = {num_features} landmarks of {num_rows} rows; "
            f"allowed: at most {num_rows}"
        )
    scale = 1 / num_inputs if gamma is None else number("gamma", gamma, 0)
    features: Any
    if kind == "relu":
        rng = np.random.default_rng(seed)
        weights = rng.standard_normal((num_inputs, num_features)) / np.sqrt(num_inputs)
        features = np.maximum(0, inputs @ weights + rng.standard_normal(num_features))
        return table.with_features(features, "ReLU features")

    from sklearn.kernel_approximation import Nystroem, RBFSampler

    if kind == "fourier":
        sampler = RBFSampler(gamma=scale, n_components=num_features, random_state=seed)
        return table.with_features(sampler.fit_transform(inputs), "Fourier features")
    kernel = (
        {"kernel": "polynomial", "degree": degree, "gamma": 1 / num_inputs, "coef0": 1}
        if kind == "polynomial"
        else {"kernel": "rbf", "gamma": scale}
    )
    landmarks = Nystroem(**kernel, n_components=num_features, random_state=seed)
    name = f"degree-{degree} polynomial" if kind == "polynomial" else "RBF"
    return table.with_features(landmarks.fit_transform(inputs), f"{name} kernel")


def standardise(features: np.ndarray, columnwise: bool = False) -> np.ndarray:
    """Centred features of unit mean variance (or unit variance each; constant columns stay 0)."""
    columns, spreads = unit_columns(features)
    return columns if columnwise else columns * (spreads * np.sqrt(len(spreads)))
