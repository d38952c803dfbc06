"""What a table may be, and what is said of one that may not."""

import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest

import simulator
from simulator.planner.laws import law_named
from simulator.planner.notices import TableError
from simulator.planner.roles import roles
from simulator.planner.table import load
from tests.planner.tables import simulated

CHINCHILLA = law_named("chinchilla")


def one(table, law=CHINCHILLA, **options):
    return load(table, law, **options)[None]


def frame(**changes):
    return pd.DataFrame(simulated(seed=0) | changes)


# --------------------------------------------------------------------------------------------
# Formats and names
# --------------------------------------------------------------------------------------------
def test_formats_have_all_digits(tmp_path):
    table = frame()
    paths = [tmp_path / name for name in ("t.csv", "t.tsv", "t.jsonl", "t.parquet", "u.csv.gz")]
    table.to_csv(paths[0], index=False)
    table.to_csv(paths[1], index=False, sep="\t")
    paths[2].write_text("\n".join(json.dumps(row) for row in table.to_dict("records")))
    table.to_parquet(paths[3])
    with gzip.open(paths[4], "wt") as file:
        table.to_csv(file, index=False)
    for path in paths:
        found = one(path)
        for name in ("params", "tokens", "loss"):
            assert np.array_equal(found.columns[name], table[name]), path.name
        assert found.source == path.name
        assert len(found.digest) == 64
    assert one(dict(table)).source == ""


def test_names_are_compared_without_case_blanks_and_dashes():
    names = ["N-Params", "train_tokens", "VAL loss", "Peak LR", "other"]
    assert roles(names) == {"params": "N-Params", "tokens": "train_tokens", "loss": "VAL loss"}
    assert roles(["N", "D", "loss_web"]) == {"params": "N", "tokens": "D", "loss": "loss_web"}
    assert roles(["C", "U", "q", "T0", "gen", "web loss", "name"]) == {
        "flop": "C",
        "unique_tokens": "U",
        "synthetic_fraction": "q",
        "num_samples_generator": "T0",
        "generation": "gen",
        "loss": "web loss",
        "run": "name",
    }
    assert roles(["a", "loss"], {"params": "a"}) == {"params": "a", "loss": "loss"}


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["N", "params", "loss"], {}, "two params columns, N and params: name one with"),
        (
            ["loss_web", "loss_code"],
            {},
            "two loss columns, loss_web and loss_code: name one with --loss",
        ),
        (["loss"], {"params": "size"}, "params = 'size': no such column; there are loss"),
        (["loss"], {"parms": "loss"}, "no such role; did you mean 'params'?"),
    ],
)
def test_roles_are_unique(names, given, message):
    with pytest.raises(TableError) as error:
        roles(names, given)
    assert message in str(error.value)


# --------------------------------------------------------------------------------------------
# Two of three
# --------------------------------------------------------------------------------------------
def test_two_of_three_give_the_third():
    params, tokens, loss = (simulated()[name] for name in ("params", "tokens", "loss"))
    flop = 6 * params * tokens
    for given in ({"params": params, "flop": flop}, {"tokens": tokens, "flop": flop},
                  {"params": params, "tokens": tokens}):  # fmt: skip
        found = one(given | {"loss": loss})
        np.testing.assert_allclose(found.columns["params"], params, rtol=1e-14)
        np.testing.assert_allclose(found.columns["tokens"], tokens, rtol=1e-14)
        np.testing.assert_allclose(found.columns["flop"], flop, rtol=1e-14)
    assert one({"params": params, "flop": flop, "loss": loss}, k=7.0).columns["tokens"][
        0
    ] == pytest.approx(tokens[0] * 6 / 7)


def test_three_that_agree_and_three_that_do_not():
    table = simulated()
    exact = table["params"] * table["tokens"]
    found = one(table | {"flop": 6.6 * exact})
    assert found.k == pytest.approx(6.6, rel=1e-12)
    assert [n.code for n in found.notices] == ["N-FLOP"]
    assert one(table | {"flop": 6 * exact}).notices == []
    near = one(table | {"flop": exact * np.linspace(6, 6.2, len(exact))})
    assert near.k == pytest.approx(6.1, rel=1e-3)
    assert "runs from 1 to 1.033: plans count the mean" in near.notices[0].text
    rough = one(table | {"flop": exact * np.linspace(5, 8, len(exact))})
    assert rough.k == 6
    assert "runs from 0.833 to 1.33: counting conventions differ" in rough.notices[0].text


def test_repetitions_and_shares_from_any_two():
    law = law_named("data-constrained")
    params, tokens = simulated()["params"], simulated()["tokens"]
    unique = tokens / np.linspace(1, 8, len(tokens))
    rest = {"params": params, "loss": simulated()["loss"]}
    for given in ({"tokens": tokens, "unique tokens": unique},
                  {"tokens": tokens, "epochs": tokens / unique},
                  {"U": unique, "epochs": tokens / unique}):  # fmt: skip
        found = one(rest | given, law).columns
        np.testing.assert_allclose(found["tokens"], tokens, rtol=1e-14)
        np.testing.assert_allclose(found["unique_tokens"], unique, rtol=1e-14)
    law = law_named("tail-mixture")
    real, made = np.geomspace(10, 1e6, 9), np.geomspace(2e3, 2e7, 9)
    n, loss = real + made, np.linspace(3, 2, 9)
    for given in ({"real tokens": real, "synthetic tokens": made},
                  {"tokens": n, "real tokens": real},
                  {"tokens": n, "synthetic tokens": made}, {"tokens": n, "q": made / n},
                  {"tokens": n, "real fraction": real / n},
                  {"real tokens": real, "q": made / n}):  # fmt: skip
        found = one(given | {"loss": loss}, law).columns
        np.testing.assert_allclose(found["tokens"], n, rtol=1e-12)
        np.testing.assert_allclose(found["real_fraction"], real / n, rtol=1e-9)


# --------------------------------------------------------------------------------------------
# Refusals: column, row, value
# --------------------------------------------------------------------------------------------
def changed(column, row, value):
    table = frame()
    table[column] = table[column].astype(object)
    table.loc[row - 1, column] = value
    return table


@pytest.mark.parametrize(
    ("table", "code", "message"),
    [
        (changed("tokens", 3, 4.1), "E-UNIT", "tokens, row 3: 4.1 looks like billions; multip"),
        (frame(params=np.linspace(5, 9, 30)), "E-UNIT", "params, row 1: 5 looks like log10"),
        (changed("loss", 4, 21.0), "E-UNIT", "loss, row 4: 21 looks like a perp"),
        (changed("loss", 4, -2.0), "E-NONPOSITIVE", "loss, row 4: -2 is not allowed: it must be"),
        (changed("params", 7, 0.0), "E-NONPOSITIVE", "params, row 7: 0 is not allowed"),
        (changed("params", 7, "big"), "E-NUMBER", "params, row 7: 'big' is no number"),
        (changed("params", 7, np.inf), "E-NUMBER", "params, row 7: inf is not finite"),
        (changed("loss", 7, 5e-324), "E-NUMBER", "loss, row 7: 4.94066e-324 is too small"),
        (frame(loss=[[2.0]] * 30), "E-NUMBER", "loss, row 1: '[2.0]' is no number"),
        (changed("loss", 2, np.nan), "E-MISSING", "loss, row 2: 'nothing' is missing"),
        (changed("tokens", 9, None), "E-MISSING", "tokens, row 9: 'nothing' is missing"),
        (frame(params=1e9), "E-CONSTANT", "alpha cannot be identified: every row has"),
        (frame(tokens=1e11), "E-CONSTANT", "beta cannot be identified: every row has tokens ="),
        (frame().iloc[:4], "E-FEW", "4 distinct (params, tokens), 5 parameters"),
        (frame()[["params", "loss"]], "E-ROLE", "no tokens column: there are params, loss"),
        (frame()[["params", "tokens"]], "E-ROLE", "no loss column"),
        (frame().iloc[:0], "E-TABLE", "no rows"),
        ({"loss": [1.0], "params": [1e9, 1e8]}, "E-TABLE", "columns of different lengths"),
        (frame(weight=0.0), "E-NONPOSITIVE", "weight, row 1: 0 is not allowed"),
    ],
)  # fmt: skip
def test_refusals_are_one_line(table, code, message):
    with pytest.raises(TableError) as error:
        one(table)
    assert error.value.code == code
    assert str(error.value).startswith(f"{code} {message}") or message in str(error.value)
    assert "\n" not in str(error.value)


def test_refused_files(tmp_path):
    for name, content, message in (
        ("none.csv", None, "no such file"),
        ("t.xlsx", "a", "unknown ending"),
        ("t.jsonl", "[1]", "a line is no object"),
        ("t.csv", "", "unreadable"),
        ("t.csv", "loss,loss,params,tokens\n3,3,1e9,1e10\n", "two columns are called loss"),
        (
            "t.jsonl",
            '{"params": {"a": 1}, "tokens": 1e10, "loss": 3}\n',
            "params, row 1: .* is no n",
        ),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(TableError, match=message):
            one(tmp_path / name)
    with pytest.raises(TypeError, match="data frame"):
        one(3)


def test_raw_and_missing_are_overridden():
    small = simulated()
    small = small | {"tokens": small["tokens"] / 1e9, "params": small["params"] / 1e6}
    assert len(one(small, raw=True)) == 30
    table = changed("loss", 2, "NA")
    found = one(table, drop_missing=True)
    assert found.dropped == {"missing values": 1}
    assert len(found) == 29
    assert 2 not in found.row


# --------------------------------------------------------------------------------------------
# What is dropped
# --------------------------------------------------------------------------------------------
def tuned(rates=3, seed=1):
    """A table in which every point was run with several learning rates."""
    table = pd.DataFrame(simulated(seed=seed))
    copies = [table.assign(lr=rate, loss=table.loss * (1 + 0.01 * abs(i - 1)))
              for i, rate in enumerate(np.geomspace(1e-4, 1e-2, rates))]  # fmt: skip
    return pd.concat(copies, ignore_index=True)


def test_the_best_of_each_tuned_run():
    table = tuned()
    found = one(table)
    assert len(found) == 30
    np.testing.assert_array_equal(np.sort(found.columns["loss"]), np.sort(table.loss[30:60]))
    assert "lower envelope over lr: 90 rows -> 30" in [n.text for n in found.notices]
    assert not [n for n in found.notices if n.code == "N-EDGE"]
    edge = one(table[table.lr > 1e-3 * 0.99])
    assert "best lr at the end of its grid for 30 of 30 points" in [n.text for n in edge.notices]
    constant = one(pd.DataFrame(simulated(seed=1)).assign(lr=1e-3))
    assert constant.notices == []


def test_seeds_are_not_tuned():
    """Replicates stay: their minimum would be too low by one noise."""
    table = pd.concat([pd.DataFrame(simulated(seed=s)).assign(seed=s) for s in range(3)])
    assert len(one(table)) == 90
    both = pd.concat([tuned(seed=s).assign(seed=s) for s in range(2)])
    assert len(one(both)) == 60


def test_identical_rows_and_far_rows():
    table = frame()
    found = one(pd.concat([table, table.iloc[:3]]))
    assert found.dropped == {"identical rows": 3}
    assert found.notices[0].code == "N-DUPLICATE"
    far = one(changed("tokens", 5, 1e14))
    assert [n.code for n in far.notices] == ["N-RATIO"]
    assert "row 5" in far.notices[0].text


def test_a_far_row_among_few():
    """An outlier does not widen what it is measured against."""
    table = frame().iloc[[0, 4, 8, 13, 17, 21, 25, 29]].reset_index(drop=True)
    assert one(table).notices == []
    table.loc[3, "tokens"] *= 1e4
    found = one(table)
    assert [n.code for n in found.notices] == ["N-RATIO"]
    assert "row 4" in found.notices[0].text


def test_overfitted_rows_are_left_out():
    n = np.repeat([1e8, 1e9], 4)
    table = {"params": n, "unique_tokens": 1e9, "tokens": np.tile([1e9, 4e9, 16e9, 64e9], 2),
             "loss": [3.0, 2.9, 2.8, 2.85, 2.7, 2.6, 2.65, 2.55]}  # fmt: skip
    law = law_named("data-constrained")
    found = one(table, law)
    assert found.dropped == {"over-fitted": 2}
    assert "rows 4, 7" in found.notices[0].text
    assert len(one(table, law, keep_overfit=True)) == 8


def test_groups_are_tables():
    table = pd.concat([frame().assign(data="web"), frame().assign(data="code")])
    found = load(table, CHINCHILLA, by="data")
    assert list(found) == ["code", "web"]
    assert list(found["code"].row) == list(range(31, 61))
    with pytest.raises(TableError, match="by = 'set': no such column"):
        load(table, CHINCHILLA, by="set")


# --------------------------------------------------------------------------------------------
# The column of the law `power`
# --------------------------------------------------------------------------------------------
def steps(name="steps", seed=0):
    """Losses of one run after so many steps."""
    x = np.geomspace(10, 1e5, 20)
    noise = np.exp(0.003 * np.random.default_rng(seed).standard_normal(20))
    return {name: x, "loss": (1.7 + 3 * x**-0.4) * noise}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("steps", {"x": "steps"}),
        ("steps", {"x": "STEPS"}),
        ("steps", {"columns": {"x": "steps"}}),
        ("batch size", {"x": "batch size"}),  # a column that no law reads otherwise
        ("train_tokens", {"x": "train_tokens", "raw": True}),
        ("mine", {"x": "mine", "columns": {"tokens": "mine"}, "raw": True}),
        ("real tokens", {"x": "real_tokens"}),
        ("x", {"x": "x"}),
    ],
)
def test_power_reads_any_column(name, told):
    fit = simulator.fit(steps(name), "power", holdout="none", **told)
    expected = simulator.fit(steps("tokens"), "power", raw=True, holdout="none")
    assert fit.constants == pytest.approx(expected.constants, rel=1e-12)
    loss = expected.predict(tokens=3e6)
    assert fit.predict(x=3e6).interval == pytest.approx(loss.interval, rel=1e-12)
    assert fit.predict(**{fit.law.needs[0]: 3e6}) == pytest.approx(float(loss), rel=1e-12)
    assert fit.plan(x=3e6).loss == pytest.approx(float(loss), rel=1e-12)
    assert fit.plan(loss=float(loss)).x == pytest.approx(3e6, rel=1e-9)


@pytest.mark.parametrize(
    ("table", "told", "message"),
    [
        (steps(), {"x": "step"}, "x = 'step': no such column; did you mean 'steps'"),
        (steps() | {"steps": 0.0}, {"x": "steps"}, "steps, row 1: 0 is not allowed: it must be"),
        (steps() | {"steps": 7.0}, {"x": "steps"}, "alpha cannot be identified: every row has st"),
        (steps(), {"x": "loss"}, "x = 'loss' is not allowed"),
        (steps(), {"x": "steps", "columns": {"x": "loss"}}, "x = 'steps' is not allowed"),
        (steps(), {"x": "steps", "law": "tied"}, "x = 'steps' is not allowed: it must be given wi"),
    ],
)
def test_the_column_of_power_is_checked(table, told, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        simulator.fit(table, **({"law": "power"} | told))


def test_power_holds_out_the_largest_budgets():
    """Rows are ordered by FLOP where the table has them, also where the law reads steps."""
    table = steps() | {"flop": np.geomspace(1e18, 1e21, 20)[::-1]}
    found = simulator.fit(table, "power", x="steps", holdout=5e20).verdict
    assert (found.below, found.above) == (18, 2)


def test_every_row_has_a_group(tmp_path):
    table = pd.concat([frame().assign(data=name) for name in ("web", "code")], ignore_index=True)
    for nothing in (None, np.nan, ""):
        table.loc[33, "data"] = nothing
        with pytest.raises(TableError, match="data, row 34: the row belongs to no group"):
            load(table, CHINCHILLA, by="data")
        table.to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(TableError, match="data, row 34: the row belongs to no group"):
            load(tmp_path / "t.csv", CHINCHILLA, by="data")
