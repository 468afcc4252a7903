"""The paper's Figure 3: in-distribution images whose probability is dispersed among look-alikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scaling_ood.report.palette import CYCLE, GUIDE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#1b1f24"
_MUTED = "#5b6470"
_TRACK = "#eef1f4"
_CHANNELS = 3
_LONGEST_NAME = 24


@dataclass(frozen=True, eq=False)
class Example:
    """One in-distribution image and what the classifier made of it.

    Attributes:
        image: Pixels as the eye sees them, `(H, W, 3)`, uint8.
        true_class: Name of its class.
        top_probabilities: Classes with the highest softmax probabilities, highest first: name and probability.
        top_logits: Classes with the highest logits, highest first: name and logit.
        rank: How low its top probability is among the test images, such as `lowest 2 % of MSP`.
        groups: Class to its family; look-alikes of one family are drawn in one colour.

    Raises:
        ValueError: The image is no `(H, W, 3)` array of uint8, or there are no classes.
    """

    image: NDArray[np.uint8]
    true_class: str
    top_probabilities: Sequence[tuple[str, float]]
    top_logits: Sequence[tuple[str, float]]
    rank: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an image that cannot be shown."""
        if self.image.ndim != _CHANNELS or self.image.shape[2] != _CHANNELS or self.image.dtype != np.uint8:
            raise ValueError(f"An image must be (H, W, 3) uint8, got {self.image.shape} {self.image.dtype}.")
        if not self.top_probabilities or not self.top_logits:
            raise ValueError(f"The example of class {self.true_class!r} has no top probabilities or logits.")


def dispersal_figure(examples: Sequence[Example]) -> Figure:
    """Low-MSP images, each beside its top softmax probabilities and its top logits.

    Args:
        examples: One per row, at least one.

    Returns:
        A figure for print and screen, 7.6 inches wide, on white.

    Raises:
        ValueError: There are no examples.
    """
    if not examples:
        raise ValueError("A figure of dispersed probabilities needs at least one example, got none.")
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(7.6, 0.3 + 1.6 * len(examples)), facecolor="white")
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.08, wspace=0.02, hspace=0.02))
    grid = figure.subplots(len(examples), 3, width_ratios=[1.0, 1.25, 1.25], squeeze=False)
    for row, example in zip(grid, examples, strict=True):
        colours = _family_colours(example)
        same_order = [name for name, _ in example.top_logits] == [name for name, _ in example.top_probabilities]
        _show_image(row[0], example)
        _show_bars(row[1], example, example.top_probabilities, colours, "{:.0%}")
        _show_bars(row[2], example, example.top_logits, colours, "{:.1f}", names_shown=not same_order)
        _name_families(row[2], example, colours)
        row[1].barh(range(len(example.top_probabilities)), 1, height=0.7, color=_TRACK, zorder=0)
        row[1].set_xlim(0, 1.02)
        values = [0.0, *(value for _, value in example.top_logits)]
        row[2].set_xlim(min(values), max(values) + 0.2 * (max(values) - min(values)))
    for axes, title in ((grid[0, 1], "softmax probability"), (grid[0, 2], "logit")):
        axes.set_title(title, fontsize=9, color=_INK, loc="left", fontweight="bold")
    return figure


def _family_colours(example: Example) -> dict[str, str]:
    """Colour of each class shown: one per family, the true class's family first; without families one for all."""
    shown = [example.true_class, *(name for name, _ in [*example.top_probabilities, *example.top_logits])]
    if not example.groups:
        return {name: CYCLE[0] if name == example.true_class else GUIDE for name in shown}
    families = list(dict.fromkeys(example.groups.get(name, name) for name in shown))
    return {name: CYCLE[families.index(example.groups.get(name, name)) % len(CYCLE)] for name in shown}


def _show_image(axes: Axes, example: Example) -> None:
    """The photograph between its true class and its top probability."""
    smooth = "none" if min(example.image.shape[:2]) > 200 else "lanczos"  # noqa: PLR2004 - enlarged pixels distract
    axes.imshow(example.image, interpolation=smooth)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=GUIDE, linewidth=0.5)
    top = example.top_probabilities[0][1]
    rank = f" ({example.rank})" if example.rank else ""
    axes.set_title(_fit(example.true_class), fontsize=8.5, color=_INK, fontweight="bold", pad=4)
    axes.set_xlabel(f"MSP {top:.1%}{rank}", fontsize=7.5, color=_MUTED, labelpad=4)


def _show_bars(
    axes: Axes,
    example: Example,
    bars: Sequence[tuple[str, float]],
    colours: Mapping[str, str],
    form: str,
    *,
    names_shown: bool = True,
) -> None:
    """Classes from top to bottom with their values at the ends; the true class in bold."""
    names, values = [name for name, _ in bars], [value for _, value in bars]
    places = np.arange(len(bars))
    drawn = axes.barh(places, values, height=0.7, color=[colours[name] for name in names])
    axes.bar_label(drawn, [form.format(value) for value in values], padding=3, fontsize=7.5, color=_INK)
    axes.axvline(0, color=GUIDE, linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.set_yticks(places, [_fit(name) for name in names] if names_shown else [""] * len(bars))
    axes.tick_params(axis="y", length=0, labelsize=8, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    for name, label in zip(names, axes.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if name == example.true_class else "normal")


def _name_families(axes: Axes, example: Example, colours: Mapping[str, str]) -> None:
    """Families to the right of the logits, in the colour of their bars."""
    for place, (name, _) in enumerate(example.top_logits):
        if name in example.groups:
            axes.text(
                1.02, place, _fit(example.groups[name]), transform=axes.get_yaxis_transform(), va="center",
                fontsize=7.5, color=colours[name],
            )  # fmt: skip


def _fit(name: str) -> str:
    """A name short enough for a label; `$` would start a formula."""
    short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    return short.replace("_", " ").replace("$", r"\$")
