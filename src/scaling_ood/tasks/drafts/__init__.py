"""Parameters of a new benchmark, as commented YAML, from what lies in a person's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


class DraftError(ValueError):
    """A folder of which no benchmark can be made, or not without being told more."""


def flow(value: Any) -> str:
    """A value as YAML in one line.

    >>> flow({"split": "val", "share": 0.5})
    '{split: val, share: 0.5}'
    """
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def section(name: str, entries: Mapping[str, Any], comment: str = "", indent: int = 0) -> list[str]:
    """A mapping, an entry a line, below its name.

    >>> section("data", {"in_dist": "birds", "test": {"split": "val"}}, "Which images.", 2)
    ['  # Which images.', '  data:', '    in_dist: birds', '    test: {split: val}']
    """
    head = [f"# {comment}"] if comment else []
    lines = [*head, f"{name}:", *(f"  {key}: {flow(value)}" for key, value in entries.items())]
    return [" " * indent + line for line in lines]
