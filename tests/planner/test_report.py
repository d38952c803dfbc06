"""The report in a browser, and both commands."""

import html
import inspect
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

import simulator
from simulator.cli import main
from simulator.cli.verbs import fit as verbs_fit
from simulator.cli.verbs import plan as verbs_plan
from simulator.planner import charts, report
from simulator.planner.artefact import _numbers
from simulator.planner.decisions import QUESTIONS
from simulator.planner.laws import LAWS
from tests.planner.tables import simulated
from tests.planner.test_fit import table_of

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    fit = simulator.fit(simulated(seed=4))
    fit.report(folder / "report.html")
    return folder / "report.html", fit


class Words(HTMLParser):
    """Text of a page, and what it loads."""

    def __init__(self):
        super().__init__()
        self.loaded, self.text, self.skip = [], [], 0

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loaded += [given[name] for name in ("src", "href", "xlink:href") if given.get(name)]
        self.skip += tag in ("style", "script")

    def handle_endtag(self, tag):
        self.skip -= tag in ("style", "script")

    def handle_data(self, data):
        if not self.skip:
            self.text.append(data)


def test_the_page_loads_nothing_and_says_what_the_artefact_says(page):
    path, _ = page
    source = path.read_text(encoding="utf-8")
    words = Words()
    words.feed(source)
    assert all(link.startswith(("#", "data:")) for link in words.loaded), words.loaded
    assert "url(http" not in source
    artefact = json.loads(re.search(r'id="artefact">(.*?)</script>', source, re.DOTALL)[1])
    said = html.unescape(" ".join(words.text))
    for name, entry in artefact["parameters"].items():
        assert f"{entry['value']:.8g}" in said, name
        assert f"({entry['interval'][0]:.4g}, {entry['interval'][1]:.4g})" in said
    answers = artefact["plan"]["answers"]
    for name, entry in answers.items():
        assert f"{entry['value']:.4g}" in said, name
    assert artefact["plan"]["lines"][0] in said
    assert f"{artefact['certificate']['f']:.8g}" in said
    for status in (artefact["verdicts"][name]["status"] for name in ("loss", "allocation")):
        assert status in said
    runs = artefact["next_runs"]
    assert all(f"{value:.4g}" in said for run in runs["runs"] for value in run.values())
    assert f"{runs['shrinkage']:.2f}" in said
    assert 'id="profile-ratio"' in source
    for row in (*artefact["sensitivity"], *artefact["laws"]):
        numbers = [v for v in row.values() if isinstance(v, float)]
        assert all(f"{value:.4g}" in said for value in numbers), row
    assert source.count("<svg") >= 8
    ids = re.findall(r'\bid="([^"]+)"', source)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("law", ["chinchilla", "synthetic-share"])
def test_pictures_are_those_of_the_artefact(law, page):
    """Drawn again from the artefact's numbers every picture is the page's, to the letter."""
    source = page[0].read_text(encoding="utf-8")
    if law != "chinchilla":
        source = report.page(simulator.fit(table_of(law, seed=1)[0], law, holdout="none"), {})
    artefact = json.loads(re.search(r'id="artefact">(.*?)</script>', source, re.DOTALL)[1])
    drawn = charts.charts(dict(_numbers(artefact["curves"])))
    assert len(drawn) == source.count("<figure")
    assert all(one["svg"] in source and one["caption"] in html.unescape(source) for one in drawn)
    shown = [one["name"] for one in drawn]
    assert ("exchange-rate" in shown) == (law == "synthetic-share")
    moved = artefact["curves"]["residuals-tokens"]["runs"]["percent"]
    moved[0] += 1.0  # another number is another picture
    again = charts.charts({"residuals-tokens": artefact["curves"]["residuals-tokens"]})
    assert again[0]["svg"] not in source


def browse(*flags):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    return subprocess.run(
        [*command, "--v=0", *flags], capture_output=True, text=True, timeout=100, check=True
    )


@BROWSER
def test_a_browser_renders_it_without_an_error(page, tmp_path):
    path, _ = page
    found = browse("--window-size=1200,900", "--dump-dom", path.as_uri())
    assert "CONSOLE" not in found.stderr
    assert 'id="frontier"' in found.stdout
    printed = tmp_path / "report.pdf"
    browse(f"--print-to-pdf={printed}", path.as_uri())
    assert printed.read_bytes()[:4] == b"%PDF"


@BROWSER
def test_it_is_readable_on_a_phone(page, tmp_path):
    """Nothing is wider than the screen, and no text of a picture is smaller than eight pixels."""
    path, _ = page
    probe = """<!doctype html><iframe id=f width=375 height=800 style="border:0"></iframe>
<pre id=out></pre><script>const f = document.getElementById("f"); f.srcdoc = ATOB;
f.onload = () => { const d = f.contentDocument; const sizes = [...d.querySelectorAll("svg text")]
.map(t => { const m = t.getScreenCTM();
return parseFloat(f.contentWindow.getComputedStyle(t).fontSize) * Math.hypot(m.a, m.b); });
document.getElementById("out").textContent = "RESULT " + JSON.stringify(
{width: d.documentElement.scrollWidth, text: Math.min(...sizes)}) + " END"; };</script>"""
    quoted = json.dumps(path.read_text(encoding="utf-8")).replace("</", "<\\/")
    wrapper = tmp_path / "phone.html"
    wrapper.write_text(probe.replace("ATOB", quoted), encoding="utf-8")
    found = browse("--virtual-time-budget=5000", "--dump-dom", wrapper.as_uri()).stdout
    measured = json.loads(re.search(r"RESULT (.*?) END</pre>", found)[1])
    assert measured["width"] <= 375
    assert measured["text"] >= 8


# --------------------------------------------------------------------------------------------
# Commands
# --------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("default:losses.csv is not the file")
def test_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame(simulated(seed=4))
    table.to_csv("losses.csv", index=False)
    assert main(["fit", "losses.csv", "--save", "fit.json", "--out", "r.html"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("chinchilla: L = E + A N^-alpha + B D^-beta")
    assert "8 of 8 starts agree" in printed
    fit = simulator.load_fit("fit.json")
    assert fit.table.source == "losses.csv"
    assert (tmp_path / "r.html").stat().st_size > 1e5
    assert main(["plan", "fit.json", "--flop", "1e21"]) == 0
    assert capsys.readouterr().out.startswith("at 1e+21 FLOP train")
    assert main(["plan", "fit.json", "--loss", "2.6", "--tokens", "3e10", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["answers"]["params"]["value"] == float(fit.plan(loss=2.6, tokens=3e10).params)
    assert main(["plan", "fit.json", "--next", "--budget", "1e21", "--max-runs", "2"]) == 0
    assert "next runs for the ratio" in capsys.readouterr().out
    table.assign(loss=table.loss * 2).to_csv("losses.csv", index=False)
    assert main(["plan", "fit.json", "--flop", "1e21", "--table", "losses.csv"]) == 0
    assert "losses.csv is not the file that was fitted" in capsys.readouterr().err


@pytest.mark.slow  # a law whose second derivatives are compiled
def test_repeated_tokens_in_a_parquet_file(tmp_path, capsys, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    columns, truth = table_of("data-constrained", seed=1)
    table = pd.DataFrame(columns)
    table["epochs"] = table.tokens / table.pop("unique_tokens")
    table.to_parquet("runs.parquet")
    given = ["--law", "data-constrained", "--holdout", "none", "--save", "fit.json"]
    assert main(["fit", "runs.parquet", *given]) == 0
    fit = simulator.load_fit("fit.json")
    low, high = fit.parameters["R_D"].interval
    assert low < truth["R_D"] < high
    capsys.readouterr()
    assert main(["plan", "fit.json", "--flop", "1e21", "--unique-tokens", "1e10"]) == 0
    assert capsys.readouterr().out.startswith("with 1e+10 unique tokens 1e+21 FLOP train 2.4")
    assert main(["plan", "fit.json", "--flop", "1e21", "--loss", "2.4"]) == 0
    assert capsys.readouterr().out.startswith("smallest unique_tokens for a loss of 2.4: 6.8")


def test_groups_and_refusals_of_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = [pd.DataFrame(simulated(seed=s)).assign(data=f"d{s}") for s in range(2)]
    pd.concat(parts).to_csv("t.csv", index=False)
    assert main(["fit", "t.csv", "--by", "data", "--save", "f.json", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"d0", "d1"}
    assert (tmp_path / "f-d0.json").exists()
    assert main(["fit", "none.csv"]) == 2
    assert "none.csv: no such file" in capsys.readouterr().err
    parts[0].assign(tokens=3.0).to_csv("bad.csv", index=False)
    assert main(["fit", "bad.csv"]) == 2
    assert "E-UNIT tokens, row 1: 3 looks like billions" in capsys.readouterr().err
    assert main(["plan", "f-d0.json"]) == 2
    assert "a plan needs a question" in capsys.readouterr().err
    assert main(["plan", "f-d0.json", "--next"]) == 2
    assert "--next needs --budget" in capsys.readouterr().err


def test_groups_have_files_of_their_own(tmp_path, monkeypatch):
    """Names of groups may hold what a path may not."""
    monkeypatch.chdir(tmp_path)
    names = ("web/en", "web_en", "../up")
    parts = [pd.DataFrame(simulated(seed=s)).assign(data=n) for s, n in enumerate(names)]
    pd.concat(parts).to_csv("t.csv", index=False)
    assert main(["fit", "t.csv", "--by", "data", "--holdout", "none", "--save", "f.json"]) == 0
    fits = {path.name: simulator.load_fit(path) for path in tmp_path.glob("f*.json")}
    assert set(fits) == {"f-.._up.json", "f-web_en.json", "f-web_en-3.json"}
    assert len({fit.constants["alpha"] for fit in fits.values()}) == 3


def test_the_command_knows_what_the_planner_knows():
    assert verbs_fit.LAWS == LAWS
    assert tuple(name.replace("-", "_") for name in verbs_plan.QUESTIONS) == QUESTIONS
    accepted = set(inspect.signature(simulator.fit).parameters) - {"table", "columns"}
    assert set(verbs_fit.ARGUMENTS) == accepted


def test_a_law_that_does_not_extrapolate_is_exit_code_one(tmp_path, capsys, monkeypatch):
    """Losses that stop falling above a budget: the largest runs disagree."""
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame(simulated(seed=2, noise=0.002, budgets=6))
    large = table.params * table.tokens > 1e19
    assert 0 < large.sum() < 12
    table.loc[large, "loss"] *= 1.06
    table.to_csv("t.csv", index=False)
    assert main(["fit", "t.csv"]) == 1
    assert "loss DISAGREES with the largest budgets" in capsys.readouterr().out
