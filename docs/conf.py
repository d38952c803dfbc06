"""Settings of Sphinx. The pages of the studies and the glossary are made first."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import pages  # noqa: E402 - Sphinx imports this file from elsewhere

import simulator  # noqa: E402 - likewise

project = "simulator"
copyright = "the simulator developers"
release = simulator.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "simulator"
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_typehints = "none"
nitpicky = False

pages.write(HERE)
