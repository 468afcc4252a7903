"""How often equally good detectors lose their mark, and how often a worse one does.

Run: `python benchmarks/marks_simulation.py [COLUMNS]`, by hand: half an hour for 400 columns on one core. A column is
one OOD set, or one set of scenes, with D detectors. On images the scores are normal; detectors share a part of what
makes an image hard (the correlation of their scores), and seeds too. Training moves the distance between OOD and
in-distribution scores from seed to seed. On scenes every detector has one value per scene: the logistic function of a
normal variable, of which detectors share a part. All D detectors have the same distribution; in the lines of power the
last one is worse by a stated margin.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from timing import table

from scaling_ood.metrics import DetectionEstimates, Estimate, detection_estimates, mean_over_scenes, tied_estimates

METRICS = ("auroc", "aupr", "fpr")


@dataclass(frozen=True)
class Images:
    """Columns of images; `worse` is what the last detector lacks of the distance `shift` of the OOD scores."""

    n_in: int = 400
    n_ood: int = 100
    shift: float = 1.5
    correlation: float = 0.5
    training: float = 0.0
    worse: float = 0.0

    def column(self, rng: np.random.Generator, detectors: int, seeds: int) -> list[list[DetectionEstimates]]:
        """Estimates of one column, by detector and seed."""
        is_ood = np.arange(self.n_in + self.n_ood) >= self.n_in
        common = np.sqrt(self.correlation) * rng.normal(size=is_ood.size)
        own = np.sqrt((1 - self.correlation) / 2) * rng.normal(size=(detectors, is_ood.size))
        column = []
        for detector in range(detectors):
            distance = self.shift - self.worse * (detector == detectors - 1)
            row = []
            for _ in range(seeds):
                noise = np.sqrt((1 - self.correlation) / 2) * rng.normal(size=is_ood.size)
                shift = distance + self.training * rng.normal()
                row.append(detection_estimates(common + own[detector] + noise + shift * is_ood, is_ood))
            column.append(row)
        return column

    def __str__(self) -> str:
        """Name it in the table."""
        training = f", training {self.training:g}" if self.training else ""
        worse = f", one worse by {self.worse:g}" if self.worse else ""
        return f"{self.n_in}/{self.n_ood}, d {self.shift:g}, r {self.correlation:g}{training}{worse}"


@dataclass(frozen=True)
class Scenes:
    """Columns of scenes; `worse` is subtracted on the logit scale."""

    scenes: int = 50
    correlation: float = 0.5
    training: float = 0.0
    worse: float = 0.0

    def column(self, rng: np.random.Generator, detectors: int, seeds: int) -> list[list[DetectionEstimates]]:
        """Estimates of one column, by detector and seed; FPR is low where AUROC is high, and rougher."""
        common = np.sqrt(self.correlation) * rng.normal(size=self.scenes)
        own = np.sqrt((1 - self.correlation) / 2) * rng.normal(size=(detectors, self.scenes))
        column = []
        for detector in range(detectors):
            level = 2.0 - self.worse * (detector == detectors - 1)
            row = []
            for _ in range(seeds):
                noise = np.sqrt((1 - self.correlation) / 2) * rng.normal(size=self.scenes)
                quality = level + self.training * rng.normal() + common + own[detector] + noise
                values = (_logistic(quality), _logistic(1.5 * quality - 4), _logistic(1 - 1.5 * quality))
                row.append(DetectionEstimates(*(mean_over_scenes(one) for one in values)))
            column.append(row)
        return column

    def __str__(self) -> str:
        """Name it in the table."""
        training = f", training {self.training:g}" if self.training else ""
        worse = f", one worse by {self.worse:g}" if self.worse else ""
        return f"{self.scenes} scenes, r {self.correlation:g}{training}{worse}"


def marks(kind: Images | Scenes, detectors: int, seeds: int, columns: int) -> NDArray[np.bool_]:
    """Marks of some columns, `(columns, 3, detectors)`."""
    rng = np.random.default_rng(detectors + 100 * seeds)
    found = []
    for _ in range(columns):
        column = kind.column(rng, detectors, seeds)
        by_metric = [[[getattr(one, metric) for one in row] for row in column] for metric in METRICS]
        found.append([_tied(rows, metric == "fpr") for rows, metric in zip(by_metric, METRICS, strict=True)])
    return np.array(found)


def _tied(rows: Sequence[Sequence[Estimate]], lower_is_better: bool) -> NDArray[np.bool_]:
    return tied_estimates(rows, lower_is_better=lower_is_better)


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-values)))


def equal_kinds() -> Iterator[tuple[Images | Scenes, int]]:
    """Kinds of columns with equally good detectors, and the number of seeds."""
    for correlation in (0.0, 0.5, 0.95):
        yield Images(correlation=correlation), 1
    yield Images(1000, 200, 2.5, 0.8), 1
    yield Images(100, 50, 2.5, 0.5), 1
    yield Images(), 3
    yield Images(training=0.2), 3
    yield Scenes(), 1
    yield Scenes(200, 0.9), 1
    yield Scenes(), 3
    yield Scenes(training=0.3), 3


def worse_kinds() -> Iterator[tuple[Images | Scenes, int]]:
    """Kinds of columns whose last detector is worse."""
    yield Images(1000, 200, 1.5, 0.8, worse=0.4), 1
    yield Images(1000, 200, 1.5, 0.8, worse=0.4), 3
    yield Images(5000, 1000, 1.5, 0.8, worse=0.25), 1
    yield Scenes(100, 0.8, worse=0.6), 1
    yield Scenes(100, 0.8, worse=0.6), 3


def main() -> None:
    """Print both tables as they are made."""
    columns = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    header = ["columns", "seeds", "detectors", *METRICS]
    rows = []
    for kind, seeds in equal_kinds():
        for detectors in (2, 8, 17):
            lost = ~marks(kind, detectors, seeds, columns).all(axis=2)
            rows.append([str(kind), str(seeds), str(detectors), *(f"{share:.1%}" for share in lost.mean(axis=0))])
            print(" ".join(rows[-1]), flush=True)
    print(f"\nColumns of {columns} in which any of the equally good detectors lost its mark (at most 5 % wanted)")
    print(table(header, rows), end="\n\n", flush=True)
    rows = []
    for kind, seeds in worse_kinds():
        for detectors in (2, 17):
            lost = ~marks(kind, detectors, seeds, columns // 4)[:, :, -1]
            rows.append([str(kind), str(seeds), str(detectors), *(f"{share:.1%}" for share in lost.mean(axis=0))])
            print(" ".join(rows[-1]), flush=True)
    print("\nColumns in which the worse detector lost its mark")
    print(table(header, rows))


if __name__ == "__main__":
    main()
