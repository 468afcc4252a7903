"""Where in a scene each detector sees something unfamiliar (the paper, Figures 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_SHARE = 0.1
"""Share of the pixels, those with the highest scores, that a map shows."""

_RED = np.array([214, 39, 40], np.float64)
_PANEL_INCHES = 2.6


@dataclass(frozen=True, eq=False)
class SceneExample:
    """One test scene.

    Attributes:
        name: Its id.
        image: (H, W, 3), uint8.
        truth: (H, W, 3), uint8: the label image in its colours.
        scores: Detector to its scores (H, W); higher = more anomalous.
    """

    name: str
    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    scores: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)


def top_mask(score: NDArray[np.floating], share: float = SHOWN_SHARE) -> NDArray[np.bool_]:
    """The pixels with the highest scores; ties at the border are all shown.

    >>> top_mask(np.array([[1.0, 4.0], [3.0, 2.0]]), share=0.5).tolist()
    [[False, True], [True, False]]
    """
    shown = max(1, round(share * score.size))
    return np.asarray(score >= np.partition(score.ravel(), score.size - shown)[score.size - shown])


def scene_figure(examples: Sequence[SceneExample]) -> Figure:
    """One row per scene: image, ground truth, and each detector's highest scores in red over the dimmed image."""
    detectors = list(examples[0].scores) if examples else []
    columns = ["image", "ground truth", *detectors]
    height, width = examples[0].image.shape[:2] if examples else (1, 1)
    size = (_PANEL_INCHES * len(columns), _PANEL_INCHES * max(1, len(examples)) * height / width + 0.4)
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(max(1, len(examples)), len(columns), squeeze=False)
    for row, example in zip(axes, examples, strict=False):
        panels = [example.image, example.truth, *(_overlay(example.image, example.scores[name]) for name in detectors)]
        for axis, panel in zip(row, panels, strict=True):
            axis.imshow(panel)
            axis.set_axis_off()
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def _overlay(image: NDArray[np.uint8], score: NDArray[np.floating]) -> NDArray[np.uint8]:
    grey = image.mean(axis=2, keepdims=True)
    dimmed = np.repeat(0.55 * grey + 110, 3, axis=2)
    low, high = np.quantile(score, 1 - SHOWN_SHARE), score.max()
    strength = np.clip((score - low) / max(high - low, np.finfo(np.float64).tiny), 0, 1)[..., None]
    weight = np.where(top_mask(score)[..., None], 0.45 + 0.55 * strength, 0)
    return np.asarray(np.clip((1 - weight) * dimmed + weight * _RED, 0, 255)).astype(np.uint8)
