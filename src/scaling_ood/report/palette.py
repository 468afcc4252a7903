"""Colours of all figures: mid tones that read on white and on black, and apart for the colour-blind."""

from __future__ import annotations

CYCLE = ("#3b82c4", "#e08e0b", "#1f9e77", "#c4588f", "#d1543a", "#7a6cc8", "#4aa8c0", "#8f7a3e")
"""For detectors and for families of classes, in their order."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
"""Tell lines apart when there are more of them than colours."""

IN_DIST = "#6b7f99"
OOD = "#e0682f"
GUIDE = "#8a919c"
"""Reference lines and secondary text."""


def line_style(index: int) -> dict[str, str]:
    """Colour and dash of the n-th line, distinct for the first forty.

    >>> line_style(0), line_style(8)["dash"]
    ({'color': '#3b82c4', 'dash': 'solid'}, 'dash')
    """
    dash = DASHES[index // len(CYCLE) % len(DASHES)]
    return {"color": CYCLE[index % len(CYCLE)], "dash": dash}
