"""Parameters of a new benchmark, as commented YAML, from what lies in a person's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml


class DraftError(ValueError):
    """A folder of which no benchmark can be made, or not without being told more."""


@dataclass(frozen=True)
class Said:
    """What a person says of a folder where its shape does not.

    Attributes:
        in_dist: Name of the folder in it that is in-distribution.
        ood: Classes that are OOD, where they lie beside those that are not.
        anomalies: Ids of anomalous pixels.
    """

    in_dist: str = ""
    ood: tuple[str, ...] = ()
    anomalies: tuple[int, ...] = ()

    def only(self, *meant: str) -> None:
        """Make sure that nothing is said that means nothing in a setting.

        Raises:
            DraftError: Something is.
        """
        options = {"in_dist": "IN_DIST", "ood": "OOD", "anomalies": "ANOMALY"}
        given = [option for field, option in options.items() if getattr(self, field) and field not in meant]
        if given:
            raise DraftError(f"{', '.join(given)} means nothing in this setting")


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
