"""The site of these pages, by Sphinx: `make site`.

Pages stay plain Markdown; the contents at the side and a reference from docstrings are added here.
Every warning is an error, links to a page or heading that is not there among them, and so is a page
that would load anything from elsewhere.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

import hearsight

project = "hearsight"
author = "the hearsight developers"
release = version = hearsight.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"hearsight {release}"
html_copy_source = False
html_show_sphinx = False
exclude_patterns = ["site"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page may begin its headings where it likes
autodoc_typehints = "signature"
default_role = "code"  # of what stands in single backticks in docstrings
autodoc_member_order = "bysource"

CONTENTS = {
    "Use": (
        "command",
        "api",
        "localise",
        "library",
        "scale",
        "retrieval",
        "export-models",
        "serve",
        "container",
        "exports",
        "reference",
    ),
    "Research": (
        *("training", "evaluation", "compare", "ablation", "results", "data-honesty"),
        *("ssl-tie", "methods/*"),
    ),
    "Parts": ("clips", "scenes", "media", "spectrograms", "augmentation", "checkpoints"),
    "About": ("*",),  # whatever is left
}
"""The pages in the contents, by group."""

REFERENCE = """# Reference

From the docstrings of [the public face](api.md).

"""
ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe|audio|video|source|link\s[^>]*?rel="(?:stylesheet|icon|preload)")"""
    r"""[^>]*?\s(?:src|href)=["'](?:https?:)?//|@import|url\(\s*["']?(?:https?:)?//"""
)
"""What makes a browser ask another machine."""


OUTSIDE = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+(?:src|tests|benchmarks)/[^)#]+\.md)[^)]*\)")


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Add the contents to the index; on every page, Markdown of other folders is downloaded."""
    source[0] = OUTSIDE.sub(r"{download}`\1 <\2>`", source[0])
    if name == "index":
        for title, pages in CONTENTS.items():
            listed = "\n".join(pages)
            source[0] += (
                f"\n\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {title}\n\n{listed}\n```\n"
            )


def write_reference(app: Sphinx) -> None:
    """Write the page that autodoc fills, a section for each public name."""
    sections = []
    for name in hearsight.__all__:
        value = getattr(hearsight, name)
        if name.startswith("__"):
            continue
        directive, options = "autofunction", ""
        if isinstance(value, type):
            directive, options = "autoclass", "   :members:\n"
            if issubclass(value, Exception):
                directive = "autoexception"
        entry = f".. {directive}:: {value.__module__}.{name}\n{options}"
        sections.append(f"## {name}\n\n```{{eval-rst}}\n{entry}```\n")
    page = Path(app.srcdir) / "reference.md"
    page.write_text(REFERENCE + "\n".join(sections), encoding="utf-8")


def remove_reference(app: Sphinx, error: Exception | None) -> None:
    """Remove that page: it is made anew by every build."""
    (Path(app.srcdir) / "reference.md").unlink(missing_ok=True)


def check_pages(app: Sphinx, error: Exception | None) -> None:
    """Refuse a site that loads anything from elsewhere."""
    if error is not None:
        return
    for file in sorted(Path(app.outdir).rglob("*.*")):
        if file.suffix in (".html", ".css"):
            found = ELSEWHERE.search(file.read_text(encoding="utf-8"))
            if found:
                raise ExtensionError(f"{file} loads something from elsewhere: {found[0]}")


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("builder-inited", write_reference)
    app.connect("source-read", add_contents)
    app.connect("build-finished", remove_reference)
    app.connect("build-finished", check_pages)
