"""Examples in docstrings, shown as code: griffe knows only those below a heading."""

from __future__ import annotations

from typing import Any

import griffe


class Doctests(griffe.Extension):
    """Puts a fence around each example."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change what will be shown; the source stays as it is."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """An example goes from its prompt to the next empty line."""
    return "\n\n".join(f"```pycon\n{part}\n```" if part.startswith(">>>") else part for part in docstring.split("\n\n"))
