"""The site's pages are written for GitHub too; this is what mkdocs must know of them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
BESIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages of the site that lie outside its folder."""

TABLES = "<!-- The tables. -->"
"""What the page of parameters has where its tables are put."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie beside the folder."""
    for name, place in BESIDE.items():
        files.append(File.generated(config, place, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make links lead where pages lie in the site, and lists what they are on GitHub; put in what is made here."""
    if TABLES in markdown:
        page.meta["hide"] = ["navigation"]  # tables are wide
        markdown = markdown.replace(TABLES, _parameter_tables())
    if page.parent is None:  # a tab of one page
        page.meta["hide"] = ["navigation"]
    for name, place in BESIDE.items():
        markdown = re.sub(rf"\]\((\.\./)?{re.escape(name)}", f"]({place}", markdown)
    return with_deeper_lists(markdown.replace("](docs/", "]("))


def _parameter_tables() -> str:
    """The tables of `parameter_tables.py`, which lies beside this file; mkdocs imports hooks alone."""
    specification = importlib.util.spec_from_file_location("parameter_tables", ROOT / "docs" / "parameter_tables.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return str(module.page())


def with_deeper_lists(markdown: str) -> str:
    """What belongs to a numbered line is indented by three spaces on GitHub; here by four, up to an empty line."""
    lines: list[str] = []
    inside = False
    for line in markdown.split("\n"):
        if line and not line.startswith(" "):
            numbered = bool(re.match(r"\d+\. ", line))
            if inside and numbered and lines[-1]:
                lines.append("")
            inside = numbered
        lines.append(f" {line}" if inside and line.startswith("   ") else line)
    return "\n".join(lines)
