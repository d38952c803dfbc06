"""The files of a new study: a small one that is complete and right, to be replaced line by line.

Ordinary least squares: a theory, a simulation that judges it, a figure, reference values and wrong
theories. CONTRIBUTING prints the same files.
"""

from string import Template

MODULE = Template('''\
"""Ordinary least squares with Gaussian design.

Question. What does label noise cost?
Model. y = x·w + N(0, σ²), x ~ N(0, I_d), n samples, least squares.
Theory. E‖ŵ - w‖² = σ² d / (n - d - 1), exact for n >= d + 2. Reference: arXiv 1903.08560, sec. 3.
"""

import jax
import jax.numpy as jnp

$imports


@parameters
class Params:
    dim: int = static(100, at_least=2)
    num_samples: int = traced(400, at_least="dim + 2", static_in=("direct",))
    noise_std: float = traced(0.5, at_least=0)


def theory(params):
    """Exact (mean of an inverse Wishart matrix)."""
    d, n = params.dim, params.num_samples
    return {"test_error": params.noise_std**2 * d / (n - d - 1)}


def simulate_direct(key, params):
    """Draw inputs and noise, solve, measure; the true weights drop out."""
    key_inputs, key_noise = jax.random.split(key)
    inputs = jax.random.normal(key_inputs, (params.num_samples, params.dim), float)
    noise = params.noise_std * jax.random.normal(key_noise, (params.num_samples,), float)
    error = jnp.linalg.solve(inputs.T @ inputs, inputs.T @ noise)
    return {"test_error": jnp.sum(error**2)}


figures = {
    "samples": Figure(
        title="More samples help",
        x="num_samples",
        y=("test_error",),
        grid={"num_samples": [15, 20, 30, 60], "noise_std": [0.4, 0.8]},
        series="noise_std",
        params={"dim": 7},
    ),
}

STUDY = Study(
    name="$name",
    title="ordinary least squares",
    paper=$paper,
    params=Params,
    outputs=both(exact(), test_error="excess error"),
    theory=theory,
    simulate_direct=simulate_direct,
    figures=figures,
    check_cells=({"dim": 7, "num_samples": 24, "noise_std": 0.8},),
    tolerance=0.02,  # what a verdict must resolve; rare bad designs carry the mean
)
''')

PAPER = Template("""\
Paper(
$indent    "Surprises in High-Dimensional Ridgeless Least Squares Interpolation",
$indent    ("Trevor Hastie", "Andrea Montanari", "Saharon Rosset", "Ryan Tibshirani"),
$indent    year=2022,
$indent    venue="Annals of Statistics",
$indent    arxiv="1903.08560",
$indent)""")

TESTS = Template("""\
$imports

cases = [
    Case("by hand", {"dim": 10, "num_samples": 21, "noise_std": 0.5}, {"test_error": 0.25}),
    Case("no noise", {"dim": 10, "num_samples": 21, "noise_std": 0.0}, {"test_error": 0.0}),
]


def times(factor):
    return lambda p, outputs: {"test_error": outputs["test_error"] * factor(p)}


mutants = [
    Mutant("noise level not squared", after=times(lambda p: 1 / p.noise_std)),
    Mutant("fixed design", after=times(lambda p: (p.num_samples - p.dim - 1) / p.num_samples)),
    Mutant("infinitely many samples", after=times(lambda p: 1 - (p.dim + 1) / p.num_samples)),
    Mutant("no intercept of one", after=times(lambda p: 1 - 1 / (p.num_samples - p.dim))),
    Mutant("one sample too many", at=lambda p: {"num_samples": p.num_samples + 1}),
    Mutant("per dimension", after=times(lambda p: 1 / p.dim)),
]

TESTS = Tests(
    cases=cases,
    mutants=mutants,
    cells={"small": {"dim": 5, "num_samples": 13, "noise_std": 0.8}},
)
""")

CONTRACT = """

def test_contract():
    check_contract(STUDY, TESTS)
"""


def module(name: str, paper_module: str = "") -> str:
    """The module of the study ``name``; its paper is said in ``paper_module``, or in the module."""
    if paper_module:
        imports = [
            "from simulator.parameters import parameters, static, traced",
            f"from {paper_module} import PAPER",
            "from simulator.study import Figure, Study, both, exact",
        ]
        paper = "PAPER"
    else:
        imports = [
            "from simulator.paper import Paper",
            "from simulator.parameters import parameters, static, traced",
            "from simulator.study import Figure, Study, both, exact",
        ]
        paper = PAPER.substitute(indent="    ")
    return MODULE.substitute(name=name, imports="\n".join(imports), paper=paper)


def paper_folder(paper: str) -> str:
    """The ``__init__.py`` of a paper's folder: the paper, said once for all its studies."""
    return (
        f'"""{paper}: one line on what the paper asks."""\n\n'
        "from simulator.paper import Paper\n\n"
        f"PAPER = {PAPER.substitute(indent='')}\n"
    )


def family_folder(family: str) -> str:
    """The ``__init__.py`` of a family's folder."""
    return f'"""Studies of {family}."""\n'


def data_of_tests(study_module: str = "") -> str:
    """The test data; with ``study_module``, also the test of that module's study."""
    names = "Case, Mutant, Tests" + (", check_contract" if study_module else "")
    imports = f"from simulator.testing import {names}"
    if study_module:
        imports += f"\n\nfrom {study_module} import STUDY"
    return TESTS.substitute(imports=imports) + (CONTRACT if study_module else "")
