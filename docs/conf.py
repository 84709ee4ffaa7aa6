"""The site of the documentation: `make docs`. Sphinx with MyST and Furo; nothing in it is loaded from elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

import vidseg  # noqa: E402

project = "vidseg"
author = "the vidseg project"
version = release = vidseg.__version__
html_title = f"vidseg {release}"
html_theme = "furo"
html_copy_source = False
html_show_copyright = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "site_extension"]
myst_heading_anchors = 3
default_role = "code"  # docstrings write code in single backticks
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
templates_path: list[str] = []
exclude_patterns: list[str] = []
