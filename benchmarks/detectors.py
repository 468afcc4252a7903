"""All post-hoc detectors on stored outputs: beside pytorch-ood, an older commit, and the forward pass of the images.

Run: `python benchmarks/detectors.py [--against COMMIT] [--rounds N]`, some minutes. 20,480 images are scored and 10,240
fitted on: 1,000 logits and 2,048 features each, in single precision, 1,024 a chunk. Each column is a process of one
thread. Times are processor time, which other work on the machine lengthens least, and medians of the rounds. What
pytorch-ood takes to score features is measured on one chunk, for Mahalanobis on 16 images, and scaled to all; so is the
forward pass, from two batches of 16. `--against` measures the same file with the sources of another commit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from timing import table

from scaling_ood.detectors import LinearHead, NotApplicableError, Outputs, OutputsList, build_detector

ROOT = Path(__file__).parents[1]
FIT, SCORED, CLASSES, WIDTH, CHUNK, FEW = 10_240, 20_480, 1000, 2048, 1024, 16
LOGITS = ("max_logit", "msp", "energy", "logit_avg", "joint_energy", "gen", "grouped_msp", "temperature_scaling")
DETECTORS = (*LOGITS, "kl_matching", "mahalanobis", "vim", "react", "ash", "knn")
Times = dict[str, list[float]]


def made_up() -> tuple[OutputsList, list[Outputs]]:
    """Fit and test outputs: features as after a ReLU, around the centres of their classes; half the tests are weak."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    centres, mixing = normal(CLASSES, WIDTH).relu_(), normal(256, WIDTH) / 32

    def features(classes: torch.Tensor, strength: float) -> torch.Tensor:
        spread = normal(len(classes), 256) @ mixing + 0.3 * normal(len(classes), WIDTH)
        return (strength * centres[classes] + spread).relu_()

    weight = torch.nn.functional.normalize(centres - 0.9 * centres.mean(dim=0), dim=1) / 2
    head = LinearHead(weight, 0.1 * normal(CLASSES))
    targets = torch.arange(FIT) % CLASSES
    some = [torch.randint(CLASSES, (SCORED // 2,), generator=generator) for _ in range(2)]
    tests = torch.cat([features(some[0], 1.0), features(some[1], 0.6)])
    fit = features(targets, 1.0)
    # A classifier that is never wrong has no temperature.
    targets = torch.where(torch.rand(FIT, generator=generator) < 0.15, (targets + 1) % CLASSES, targets)

    def chunks(rows: torch.Tensor) -> list[Outputs]:
        return [Outputs(torch.addmm(head.bias, part, head.weight.T), part) for part in rows.split(CHUNK)]

    return OutputsList(chunks(fit), torch.arange(CLASSES) // 10, targets, head), chunks(tests)


def timed(call: Callable[[], object]) -> float:
    """Processor time in seconds."""
    started = time.process_time()
    call()
    return time.process_time() - started


def ours() -> Iterator[tuple[str, float, float]]:
    """Detector, seconds to fit, seconds to score all."""
    view, tests = made_up()
    for name in DETECTORS:
        detector = build_detector(name)
        try:
            fit = timed(lambda detector=detector: detector.fit(view))
        except NotApplicableError as reason:
            print(f"{name}: {reason}", file=sys.stderr)
            continue
        yield name, fit, timed(lambda detector=detector: [detector.score(chunk) for chunk in tests])


def theirs() -> Iterator[tuple[str, float, float]]:
    """The same of pytorch-ood, where it has the method, with the same options."""
    from pytorch_ood import detector as other

    view, tests = made_up()
    logits, features = (torch.cat([chunk[name] for chunk in view]) for name in ("logits", "features"))
    assert view.head is not None
    assert view.targets is not None
    (weight, bias), targets, first = view.head, view.targets, tests[-1]
    maps, some = first.features[:, :, None, None], first.features[:FEW]

    def of_all(score: Callable[[torch.Tensor], object]) -> Callable[[], object]:
        # One chunk, scored again, would be in the cache: that counts where so little is done with each number.
        return lambda: [score(chunk.logits) for chunk in tests]

    def head(shaped: torch.Tensor) -> torch.Tensor:
        return torch.addmm(bias, shaped.flatten(1), weight.T)

    react, ash = other.ReAct(None, head, percentile=0.9), other.ASH(None, head, "ash-s", 0.9)
    knn, vim, mahalanobis = other.KNN(None, k=10), other.ViM(None, 1000, weight, bias), other.Mahalanobis(None)
    kl, temperature = other.KLMatching(None), other.TemperatureScaling(None)
    found: dict[str, tuple[Callable[[], object] | None, Callable[[], object], int]] = {
        "max_logit": (None, of_all(other.MaxLogit.score), SCORED),
        "msp": (None, of_all(other.MaxSoftmax.score), SCORED),
        "energy": (None, of_all(other.EnergyBased.score), SCORED),
        "gen": (None, of_all(lambda logits: other.GEN.score(logits, 0.1, 100)), SCORED),
        "temperature_scaling": (
            lambda: temperature.fit_logits(logits, targets),
            of_all(temperature.predict_logits),
            SCORED,
        ),
        "kl_matching": (lambda: kl.fit_logits(logits, targets), of_all(kl.predict_logits), SCORED),
        "mahalanobis": (
            lambda: mahalanobis.fit_features(features, targets),
            lambda: mahalanobis.predict_features(some),
            FEW,
        ),
        "vim": (lambda: vim.fit_features(features, targets), lambda: vim.predict_features(first.features), CHUNK),
        "react": (
            lambda: react.fit_feature_maps(features[:, :, None, None], targets),
            lambda: react.predict_feature_maps(maps),
            CHUNK,
        ),
        "ash": (None, lambda: ash.predict_feature_maps(maps), CHUNK),
        "knn": (lambda: knn.fit_features(features, targets), lambda: knn.predict_features(first.features), CHUNK),
    }
    for name, (fit, score, images) in found.items():
        fitted = timed(fit) if fit else 0.0
        score()  # once to warm up: one chunk is short
        yield name, fitted, timed(score) * SCORED / images


def forward() -> Iterator[tuple[str, float, float]]:
    """A ResNet-50's pass over all images that are scored, from two batches."""
    from torchvision.models import resnet50

    network = resnet50().eval().to(memory_format=torch.channels_last)
    batch = torch.randn(FEW, 3, 224, 224).to(memory_format=torch.channels_last)
    network(batch)
    yield "forward pass", 0.0, timed(lambda: [network(batch) for _ in range(2)]) * SCORED / (2 * FEW)


MEASURES = {"ours": ours, "theirs": theirs, "forward": forward}


def measured(columns: Mapping[str, tuple[str, Path]], rounds: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Medians of fitting and scoring: what is measured with which sources, in turn, each in a process of one thread."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    runs: dict[str, list[Times]] = {column: [] for column in columns}
    for column, (what, sources) in list(columns.items()) * rounds:
        env = {**os.environ, "PYTHONPATH": str(sources), **dict.fromkeys(variables, "1")}
        command = [sys.executable, "-W", "ignore", __file__, "--measure", what]
        done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE)
        runs[column].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        column: {
            name: (statistics.median(run[name][0] for run in own), statistics.median(run[name][1] for run in own))
            for name in own[0]
        }
        for column, own in runs.items()
    }


def older(commit: str, folder: Path) -> Path:
    """The sources of another commit."""
    archive = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder / "src"


def cells(times: dict[str, tuple[float, float]], name: str) -> list[str]:
    """Fit and score."""
    return [f"{seconds:.2f}" for seconds in times[name]] if name in times else ["", ""]


def report(against: str, rounds: int) -> None:
    """Print everything."""
    source = ROOT / "src"
    columns = {"now": ("ours", source), "other": ("theirs", source), "forward": ("forward", source)}
    with tempfile.TemporaryDirectory() as folder:
        if against:
            columns["before"] = ("ours", older(against, Path(folder)))
        found = measured(columns, rounds)
    now, other, before = found["now"], found["other"], found.get("before", {})
    rows = []
    for name in now:
        own = sum(now[name])
        ratios = [f"{sum(each[name]) / own:.1f}x" if name in each else "" for each in (other, before)]
        rows.append([name, *cells(now, name), *cells(other, name), ratios[0], *cells(before, name), ratios[1]])
    print(
        f"{SCORED:,} images scored, {FIT:,} fitted on; {platform.processor() or platform.machine()}, one thread, ",
        end="",
    )
    print(f"PyTorch {torch.__version__}; seconds of processor time, medians of {rounds}")
    heads = ["fit", "score"]
    print(table(["", *heads, "pytorch-ood fit", "score", "", f"{against or 'before'} fit", "score", ""], rows))
    total = sum(map(sum, now.values()))
    print(f"all detectors: {total:.1f} s", end="")
    if before:
        common = sum(sum(now[name]) for name in before)
        print(
            f"; {against}: {sum(map(sum, before.values())):.1f} s, {sum(map(sum, before.values())) / common:.1f}x",
            end="",
        )
    passed = found["forward"]["forward pass"][1]
    print(f"\nA ResNet-50's forward pass: {passed:,.0f} s; all detectors: {total / passed:.4f} of it\n")


def main() -> None:
    """Measure in this process, or print what processes measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="", help="another commit, whose sources are measured too")
    parser.add_argument("--rounds", type=int, default=3, help="of which medians are taken")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.measure:
        report(given.against, given.rounds)
        return
    torch.set_num_threads(1)
    # pytorch-ood's temperature takes gradients.
    with torch.inference_mode(given.measure != "theirs"), torch.set_grad_enabled(given.measure == "theirs"):
        print(json.dumps({name: (fit, score) for name, fit, score in MEASURES[given.measure]()}))


if __name__ == "__main__":
    main()
