"""Figures as parts of a page that loads nothing."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import plotly.io
from markupsafe import Markup


@dataclass(frozen=True, eq=False)
class Illustration:
    """A Plotly or Matplotlib figure and the sentence under it.

    Raises:
        TypeError: It is neither.
    """

    figure: Any
    caption: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        from matplotlib.figure import Figure

        if not isinstance(self.figure, (go.Figure, Figure)):
            raise TypeError(f"A figure must be a Plotly or a Matplotlib figure, got {type(self.figure).__name__}.")

    @property
    def is_interactive(self) -> bool:
        """Whether Plotly draws it."""
        return isinstance(self.figure, go.Figure)

    @property
    def height(self) -> int:
        """Of an interactive figure, in pixels."""
        return int(self.figure.layout.height or 450)

    @property
    def min_width(self) -> int:
        """Width below which the page scrolls the figure instead of squeezing it, in pixels."""
        if not self.is_interactive:
            return 560
        meta = self.figure.layout.meta
        return int(meta.get("min_width", 320)) if isinstance(meta, dict) else 320

    @property
    def data(self) -> Markup:
        """JSON of an interactive figure; no character can end the script element around it, so it is not escaped."""
        json = plotly.io.to_json(self.figure)
        for character in "<>&":
            json = json.replace(character, f"\\u{ord(character):04x}")
        return Markup(json)

    @property
    def image(self) -> str:
        """Any other figure as an SVG in a `data:` address; the same figure gives the same text."""
        import matplotlib as mpl

        buffer = io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": "scaling-ood"}):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
