"""One module per verb: its flags (`add_flags`) and what it does (`act`), side by side.

A module with ``STUDY_FLAGS = True`` has the parameters of the study named first among its flags.
"""

#: Every verb, its module, and what it is for.
VERBS = {
    "list": "the studies there are",
    "show": "model, formulas, parameters and outputs of a study",
    "predict": "theory at one point, or at several",
    "simulate": "Monte-Carlo at one point, or at several",
    "sweep": "theory and simulation on a grid",
    "status": "what a store holds and what it misses",
    "export": "write a store as one NetCDF file",
    "check": "does simulation agree with theory?",
    "optimise": "where is an output of the theory smallest?",
    "solve": "where does an output of the theory take a value?",
    "fit": "a scaling law from a table of your own runs",
    "plan": "what to train, from a fitted law, with intervals",
    "figure": "draw the figures of a study",
    "cite": "BibTeX of the package, and of a study's paper",
    "new": "write a new study and its test data, to start from",
    "doctor": "where a study breaks the contract, in words",
}
