"""The data set on whose rows the ``resampled`` studies train."""

from simulator.parameters import array, choice, parameters
from simulator.sampling.resampled import LAWS, example

#: Relative deviation of data from the Gaussian prediction that the verdict overlooks.
ACCURACY = 0.05
EXAMPLE = example()


@parameters
class DataSet:
    """The parameters that all of them have."""

    rows: tuple = array(EXAMPLE["rows"], dims=("row", "feature"), large=True)
    eigenvalues: tuple = array(
        EXAMPLE["eigenvalues"], detail="mean squares of the columns of rows", dims=("feature",),
        large=True, above=0,
    )  # fmt: skip
    teacher: tuple = array(
        EXAMPLE["teacher"], detail="best linear fit of the targets", dims=("feature",), large=True
    )
    residuals: tuple = array(EXAMPLE["residuals"], dims=("row",), large=True)
    law: str = choice("targets", LAWS)
