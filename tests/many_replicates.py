"""Is a right theory still accepted at very many replicates? ``python -m tests.many_replicates``.

Every cell that ``simulator check STUDY`` runs, each along its ladder, is judged again whenever its
replicates have grown fourfold, from 1,024 to 1,048,576, as long as a stage takes no more than
``--seconds``. The largest ``|z|`` of all comparisons is printed at each stage, beside the threshold
of this one cell; the last stages are kept in ``build/many_replicates.json`` (``--table`` shows them
as Markdown).
"""

import argparse
import json
import math
import time

import jax

from simulator.registry import get
from simulator.verdict.check import gather, judge, least_noisy
from tests.mutated import ROOT
from tests.studies.battery import WITH_BOTH

FOUND = ROOT / "build" / "many_replicates.json"
FIRST, GROWTH, LAST = 2**10, 4, 2**20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.many_replicates", description=__doc__)
    parser.add_argument("study", nargs="*", help="all of them unless given")
    parser.add_argument("--seconds", type=float, default=60, help="for a stage of a cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="show what was found, and stop")
    given = parser.parse_args()
    if given.table:
        table()
        return
    for name in given.study or WITH_BOTH:
        study = get(name)
        keep(name, [climb(study, cell, given) for cell in study.check_cells])
        jax.clear_caches()  # a process may not map the programs of all studies


def climb(study, cell, given):
    """The stages of one cell, up to the last that its time allows."""
    evidence = gather(
        study,
        [study.canonical(cell)],
        replicates=FIRST,
        seed=given.seed,
        method=least_noisy(study),
        tolerance=study.tolerance,
    )
    replicates, took = FIRST, 0.0
    while True:
        stage = summary(judge(study, evidence, tolerance=study.tolerance), replicates)
        print(f"{study.name} {dict(cell)}: {stage}", flush=True)
        if replicates == LAST or took * GROWTH > given.seconds:
            return stage
        replicates *= GROWTH
        begun = time.monotonic()
        evidence.run.extend(replicates)
        took = time.monotonic() - begun


def summary(verdict, replicates):
    worst = max(
        (c for c in verdict.comparisons if not math.isnan(c.z)),
        key=lambda c: abs(c.z),
        default=None,
    )
    rejected = sorted({c.output for c in verdict.comparisons if c.status == "disagrees"})
    seen = [
        c.resolution
        for c in verdict.comparisons
        if math.isfinite(c.resolution) and c.output != "controls"
    ]
    return {
        "replicates": replicates,
        "comparisons": len(verdict.comparisons),
        "z": None if worst is None else worst.z,
        "output": None if worst is None else worst.output,
        "threshold": verdict.threshold,
        "finest": min(seen, default=None),
        "coarsest": max(seen, default=None),
        "rejected": rejected,
    }


def keep(name, stages):
    FOUND.parent.mkdir(exist_ok=True)
    found = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    FOUND.write_text(json.dumps(found | {name: stages}, indent=1))


def table():
    print("| study | replicates | comparisons | largest z | resolution | rejected |")
    print("|---|---|---|---|---|---|")
    for name, stages in sorted(json.loads(FOUND.read_text()).items()):
        numbers = sorted({stage["replicates"] for stage in stages})
        many = f"{numbers[0]:,}" + (f" to {numbers[-1]:,}" if numbers[1:] else "")
        scores = [stage["z"] for stage in stages if stage["z"] is not None]
        seen = [s[end] for s in stages for end in ("finest", "coarsest") if s[end] is not None]
        rejected = ", ".join(sorted({output for s in stages for output in s["rejected"]})) or "-"
        print(
            f"| {name} | {many} | {sum(s['comparisons'] for s in stages)} "
            f"| {max(scores, key=abs, default=math.nan):+.1f} "
            f"| {min(seen, default=math.nan):.2g} to {max(seen, default=math.nan):.2g} "
            f"| {rejected} |"
        )


if __name__ == "__main__":
    main()
