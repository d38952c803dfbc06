"""Fit a law to a table of training runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from simulator import checks
from simulator.planner import identify, uncertainty
from simulator.planner.certificate import Certificate
from simulator.planner.estimation import box_of, estimate
from simulator.planner.laws import Law, law_named
from simulator.planner.notices import Notice
from simulator.planner.objective import padded, residuals
from simulator.planner.options import Options, column_of_power, options_of
from simulator.planner.result import Fit
from simulator.planner.table import Table, load

__all__ = ["Fit", "fit", "fit_table"]


def fit(
    table: Any, law: str = "chinchilla", *, loss: str | None = None,
    columns: Mapping[str, str] | None = None, by: str | None = None, huber: str | float = "auto",
    residual: str = "log", cluster: str = "auto", weight: Any = None,
    holdout: str | float | None = "auto", seed: int = 0, x: str | None = None,
    k: float | None = None, untied: bool = False, scale: float | None = None, raw: bool = False,
    drop_missing: bool = False, keep_overfit: bool = False,
) -> Any:  # fmt: skip
    """Fit a law to a table of training runs.

    Parameters
    ----------
    table : path, pandas.DataFrame or mapping of arrays
        One row a run.
    law : str
        ``power``, ``chinchilla``, ``tied``, ``data-constrained``, ``synthetic-share``,
        ``synthetic-share-additive``, ``tail-mixture``, ``generations``, ``generations-tail`` or
        ``accumulate``.
    loss : str, optional
        The column of the loss, where several could be.
    columns : mapping role -> column, optional
        Overrides what the names of columns say.
    by : str, optional
        A column; each of its values is fitted by itself.
    huber : "auto", float or "inf"
        Threshold of Huber's loss; by default a multiple of the noise that it leaves.
    residual : {"log", "absolute"}
        Of the logarithm of the loss, or of the loss (with ``huber="inf"`` alone).
    cluster : {"auto", "none", "run", "params"}
        Which rows share noise.
    weight : str or array_like, optional
        A column, or one positive number a row.
    holdout : "auto", "none" or float
        Budget above which runs are held out for the verdict.
    seed : int
        Of bootstrap draws.
    x : str, optional
        The column of ``power``, any column of the table; also ``columns={"x": ...}``. By default
        the tokens.
    k : float, optional
        FLOP a parameter and token, 6 unless the table says otherwise.
    untied : bool
        Two exponents in ``data-constrained``.
    scale : float, optional
        Of ``tail-mixture``: loss of an untrained model minus the floor.
    raw : bool
        Take sizes that look like millions, billions or logarithms as they are.
    drop_missing : bool
        Drop rows without a value, and count them.
    keep_overfit : bool
        Keep rows that lose to fewer epochs in ``data-constrained``.

    Returns
    -------
    Fit
        With ``by``: a mapping from its values to fits.

    Raises
    ------
    TableError
        For a table that cannot be fitted: one line with column, row and value.
    """
    x, columns = column_of_power(x, columns)
    chosen = options_of(
        law, huber=huber, residual=residual, cluster=cluster, holdout=holdout, seed=seed,
        x=x, untied=untied, scale=scale,
    )  # fmt: skip
    found = law_named(chosen.law, x=chosen.x, untied=chosen.untied, scale=chosen.scale)
    if k is not None:
        k = checks.number("k", k, above=0)
    tables = load(
        table, found, loss=loss, columns=columns, weight=weight, by=by, k=k,
        raw=checks.flag("raw", raw), drop_missing=checks.flag("drop_missing", drop_missing),
        keep_overfit=checks.flag("keep_overfit", keep_overfit),
    )  # fmt: skip
    fits = {value: fit_table(one, found, chosen) for value, one in tables.items()}
    return fits[None] if by is None else fits


def fit_table(table: Table, law: Law, options: Options, labels: Any = None) -> Fit:
    """The fit of a table that is read already; ``labels`` are its clusters, if known."""
    centre: dict[str, float] = {}
    features = law.prepare(table.columns, centre)
    target = np.log(table.columns["loss"])
    rows = padded(features, target, table.columns["weight"])
    notices = list(table.notices)
    fixed = identify.without_evidence(law, table, notices)
    while True:
        box = identify.fixed_box(law, box_of(law, target, fixed), fixed)
        found = estimate(law, rows, options.huber, box, absolute=options.absolute)
        if "rho" in fixed or "rho" not in found.status[0]:
            break
        if found.theta[0][law.variables.index("rho")] > 1:
            break
        fixed = (*fixed, "rho")
        notices.append(
            Notice("N-BOUND", "rho = 0: fixed there, the slope in n does not differ with q")
        )
    theta, delta = found.theta[0], float(found.delta[0])
    if labels is None:
        labels, rule, few = uncertainty.clusters(options.cluster, table.columns, table.run)
        if few:
            notices.append(Notice("N-CLUSTERS", few))
    else:
        rule = options.cluster
    spread = uncertainty.spread(
        law, rows, len(table), theta, delta, box.free, labels, absolute=options.absolute
    )
    r = residuals(law, rows, theta)[0][: len(table)]
    repeats = uncertainty.replicates(table.points(law), r, int(box.free.sum()))
    certificate = Certificate(
        float(found.certificate[0]), float(found.objective[0]), found.starts,
        int(found.agreeing[0]), found.status[0],
    )  # fmt: skip
    result = Fit(law, table, options, centre, theta, delta, certificate, box, rule, labels, spread,
                 repeats, notices)  # fmt: skip
    identify.add_notices(result)
    return result
