"""Speed and exactness of the pixel metrics on one frame, beside the three scikit-learn calls.

Run: `python benchmarks/pixel_metrics.py`. A frame is 720 x 1280 pixels, 0.83 % of them anomalous (the mean of
BDD-Anomaly). "logit" scores are spread out; "saturated" ones are softmax probabilities crowded at -1, the hard case,
because nearly all pixels lie among the anomalous ones. FPR is compared under the "first" rule, which scikit-learn can
express.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from timing import best_seconds, table

from scaling_ood.metrics import detection_metrics

FRAME = (720, 1280)
BASE_RATE = 0.0083
ROUNDS = 7


def ours(score: NDArray[np.floating], is_ood: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Measure with this package."""
    return detection_metrics(score, is_ood, fpr_rule="first")


def theirs(score: NDArray[np.floating], is_ood: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Measure with scikit-learn."""
    score, is_ood = score.ravel(), is_ood.ravel()
    fpr, tpr, _ = roc_curve(is_ood, score, drop_intermediate=False)
    at_recall = float(fpr[np.argmax(tpr >= 0.95)])
    return roc_auc_score(is_ood, score), average_precision_score(is_ood, score), at_recall


def frames() -> dict[str, tuple[NDArray[np.floating], NDArray[np.bool_]]]:
    """Fabricate the frames, by name."""
    rng = np.random.default_rng(0)
    is_ood = rng.random(FRAME) < BASE_RATE
    logit = -np.abs(12 + 4 * rng.normal(size=FRAME) - 4 * is_ood)
    saturated = -1 / (1 + np.exp(-(7 + 4 * rng.normal(size=FRAME) - 3 * is_ood)))
    return {
        f"{name} {np.dtype(precision)}": (score.astype(precision), is_ood)
        for name, score in (("logit", logit), ("saturated", saturated))
        for precision in (np.float32, np.float64)
    }


def main() -> None:
    """Print one row per frame."""
    rows = []
    for name, (score, is_ood) in frames().items():
        difference = np.abs(np.subtract(ours(score, is_ood), theirs(score, is_ood))).max()
        slow = best_seconds(lambda score=score, is_ood=is_ood: theirs(score, is_ood), ROUNDS)
        fast = best_seconds(lambda score=score, is_ood=is_ood: ours(score, is_ood), ROUNDS)
        rows.append([name, f"{slow:.4f} s", f"{fast:.4f} s", f"{slow / fast:.1f}x", f"{difference:.1e}"])
    print(f"AUROC, AUPR and FPR95 of one frame of {FRAME[0]} x {FRAME[1]} pixels, {BASE_RATE:.2%} of them anomalous")
    print(table(["scores", "scikit-learn", "scaling-ood", "faster", "largest difference"], rows), end="\n\n")


if __name__ == "__main__":
    main()
