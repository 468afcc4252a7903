"""Local outlier factor (Breunig et al. 2000; the paper, section 4): is it lonelier than its neighbours are?"""

from __future__ import annotations

from typing import Any, Literal

from scaling_ood.detectors.base import detector
from scaling_ood.detectors.novelty import NoveltyDetector


@detector
class LocalOutlierFactor(NoveltyDetector):
    """Density around the nearest fit images over the density around the image; about 1 is normal.

    Fitting compares all fit images with each other: 103 to 108 s of processor time for 40,504 x 1,000 features (one
    thread, 20 neighbours, in a process of 1.0 GB at its peak), growing with the square of their number. Scoring
    compares each image with all of them: 2.7 s for 1,000 images. scikit-learn takes all cores unless `OMP_NUM_THREADS`
    says fewer.
    """

    def __init__(self, on: Literal["features", "logits"] = "features", neighbours: int = 20) -> None:
        """Set what describes an image, and how many neighbours it is compared with.

        Args:
            on: Penultimate `"features"`, as the paper says, or `"logits"`, as its released code did.
            neighbours: At least 1; there must be more fit images than that.
        """
        if not (isinstance(neighbours, int) and neighbours >= 1):
            raise ValueError(f"neighbours must be an integer of at least 1, not {neighbours!r}")
        super().__init__(on, fewest_images=neighbours + 1)
        self.neighbours = neighbours

    def new_estimator(self) -> Any:
        """scikit-learn's estimator for unseen images; it takes a while to import."""
        from sklearn.neighbors import LocalOutlierFactor as Factor

        return Factor(n_neighbors=self.neighbours, novelty=True)
