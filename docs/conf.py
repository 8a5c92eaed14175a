"""Sphinx's settings for the site. tools/build_site.py copies this file beside the pages that it makes."""

import re
from importlib import import_module
from pathlib import Path

import ragedu

# Loaded once, before Sphinx divides its work among processes that would each load them again.
for page in sorted(Path(__file__).parent.glob("reference/ragedu.*.rst")):
    import_module(page.stem)

project = "ragedu"
author = "The ragedu authors"
copyright = "The ragedu authors: code Apache-2.0, text CC BY 4.0"
release = version = ragedu.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["originals", "files", "README.md"]

# Notebooks: nothing is run.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["mystnb.unknown_mime_type"]

# Docstrings: numpydoc's sections; `name` in single backticks is code, with a link where the name is known.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Mathematics from a file that comes along, without the menu, whose parts would be loaded from elsewhere.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}

html_theme = "furo"
html_title = f"ragedu {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js", "bm25.js"]
html_copy_source = False
html_show_search_summary = False  # it would be fetched, which browsers refuse to pages from disk
html_show_sphinx = False
html_permalinks_icon = "#"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_exclude = ".linenos, .gp, .go"


PLAIN_WORD = re.compile(r"(?<![`:\w])`([a-z]\w?|[a-z]+)`(?![`_])")


def as_written(app, what, name, object, options, lines):
    """Docstrings as we write them, made reStructuredText.

    |d| is a length and <|im_end|> a token, and bars would be a substitution. `name` is an argument, and not a link to
    some attribute of this name.
    """
    for number, line in enumerate(lines):
        line = line if "``" in line else line.replace("|", "\\|")
        lines[number] = PLAIN_WORD.sub(r"``\1``", line)


def without_aliases(app, what, name, object, skip, options):
    """The fields of a named tuple describe themselves as "Alias for field number 0": the class describes them."""
    return True if type(object).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("autodoc-skip-member", without_aliases)
    app.connect("autodoc-process-docstring", as_written)
