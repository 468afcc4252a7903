"""KL matching as one matrix product, beside scipy's entropy per pair of image and template.

Run: `python benchmarks/kl_matching.py`. scipy is called for the first images only; its time is scaled to all of them.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import entropy
from timing import best_seconds, table

from scaling_ood.detectors import Outputs, OutputsList, build_detector

CLASSES = 1000
IMAGES = 2000
PAIRED_IMAGES = 5


def posteriors(images: int, seed: int) -> torch.Tensor:
    """Logits of a confident classifier, (images, CLASSES): every class comes up equally often."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, CLASSES, generator=generator)
    logits[torch.arange(images), torch.arange(images) % CLASSES] += 12
    return logits


def main() -> None:
    """Print the two times, their ratio, and the largest difference of the scores."""
    fit, test = posteriors(10 * CLASSES, 0), posteriors(IMAGES, 1)
    detector = build_detector("kl_matching").fit(OutputsList([Outputs(fit)]))
    templates = detector.log_templates.exp().numpy()
    probabilities = test.double().softmax(dim=1).numpy()

    def per_pair() -> np.ndarray:
        return np.array([min(entropy(p, d) for d in templates) for p in probabilities[:PAIRED_IMAGES]])

    difference = np.abs(detector.score(Outputs(test[:PAIRED_IMAGES])).numpy() - per_pair()).max()
    slow = best_seconds(per_pair, 1) * IMAGES / PAIRED_IMAGES
    fast = best_seconds(lambda: detector.score(Outputs(test)))
    rows = [
        ["scipy.stats.entropy per pair", f"{slow:.1f} s (from {PAIRED_IMAGES} images)", ""],
        ["scaling-ood, matrix product", f"{fast:.3f} s", f"{slow / fast:,.0f}x"],
    ]
    print(f"KL matching: {IMAGES:,} images, {len(templates):,} templates of {CLASSES:,} classes, float64")
    print(table(["", "time", "faster"], rows))
    print(f"largest difference of the scores: {difference:.1e}\n")


if __name__ == "__main__":
    main()
