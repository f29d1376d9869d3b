"""How Sphinx builds this folder (``make docs``): nothing comes from the network, and every warning is an error."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent / "src")]

import pullback  # noqa: E402 - from this checkout

project = "Pullback"
author = "the Pullback authors"
release = version = pullback.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "mathml",
    "config_group",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

autodoc_inherit_docstrings = False  # the libraries speak another dialect
autodoc_member_order = "bysource"  # a file is written in the order in which it is read
autodoc_default_options = {"members": True, "show-inheritance": True}
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"Pullback {release}"
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
