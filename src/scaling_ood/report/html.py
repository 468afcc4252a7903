"""Pages that load nothing from anywhere; their tables are written by the macros of `table.html`."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from scaling_ood.report.table import opened


def page(template: str, **content: Any) -> str:
    """A template of this package, filled in: everything is escaped, and a name that is not given is an error.

    Args:
        template: Its file, relative to this package.
        content: What it shows.
    """
    environment = Environment(
        loader=PackageLoader("scaling_ood.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(opened=opened)
    return environment.get_template(template).render(**content)
