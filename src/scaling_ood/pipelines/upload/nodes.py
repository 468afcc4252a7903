"""The node of the upload."""

from __future__ import annotations

from collections.abc import Sequence


def send_runs(unsent: Sequence[str]) -> Sequence[str]:
    """Hand on what waits: the catalog sends what it is given."""
    return unsent
