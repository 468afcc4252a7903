"""Figures as parts of a page that loads nothing."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import plotly.graph_objects as go
import plotly.io
from markupsafe import Markup
from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Illustration:
    """A Plotly or Matplotlib figure and the sentence under it."""

    figure: Any
    caption: str = ""


@dataclass(frozen=True)
class Embedded:
    """A figure ready for the page.

    Attributes:
        title: Its heading.
        caption: Its text.
        anchor: Its id on the page.
        data: JSON of an interactive figure, safe inside a script element; empty for an image.
        image: A `data:` address of an image; empty for an interactive figure.
        height: Height of an interactive figure in pixels.
        min_width: Width below which the page scrolls the figure instead of squeezing it, in pixels.
    """

    title: str
    caption: str
    anchor: str
    data: str = ""
    image: str = ""
    height: int = 0
    min_width: int = 0


def embed(title: str, illustration: Illustration, anchor: str) -> Embedded:
    """Turn a figure into text.

    Raises:
        TypeError: It is neither a Plotly nor a Matplotlib figure.
    """
    figure = illustration.figure
    if isinstance(figure, go.Figure):
        meta = figure.layout.meta if isinstance(figure.layout.meta, dict) else {}
        return Embedded(
            title,
            illustration.caption,
            anchor,
            data=_inert(plotly.io.to_json(figure)),
            height=int(figure.layout.height or 450),
            min_width=int(meta.get("min_width", 320)),
        )
    if isinstance(figure, Figure):
        return Embedded(title, illustration.caption, anchor, image=_svg_address(figure), min_width=560)
    raise TypeError(f"The figure {title!r} must be a Plotly or a Matplotlib figure, got {type(figure).__name__}.")


def _inert(json: str) -> Markup:
    """JSON in which no character can end the script element around it, so that escaping it is not needed."""
    for character in "<>&":
        json = json.replace(character, f"\\u{ord(character):04x}")
    return Markup(json)


def _svg_address(figure: Figure) -> str:
    """The figure as an SVG in a `data:` address; the same figure gives the same text."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "scaling-ood"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
