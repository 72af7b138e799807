"""Sphinx's configuration: ``sphinx-build -W -b html docs build/site`` (extra ``docs``)."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from pennylane_qstore import __version__
from pennylane_qstore.cli.main import app as qstore

# Sphinx reads its own folder only.
for notebook in (Path(__file__).parents[1] / "tutorials").glob("*.ipynb"):
    copy = Path(__file__).parent / "tutorials" / notebook.name
    if not copy.exists() or copy.stat().st_mtime != notebook.stat().st_mtime:
        copy.parent.mkdir(exist_ok=True)
        shutil.copy2(notebook, copy)

project = "pennylane-qstore"
author = "The pennylane-qstore team"
copyright = author  # noqa: A001 - Sphinx's name
release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_llm.txt",
]
exclude_patterns = ["_build"]

suppress_warnings = [
    "myst.header",  # PennyLane's form of a changelog leaves a level out
    "ref.python",  # attributes of several classes have one name
]
nb_execution_mode = "off"  # the suite `notebook` runs them
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_allow_digits = myst_dmath_allow_space = False  # dollars are money

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give types, shapes and units
autosummary_imported_members = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div:not(.highlight-output) > div.highlight > pre"

llms_txt_suffix_mode = "replace"
llms_txt_full_build = True
llms_txt_description = (
    "A PennyLane device for IonQ's computers: one request a training step, native-gate templates, "
    "no job lost or paid twice. An emulator of IonQ's service is part of the package."
)
llms_txt_suppress_unknown_node_warnings = True  # the star of keyword-only parameters


def add_command_line(app: Sphinx, docname: str, content: list[str]) -> None:
    """Put what ``--help`` shows of every command on the page ``cli``."""
    if docname == "cli":
        command = get_command(qstore)
        context = Context(command, info_name="qstore")
        text = get_docs_for_click(obj=command, ctx=context, name="qstore")
        content[0] += text.partition("\n")[2]  # the page has a title of its own


def setup(app: Sphinx) -> None:
    """Connect what is generated."""
    app.connect("source-read", add_command_line)
