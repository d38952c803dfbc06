"""A fit as a JSON file, with its rows: a plan and a report need no table.

Keys are sorted, so that two files of one fit are equal (``column_order`` has the order of the
tables' columns); numbers that are not finite are the words ``nan``, ``inf`` and ``-inf``.
"""

import dataclasses
import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import checks
from simulator.planner.certificate import Certificate
from simulator.planner.laws import law_named
from simulator.planner.notices import Notice
from simulator.planner.options import Options
from simulator.planner.solver import Box
from simulator.planner.table import Table
from simulator.planner.uncertainty import Replicates, Spread

if TYPE_CHECKING:
    import pandas as pd

    from simulator.planner.result import Fit

FORMAT = 1
TABLES = ("sensitivity", "influence")


def save(fit: "Fit", path: str | Path) -> None:
    """Write the artefact."""
    found = checks.path("path", path, "a file to write")
    found.write_text(text(contents(fit)), encoding="utf-8")


def text(given: Any) -> str:
    """JSON with sorted keys; what is not finite as a string: ``nan``, ``inf``, ``-inf``."""
    return json.dumps(_plain(given), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)


def contents(fit: "Fit") -> dict[str, Any]:
    """What the artefact holds."""
    table, certificate = fit.table, fit.certificate
    status = {name: "fixed" if value.reason == "fixed" else fit.refusal or "fitted"
              for name, value in fit.parameters.items()}  # fmt: skip
    return {
        "format": FORMAT,
        "package_version": version("theory-simulator"),
        "law": fit.law.name,
        "formula": fit.law.formula,
        "options": dataclasses.asdict(fit.options)
        | {"delta": fit.delta, "k": table.k, "cluster_used": fit.cluster},
        "input": {
            "file": table.source,
            "sha256": table.digest,
            "rows_read": table.read,
            "rows_used": len(table),
            "columns": table.names,
            "dropped": table.dropped,
        },
        "centre": fit.centre,
        "parameters": {
            name: value.as_dict() | {"status": status[name]}
            for name, value in fit.parameters.items()
        },
        "theta": fit.theta,
        "box": fit.box._asdict(),
        "covariance": fit.spread.covariance,
        "df": fit.spread.df,
        "clusters": fit.spread.clusters,
        "labels": None if fit.labels is None else np.unique(fit.labels, return_inverse=True)[1],
        "leverage": fit.spread.leverage,
        "noise": {
            "s": fit.spread.s,
            "s_new": fit.spread.s_new,
            "s_pure": fit.replicates.s_pure,
            "kappa": fit.spread.kappa,
        },
        "replicates": dataclasses.asdict(fit.replicates),
        "certificate": certificate.as_dict(),
        "verdicts": fit.verdict.as_dict(),
        "sensitivity": _table(fit.sensitivity),
        "thetas": fit.thetas,
        "influence": _table(fit.influence),
        "column_order": {name: list(getattr(fit, name).columns) for name in TABLES},
        "drift": fit.extra["drift"],
        "laws": fit.extra["laws"],
        "notices": [notice._asdict() for notice in fit.notices],
        "data": {"row": table.row, "run": table.run} | {"columns": table.columns},
    }


def load_fit(path: str | Path) -> "Fit":
    """Read what :meth:`Fit.save` has written.

    Parameters
    ----------
    path : path of the JSON file

    Returns
    -------
    Fit
        With the same numbers, to the bit. What was not asked yet (draws of an interval, profiles
        of a report) is computed from the rows in the file.

    Raises
    ------
    ValueError
        If it is no such file, or of another format.
    """
    found = checks.path("path", path, "the file of a fit")
    try:
        given = _numbers(json.loads(found.read_text(encoding="utf-8")))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{found}: no fit ({error})") from error
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        stated = given.get("format") if isinstance(given, dict) else None
        raise ValueError(f"{found}: format {stated!r} is not {FORMAT}, the one that is read here")
    try:
        return _fit(given)
    except KeyError as error:
        raise ValueError(f"{found}: damaged, {error} is missing") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{found}: damaged ({error})") from error


def _fit(given: dict[str, Any]) -> "Fit":
    from simulator.planner.diagnostics import HUBERS
    from simulator.planner.result import Fit
    from simulator.planner.verdict import FitVerdict

    fields = {field.name for field in dataclasses.fields(Options)}
    options = Options(**{name: v for name, v in given["options"].items() if name in fields})
    law = law_named(options.law, x=options.x, untied=options.untied, scale=options.scale)
    entry, data = given["input"], given["data"]
    notices = [Notice(**notice) for notice in given["notices"]]
    columns = {name: np.array(values, float) for name, values in data["columns"].items()}
    table = Table(
        columns=columns,
        row=np.array(data["row"]), run=None if data["run"] is None else np.array(data["run"]),
        names=entry["columns"], k=given["options"]["k"], read=entry["rows_read"],
        dropped=entry["dropped"], source=entry["file"], digest=entry["sha256"],
    )  # fmt: skip
    noise = given["noise"]
    spread = Spread(np.array(given["covariance"]), given["df"], given["clusters"], noise["kappa"],
                    noise["s"], noise["s_new"], np.array(given["leverage"]))  # fmt: skip
    box = given["box"]
    labels = given["labels"]
    fit = Fit(
        law=law, table=table, options=options, centre=given["centre"],
        theta=np.array(given["theta"], float), delta=float(given["options"]["delta"]),
        certificate=Certificate(**given["certificate"]),
        box=Box(np.array(box["low"]), np.array(box["high"]), np.array(box["free"], bool)),
        cluster=given["options"]["cluster_used"],
        labels=None if labels is None else np.array(labels), spread=spread,
        replicates=Replicates(**given["replicates"]),
        said=[notice for notice in notices if notice.code != "N-DRIFT"],  # the verdict says it
    )  # fmt: skip
    fit.__dict__["verdict"] = FitVerdict.from_dict(given["verdicts"])
    thetas = {name: np.array(given["thetas"][name], float) for name, _ in HUBERS}
    fit.__dict__["thetas"] = thetas
    fit.__dict__["extra"] = {"drift": given["drift"], "laws": given["laws"]}
    for name in TABLES:
        fit.__dict__[name] = _frame(given[name], given["column_order"][name])
    return fit


def _table(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    return [{"case": str(name)} | row.to_dict() for name, row in frame.iterrows()]


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> "pd.DataFrame":
    import pandas as pd

    cases = pd.Index([str(row["case"]) for row in rows])
    return pd.DataFrame({name: [row[name] for row in rows] for name in columns}, index=cases)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value.tolist()]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    if value in ("nan", "inf", "-inf"):
        return float(value)
    return value
