"""No-reference image quality: how good is a photograph, judged by itself?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image

from scaling_ood.images.opening import read_rgb
from scaling_ood.optional import library
from scaling_ood.registry import Registry


@dataclass(frozen=True)
class QualityMeasure:
    """A measure and its direction.

    Attributes:
        name: By which it is asked for.
        worse: Which values are worse.
        score: Value of one RGB image; NaN where the measure is not defined.
    """

    name: str
    worse: Literal["higher", "lower"]
    score: Callable[[Image.Image], float]

    @property
    def best(self) -> float:
        """A value that no cutoff rejects."""
        return float("-inf") if self.worse == "higher" else float("inf")

    def rejects(self, value: float, cutoff: float) -> bool:
        """Whether a value is worse than the cutoff; an undefined one is."""
        return not (value <= cutoff if self.worse == "higher" else value >= cutoff)


def _brisque(image: Image.Image) -> float:
    """BRISQUE (Mittal, Moorthy, Bovik 2012) by the package piq: about 0 (good) to 100 (bad).

    It is not defined for an all black image, which piq refuses. The support vectors, trained on the
    LIVE database, are fetched by piq the first time.
    """
    piq = library("piq", "the quality measure brisque")
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float()  # (1, 3, H, W)
    try:
        return float(piq.brisque(pixels, data_range=255.0))
    except AssertionError:
        return float("nan")


QUALITY_MEASURES = Registry("quality measure", {"brisque": QualityMeasure("brisque", "higher", _brisque)})


def measure_quality(measure: QualityMeasure, paths: Sequence[str], workers: int) -> Iterator[float]:
    """Quality of many images, in their order; the best for one that cannot be read, which data preparation will say.

    Raises:
        MissingLibraryError: The measure needs a package that is not installed.
    """

    def score(path: str) -> float:
        try:
            return measure.score(read_rgb(path))
        except OSError:
            return measure.best

    with ThreadPoolExecutor(max(1, workers)) as pool:
        yield from pool.map(score, paths)
