"""How long the 95 % intervals take beside the point estimates, and how often they hold.

Run: `python benchmarks/intervals.py [SETS]`; without SETS only the time is measured. 1,000 SETS take about half an hour
on one core. Scores are normal, of distance `d` (and of standard deviation 2 on the OOD side in the lines "wide"),
continuous or rounded to one decimal, so that many tie. Scenes have normal pixel scores whose level differs from scene
to scene, and anomalies of very different size. The truth follows from the distributions, of scenes from 6,000 of them.
"""

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from timing import best_seconds, table

from scaling_ood.metrics import (
    DetectionEstimates,
    Interval,
    PerImageMean,
    PooledThresholds,
    bootstrap_replicates,
    detection_estimates,
    detection_metrics,
    mean_interval,
    mean_over_scenes,
    metric_intervals,
)

METRICS = ("auroc", "aupr", "fpr")
SIZES = ((50, 50), (200, 50), (50, 500), (1000, 200), (10_000, 1000))
SCENE_TRUTH = 6000


def truth(n_in: int, n_ood: int, distance: float, wide: float, decimals: int | None) -> NDArray[np.float64]:
    """AUROC, AUPR and FPR95 of endless images at this base rate."""
    step = 1e-4 if decimals is None else 10.0**-decimals
    grid = np.arange(-12, 20 + step, step)
    ood = np.diff(norm.cdf([grid - step / 2, grid + step / 2], distance, wide), axis=0)[0]
    in_dist = np.diff(norm.cdf([grid - step / 2, grid + step / 2]), axis=0)[0]
    true, flagged = np.cumsum(ood[::-1])[::-1], np.cumsum(in_dist[::-1])[::-1]
    precision = n_ood * true / np.maximum(n_ood * true + n_in * flagged, 1e-300)
    auroc = ood @ (1 - flagged + in_dist / 2)
    return np.array([auroc, ood @ precision, flagged[np.argmin(np.abs(true - 0.95))]])


def image_scores(
    rng: np.random.Generator, n_in: int, n_ood: int, distance: float, wide: float, decimals: int | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """One set of images."""
    score = np.concatenate([rng.normal(size=n_in), rng.normal(distance, wide, n_ood)])
    return (score if decimals is None else np.round(score, decimals)), np.arange(n_in + n_ood) >= n_in


def held(intervals: Sequence[Interval], values: NDArray[np.float64]) -> list[bool]:
    """Which intervals contain the truth."""
    return [low - 1e-12 <= value <= high + 1e-12 for (low, high), value in zip(intervals, values, strict=True)]


def shares(found: Sequence[Sequence[bool]]) -> list[str]:
    """Coverage by metric."""
    return [f"{share:.1%}" for share in np.mean(found, axis=0)]


def images(sets: int) -> list[list[str]]:
    """Coverage on images."""
    rows = []
    for n_in, n_ood in SIZES:
        for distance, wide in ((0.5, 1.0), (1.5, 1.0), (2.5, 1.0), (2.0, 2.0)):
            for decimals in (None, 1):
                rng = np.random.default_rng(n_in)
                given = n_in, n_ood, distance, wide, decimals
                expected = truth(*given)
                found = [held(metric_intervals(*image_scores(rng, *given)), expected) for _ in range(sets)]
                name = f"{n_in}/{n_ood}, d {distance:g}{', wide' * (wide > 1)}{', tied' * (decimals is not None)}"
                rows.append([name, *shares(found)])
                print(" ".join(rows[-1]), flush=True)
    return rows


def means(sets: int) -> list[list[str]]:
    """Coverage of the mean over three OOD sets that share 400 in-distribution images, of one seed and of three."""
    distances, rows = (0.5, 1.5, 2.5), []
    for seeds, training in ((1, 0.0), (3, 0.0), (3, 0.2)):
        rng = np.random.default_rng(seeds)
        shifts = training * np.random.default_rng(9).normal(size=200)
        expected = np.mean([[truth(400, 100, d + shift, 1, None) for d in distances] for shift in shifts], axis=(0, 1))
        if not training:
            expected = np.mean([truth(400, 100, d, 1, None) for d in distances], axis=0)
        found = []
        for _ in range(sets):
            hard = rng.normal(size=(4, 400))
            estimates = [_seed(rng, hard, distances, training * rng.normal()) for _ in range(seeds)]
            intervals = [mean_interval([[getattr(one, m) for one in row] for row in estimates]) for m in METRICS]
            found.append(held(intervals, expected))
        rows.append([f"mean of 3 sets, {seeds} seed(s), training {training:g}", *shares(found)])
        print(" ".join(rows[-1]), flush=True)
    return rows


def _seed(
    rng: np.random.Generator, hard: NDArray[np.float64], distances: Sequence[float], shift: float
) -> list[DetectionEstimates]:
    """Estimates of one seed, half of whose error on an image is that of the image."""
    in_dist, *ood = (np.sqrt(0.5) * (hard + rng.normal(size=hard.shape)))[:, :400]
    found = []
    for number, distance in enumerate(distances):
        score = np.concatenate([in_dist, ood[number][:100] + distance + shift])
        found.append(detection_estimates(score, np.arange(500) >= 400, names=("test", str(number))))
    return found


def scene(
    rng: np.random.Generator, distance: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Scores and labels of one scene of 500 pixels; a fifth of the scenes has no anomaly."""
    count = int(rng.poisson(15 * rng.gamma(1.0))) if rng.random() < 0.8 else 0
    is_ood = np.arange(500) < count
    score = rng.normal(size=500) + 0.7 * rng.normal() + is_ood * (distance + 0.7 * rng.normal())
    return score, is_ood, np.ones(500, dtype=bool)


def scene_estimates(
    rng: np.random.Generator, count: int, distance: float
) -> tuple[DetectionEstimates, DetectionEstimates]:
    """Estimates of some scenes, per image and pooled."""
    frames = [scene(rng, distance) for _ in range(count)]
    thresholds, mean = PooledThresholds(), PerImageMean()
    for index, frame in enumerate(frames):
        thresholds.add(*frame)
        mean.add(str(index), *frame)
    counts = thresholds.counts(by_image=True)
    for index, frame in enumerate(frames):
        counts.add(*frame, image=str(index))
    per_image = DetectionEstimates(*(mean_over_scenes(values) for values in mean.values.T))
    return per_image, counts.estimates()


def scenes(sets: int) -> list[list[str]]:
    """Coverage where the scenes are what varies."""
    rows = []
    for distance in (1.5, 3.0):
        expected = [
            np.array([one.value for one in kind])
            for kind in scene_estimates(np.random.default_rng(99), SCENE_TRUTH, distance)
        ]
        for count in (30, 100, 300):
            rng = np.random.default_rng(count)
            found: list[list[list[bool]]] = [[], []]
            for _ in range(sets):
                for kind, estimates in enumerate(scene_estimates(rng, count, distance)):
                    found[kind].append(held([one.interval for one in estimates], expected[kind]))
            for kind, name in enumerate(("per_image", "pooled")):
                rows.append([f"{count} scenes, d {distance:g}, {name}", *shares(found[kind])])
                print(" ".join(rows[-1]), flush=True)
    return rows


def times() -> list[list[str]]:
    """Time of point estimates, with intervals, and of 1,000 bootstrap replicates of one metric."""
    rows = []
    for n_in, n_ood in ((45_455, 4545), (40_000, 10_000)):
        score, is_ood = image_scores(np.random.default_rng(0), n_in, n_ood, 1.5, 1.0, None)
        score = score.astype(np.float32)
        point = best_seconds(lambda score=score, is_ood=is_ood: detection_metrics(score, is_ood), 20)
        bounds = best_seconds(lambda score=score, is_ood=is_ood: metric_intervals(score, is_ood), 20)
        drawn = best_seconds(lambda score=score, is_ood=is_ood: bootstrap_replicates(score[None], is_ood, "auroc"), 1)
        cells = [f"{1000 * point:.2f} ms", f"{1000 * bounds:.2f} ms", f"{bounds / point:.1f}x", f"{drawn:.1f} s"]
        rows.append([f"{n_in:,} + {n_ood:,} scores", *cells])
    return rows


def main() -> None:
    """Print the times, and the tables of coverage where asked for."""
    print("All three metrics of one detector; the intervals contain the point estimates' own work")
    print(table(["", "points", "intervals", "ratio", "1,000 replicates, AUROC alone"], times()), end="\n\n", flush=True)
    if len(sys.argv) > 1:
        sets = int(sys.argv[1])
        rows = images(sets) + means(sets) + scenes(max(sets // 2, 1))
        print(f"Share of {sets} sets (scenes: half as many) whose 95 % interval contains the truth")
        print(table(["", *METRICS], rows))


if __name__ == "__main__":
    main()
