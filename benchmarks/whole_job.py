"""The whole job, from photographs to the table of metrics: by `kedro run`, with pytorch-ood 0.4, in OpenOOD's way.

Run: `python benchmarks/whole_job.py [--data DIR] [--images N] [--rounds N]`. `DIR` has the photographs of
`make samples`. The job is `multi_class` of the benchmark `samples` without its noise sets: fit images, in-distribution
test images and three OOD sets of photographs go through EfficientNet-Lite0 at 128 pixels with a trained head, and 4 or
12 detectors score them. Each job is a process of one thread, which decodes by itself. All take the same files, weights,
memory order, batches of 16 and options. What is measured begins with the start of the process and ends with AUROC, AUPR
and FPR95 of each detector and OOD set.

`scaling-ood`: `kedro run` of score extraction and metric reporting up to `multi_class.results`, in a copy of a project
in which data was prepared and the head was trained. So outputs are stored with checksums, and the table has intervals
and marks of significance, which the others have not. What preparation takes, which checks every file, and the training
are printed apart.

`pytorch-ood, its cache`: `Benchmark.evaluate(detectors, cache=True)`. It keeps logits by model and features by encoder
for each OOD set together with the test images; what ReAct, ASH and ODIN read is not kept. Fitting has no cache: here it
is given the logits and features of `extract_features`, one pass for each.

`pytorch-ood, by hand`: about the least that its detectors can take: a loop of one's own passes each image once, ODIN
apart, and hands out logits and features. Nothing is stored.

`OpenOOD's way` is simulated, since OpenOOD's evaluator needs a GPU and is not installed. As with its
`scripts/eval_ood_imagenet.py` there is one process per detector. It passes over the fit images where the method needs
that, over test images and OOD sets once, and over the test images again for the accuracy. Scores are those of
pytorch-ood's detectors, metrics the calls of scikit-learn that OpenOOD makes. Its search of options is left out, which
is more passes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import isnan
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, NamedTuple

import torch
import yaml
from start import copy
from timing import table
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset

ROOT = Path(__file__).parents[1]
FOUR = ("msp", "max_logit", "energy", "kl_matching")
TWELVE = (*FOUR, "temperature_scaling", "gen", "knn", "vim", "mahalanobis", "react", "ash", "odin")
OOD = ("tiny_imagenet_animals", "raccoon", "camvid")
FOLDERS = ("tiny-imagenet-200", "raccoon", "camvid")
CLASSES, BATCH, TOLERANCE = 141, 16, 0.1
FEWER_FIT = 5
"""Per class, with `--images`: the least that KL matching takes."""
NEIGHBOURS, DIRECTIONS, TOP, SHARE, STEP = 10, 512, 100, 0.9, 0.001
"""Options of ours, which the others are given."""

Sets = Mapping[str, Sequence[tuple[str, int]]]
Aurocs = dict[str, dict[str, float]]
"""By detector and OOD set."""


class Taken(NamedTuple):
    """What a job took and found.

    Attributes:
        clock: Seconds of the clock.
        processor: Seconds of the processor.
        aurocs: What it found.
        start: Seconds of the processor that are start.
    """

    clock: float
    processor: float
    aurocs: Aurocs
    start: float


# What is measured


def process(command: Sequence[str | Path], folder: Path) -> tuple[float, float, str]:
    """Seconds of the clock and of the processor, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "DO_NOT_TRACK": "1"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def kedro(project: Path, data: Path, *options: str) -> tuple[float, float]:
    """Seconds of a `kedro run` of one process."""
    program = Path(sys.executable).parent / "kedro"
    values = f"data_root={data},device=cpu,runtime.workers=0"
    wall, processor, _ = process([program, "run", "--env", "samples", "--params", values, *options], project)
    return wall, processor


def configure(project: Path, detectors: Sequence[str], images: int | None) -> None:
    """Leave `multi_class` of `samples`, on photographs alone, with these detectors."""
    base = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text("utf-8"))["multi_class"]["detectors"]
    given = yaml.safe_load((ROOT / "conf/samples/parameters.yml").read_text("utf-8"))["multi_class"]
    given["data"]["ood"] = list(OOD)
    given["detectors"] = {name: {} if name in detectors else False for name in (*base, *detectors)}
    parameters: dict[str, Any] = {"multi_class": given}
    if images is not None:
        given["data"]["test"]["per_class"] = max(1, images // CLASSES)
        given["data"]["fit"]["per_class"] = FEWER_FIT
        parameters["data_sets"] = {name: {"images": images} for name in OOD}
    (project / "conf/samples/parameters.yml").write_text(yaml.safe_dump(parameters), "utf-8")


def prepare(project: Path, data: Path, images: int | None) -> dict[str, tuple[float, float]]:
    """Make a project in which the manifest and the network are there; what each took."""
    shutil.copytree(ROOT / "conf", project / "conf", dirs_exist_ok=True)
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, project)
    (project / "src").mkdir(exist_ok=True)
    configure(project, TWELVE, images)
    stages = ("data_preparation", "model_training")
    return {stage: kedro(project, data, "--pipelines", stage) for stage in stages}


def ours(prepared: Path, data: Path, detectors: Sequence[str], images: int | None) -> Taken:
    """Seconds of the job, AUROCs, and seconds of a second run, which has nothing to make."""
    steps = ("--pipelines", "score_extraction,metric_reporting", "--to-outputs", "multi_class.results")
    with tempfile.TemporaryDirectory() as place:
        project = copy(prepared, Path(place))
        configure(project, detectors, images)
        seconds = kedro(project, data, *steps)
        again = kedro(project, data, *steps)
        found = results(project / "data/08_reporting/samples/multi_class/results.csv")
    return Taken(*seconds, found, again[1])


def results(path: Path) -> Aurocs:
    """AUROCs of a table."""
    import pandas as pd

    rows = pd.read_csv(path)
    rows = rows[(rows["positive_class"] == "ood") & rows["ood_set"].isin(OOD)]
    found: Aurocs = {}
    for row in rows.itertuples():
        found.setdefault(row.detector, {})[row.ood_set] = row.auroc
    return found


def other(way: str, material: Path, detectors: Sequence[str]) -> Taken:
    """Seconds of the job, AUROCs, and seconds until the network is there."""
    command = [sys.executable, "-W", "ignore", __file__, "--way", way, "--material", material]
    wall, processor, said = process([*command, "--detectors", *detectors], material)
    told = json.loads(said.splitlines()[-1])
    return Taken(wall, processor, told["aurocs"], told["ready"])


def summed(each: Mapping[str, Taken], detectors: Sequence[str]) -> Taken:
    """One job of several processes."""
    chosen = [each[name] for name in detectors]
    clock, processor, start = (sum(getattr(one, field) for one in chosen) for field in ("clock", "processor", "start"))
    return Taken(clock, processor, {name: each[name].aurocs[name] for name in detectors}, start)


# What the others are given


def write_material(project: Path, data: Path, folder: Path) -> int:
    """The lists of files, the preprocessing, backbone and last layer; returns the number of images."""
    from scaling_ood.datasets import CheckpointDataset, RecordedDataset
    from scaling_ood.models import ClassHead, architecture, build_head

    manifest = RecordedDataset(
        filepath=str(project / "data/02_manifests/samples/multi_class/manifest"),
        roots={"photographs": str(data), "fabricated": str(project / "data/01_raw/samples/multi_class")},
    ).load()
    model = CheckpointDataset(filepath=str(project / "data/06_models/samples/multi_class/classifier/model")).load()
    sets: dict[str, list[tuple[str, int]]] = {}
    for name in ("fit", "test", *OOD):
        rows = manifest.of(name)
        labels = [-1] * len(rows) if name in OOD else rows["label"].tolist()
        places = rows["data_set"].map(manifest.folders) + "/" + rows["path"]
        sets[name] = list(zip(places.tolist(), labels, strict=True))
    chosen = architecture("efficientnet_lite0")
    parameters = yaml.safe_load((ROOT / "conf/samples/parameters.yml").read_text("utf-8"))
    own = chosen.preprocessing.at(parameters["multi_class"]["networks"]["classifier"]["input_px"])
    head = build_head("efficientnet_lite0", partial(ClassHead, classes=CLASSES), seed=0)
    head.load_state_dict(model.states()["seed0"])
    backbone = chosen.build(True)[0].eval().requires_grad_(False).to(memory_format=torch.channels_last)
    torch.save({"backbone": backbone, "head": head.output.eval().requires_grad_(False)}, folder / "network.pt")
    (folder / "material.json").write_text(json.dumps({"sets": sets, "preprocessing": own.what_matters()}), "utf-8")
    return sum(map(len, sets.values()))


class Images(Dataset[tuple[torch.Tensor, int]]):
    """Photographs as torchvision prepares them, with labels; those of OOD sets are -1."""

    def __init__(self, files: Sequence[tuple[str, int]], transform: Callable[[Any], torch.Tensor]) -> None:
        """Keep the list."""
        self.files, self.transform = files, transform

    def __len__(self) -> int:
        """How many."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """Network input and label."""
        from PIL import Image

        path, label = self.files[index]
        with Image.open(path) as image:
            return self.transform(image.convert("RGB")), label


class Maps(nn.Module):
    """Features as maps of one pixel: ReAct and ASH take maps."""

    def __init__(self, backbone: nn.Module) -> None:
        """Of a backbone."""
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, D, 1, 1)."""
        return as_maps(self.backbone(images))


def as_maps(features: torch.Tensor) -> torch.Tensor:
    """(N, D, 1, 1)."""
    return features[:, :, None, None]


class Job:
    """Data sets, network and detectors of a job that is not ours."""

    def __init__(self, material: Path, names: Sequence[str]) -> None:
        """Read everything."""
        from torchvision import transforms

        told = json.loads((material / "material.json").read_text("utf-8"))
        own = told["preprocessing"]
        transform = transforms.Compose(
            [
                transforms.Resize(own["resize_px"], transforms.InterpolationMode(own["interpolation"])),
                transforms.CenterCrop(own["crop_px"]),
                transforms.ToTensor(),
                transforms.Normalize(own["mean"], own["std"]),
            ]
        )
        self.sets = {name: Images(files, transform) for name, files in told["sets"].items()}
        network = torch.load(material / "network.pt", weights_only=False)
        self.backbone, self.head = network["backbone"], network["head"]
        self.logits = nn.Sequential(self.backbone, self.head)
        maps, shaped = Maps(self.backbone), nn.Sequential(nn.Flatten(), self.head)
        self.detectors = {name: built(name, self.logits, self.backbone, self.head, maps, shaped) for name in names}

    def batches(self, name: str) -> DataLoader[Any]:
        """Of one image set."""
        return DataLoader(self.sets[name], batch_size=BATCH)

    @torch.no_grad()
    def outputs(self, name: str) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Images, features, logits and labels of each batch, by one pass."""
        for images, labels in self.batches(name):
            features = self.backbone(images)
            yield images, features, self.head(features), labels


def built(name: str, logits: nn.Module, encoder: nn.Module, head: nn.Linear, maps: nn.Module, shaped: nn.Module) -> Any:
    """A detector of pytorch-ood."""
    from pytorch_ood import detector as theirs

    return {
        "msp": lambda: theirs.MaxSoftmax(logits),
        "max_logit": lambda: theirs.MaxLogit(logits),
        "energy": lambda: theirs.EnergyBased(logits),
        "kl_matching": lambda: theirs.KLMatching(logits),
        "temperature_scaling": lambda: theirs.TemperatureScaling(logits),
        "gen": lambda: theirs.GEN(logits, M=TOP),
        "knn": lambda: theirs.KNN(encoder, k=NEIGHBOURS),
        "vim": lambda: theirs.ViM(encoder, DIRECTIONS, head.weight, head.bias),
        "mahalanobis": lambda: theirs.Mahalanobis(encoder),
        "react": lambda: theirs.ReAct(maps, shaped, percentile=SHARE),
        "ash": lambda: theirs.ASH(maps, shaped, "ash-s", SHARE),
        "odin": lambda: theirs.ODIN(logits, eps=STEP, temperature=1000),
    }[name]()


def fit(detector: Any, features: torch.Tensor | None, logits: torch.Tensor | None, labels: torch.Tensor) -> None:
    """Fit on what was extracted, each detector on what it reads."""
    from pytorch_ood.api import FeaturesDetector, LogitsDetector

    if not detector.requires_fit:
        return
    if isinstance(detector, LogitsDetector):
        detector.fit_logits(logits, labels)
    elif isinstance(detector, FeaturesDetector):
        detector.fit_features(features, labels)
    else:
        detector.fit_feature_maps(as_maps(features), labels)


@torch.no_grad()
def scores(detector: Any, features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Of a detector that reads no gradient."""
    from pytorch_ood.api import FeaturesDetector, LogitsDetector

    if isinstance(detector, LogitsDetector):
        return detector.predict_logits(logits)
    if isinstance(detector, FeaturesDetector):
        return detector.predict_features(features)
    return detector.predict_feature_maps(as_maps(features))


# The ways


def cached(job: Job) -> Aurocs:
    """pytorch-ood's benchmark with its cache switched on."""
    from pytorch_ood.api import LogitsDetector
    from pytorch_ood.benchmark import Benchmark
    from pytorch_ood.utils import extract_features

    class Photographs(Benchmark):
        ood_names: ClassVar = list(OOD)

        def train_set(self) -> Dataset[Any]:
            return job.sets["fit"]

        def test_sets(self, known: bool = True, unknown: bool = True) -> list[Dataset[Any]]:  # noqa: ARG002
            return [ConcatDataset([job.sets["test"], job.sets[name]]) for name in OOD]

    fitted = [detector for detector in job.detectors.values() if detector.requires_fit]
    logits = features = None
    if any(isinstance(detector, LogitsDetector) for detector in fitted):
        logits, labels = extract_features(job.batches("fit"), job.logits, "cpu")
    if not all(isinstance(detector, LogitsDetector) for detector in fitted):
        features, labels = extract_features(job.batches("fit"), job.backbone, "cpu")
    for detector in fitted:
        fit(detector, features, logits, labels)
    rows = Photographs().evaluate(list(job.detectors.values()), {"batch_size": BATCH}, cache=True)
    found: Aurocs = {name: {} for name in job.detectors}
    for row, name in zip(rows, [*job.detectors] * len(OOD), strict=True):
        found[name][row["Dataset"]] = row["AUROC"]
    return found


def by_hand(job: Job) -> Aurocs:
    """One pass over each image, then pytorch-ood's detectors on what it left."""
    from pytorch_ood.metrics import OODMetrics

    _, features, logits, labels = (torch.cat(parts) for parts in zip(*job.outputs("fit"), strict=True))
    for detector in job.detectors.values():
        fit(detector, features, logits, labels)
    left: dict[str, dict[str, torch.Tensor]] = {}
    for image_set in ("test", *OOD):
        kept: dict[str, list[torch.Tensor]] = {"features": [], "logits": [], "odin": []}
        for images, features, logits, _ in job.outputs(image_set):
            kept["features"].append(features)
            kept["logits"].append(logits)
            if "odin" in job.detectors:
                kept["odin"].append(job.detectors["odin"].predict(images))
        whole = {name: torch.cat(parts) for name, parts in kept.items() if parts}
        left[image_set] = {
            name: whole["odin"] if name == "odin" else scores(detector, whole["features"], whole["logits"])
            for name, detector in job.detectors.items()
        }
    found: Aurocs = {}
    for name in job.detectors:
        for ood in OOD:
            metrics, test, unknown = OODMetrics(), left["test"][name], left[ood][name]
            metrics.update(test, torch.zeros(len(test), dtype=torch.long))
            metrics.update(unknown, torch.full((len(unknown),), -1))
            found.setdefault(name, {})[ood] = metrics.compute()["AUROC"]
    return found


def openood(job: Job) -> Aurocs:
    """One detector as OpenOOD's evaluator does it."""
    from tqdm import tqdm

    ((name, detector),) = job.detectors.items()
    if detector.requires_fit:
        _, features, logits, labels = (torch.cat(parts) for parts in zip(*tqdm(job.outputs("fit")), strict=True))
        fit(detector, features, logits, labels)

    def inference(image_set: str) -> torch.Tensor:
        if name == "odin":  # Its own passes are all that it needs.
            return torch.cat([detector.predict(images) for images, _ in tqdm(job.batches(image_set))])
        passed = tqdm(job.outputs(image_set))
        return torch.cat([scores(detector, features, logits) for _, features, logits, _ in passed])

    test, found = inference("test"), {}
    for ood in OOD:
        found[ood] = openood_metrics(test, inference(ood))
    right = [logits.argmax(dim=1) == labels for _, _, logits, labels in tqdm(job.outputs("test"))]
    print(f"accuracy {torch.cat(right).float().mean():.3f}")
    return {name: found}


def openood_metrics(test: torch.Tensor, unknown: torch.Tensor) -> float:
    """AUROC; FPR95 and both AUPR are computed too, as OpenOOD does it: in-distribution is positive, by confidence."""
    import numpy as np
    from sklearn import metrics

    inside, outside = -test.numpy(), -unknown.numpy()
    is_inside = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    confidence = np.concatenate([inside, outside])
    threshold = np.sort(inside)[-int(np.floor(0.95 * len(inside)))]
    fpr95 = (outside > threshold).mean()
    false, true, _ = metrics.roc_curve(is_inside, confidence)
    auprs = []
    for positive, by in ((is_inside, confidence), (1 - is_inside, 1 - confidence)):
        precision, recall, _ = metrics.precision_recall_curve(positive, by)
        auprs.append(metrics.auc(recall, precision))
    auroc = float(metrics.auc(false, true))
    print(f"FPR95 {fpr95:.4f} AUROC {auroc:.4f} AUPR {auprs}")
    return auroc


WAYS = {"cached": cached, "by_hand": by_hand, "openood": openood}


def do(way: str, material: Path, detectors: Sequence[str]) -> None:
    """The job in this process, which is measured from outside."""
    torch.set_num_threads(1)
    job = Job(material, detectors)
    ready = time.process_time()
    print(json.dumps({"ready": ready, "aurocs": WAYS[way](job)}))


# What is printed

Rounds = dict[str, dict[int, list[Taken]]]
OURS, CACHED, BY_HAND, OPENOOD = (
    "scaling-ood",
    "pytorch-ood, its cache",
    "pytorch-ood, by hand",
    "OpenOOD's way, simulated",
)


def measured(prepared: Path, data: Path, material: Path, images: int | None, rounds: int) -> Rounds:
    """All ways in turn; each job is told as it ends, since a round takes long."""
    found: Rounds = {name: {4: [], 12: []} for name in (OURS, CACHED, BY_HAND, OPENOOD)}

    def keep(name: str, number: int, taken: Taken) -> None:
        found[name][number].append(taken)
        print(f"{name}, {number} detectors: {taken.processor:.1f} s of processor time", file=sys.stderr)

    for _ in range(rounds):
        for number, detectors in ((4, FOUR), (12, TWELVE)):
            keep(OURS, number, ours(prepared, data, detectors, images))
            keep(CACHED, number, other("cached", material, detectors))
            keep(BY_HAND, number, other("by_hand", material, detectors))
        each = {name: other("openood", material, [name]) for name in TWELVE}
        keep(OPENOOD, 4, summed(each, FOUR))
        keep(OPENOOD, 12, summed(each, TWELVE))
    return found


def report(found: Rounds) -> None:
    """Print medians and ratios, what of it is start, and how far AUROCs differ."""
    rows = []
    for name in found:
        cells = [name]
        for number in (4, 12):
            taken, base = found[name][number], found[OURS][number]
            ratio = median(one.processor / own.processor for one, own in zip(taken, base, strict=True))
            clock, processor, start = (
                median(getattr(one, field) for one in taken) for field in ("clock", "processor", "start")
            )
            cells += [f"{clock:.0f}", f"{processor:.1f}", f"{ratio:.2f}x", f"{start:.1f}"]
        rows.append(cells)
    heads = ["clock", "processor", "of ours", "start"]
    print(table(["seconds of 4 and of 12 detectors", *heads, *heads], rows))
    print("of ours: processor time, median of the rounds' ratios. start: processor time until the network is there; of")
    print("scaling-ood that of a second run, which has nothing to make. Of several processes: their sums.\n")
    aurocs = {name: found[name][12][0].aurocs for name in found}
    apart = {
        detector: [
            100 * max(abs(aurocs[name][detector][ood] - aurocs[OURS][detector][ood]) for ood in OOD)
            for name in (CACHED, BY_HAND, OPENOOD)
        ]
        for detector in TWELVE
    }
    lines = [[name, *(f"{each:.2f}" for each in values)] for name, values in apart.items()]
    print(table(["largest difference of AUROC, points", CACHED, BY_HAND, OPENOOD], lines))
    if gaps := [name for name, values in apart.items() if any(map(isnan, values))]:
        sys.exit(f"not the same jobs: somebody has no score of {', '.join(gaps)}")
    if max(apart["msp"]) > TOLERANCE:
        sys.exit(f"not the same jobs: MSP differs by more than {TOLERANCE} points")


def main() -> None:
    """Measure all, or be one of the jobs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "data/01_raw/samples", help="folder of the photographs")
    parser.add_argument(
        "--images", type=int, help="at most so many of each test set, at least 141 of the first, and fewer fit images"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which medians are taken")
    parser.add_argument("--project", type=Path, help="folder in which preparation is kept for the next time")
    for option in ("--way", "--material", "--detectors"):
        parser.add_argument(option, nargs="*" if option == "--detectors" else None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        do(given.way, Path(given.material), given.detectors)
        return
    data = given.data.resolve()
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    if missing:
        print(f"Whole job: not measured, {data} lacks {', '.join(missing)}: run `make samples`, or give --data DIR\n")
        return
    with tempfile.TemporaryDirectory() as place:
        project, material = given.project or Path(place) / "project", Path(place) / "material"
        for folder in (project, material):
            folder.mkdir(parents=True, exist_ok=True)
        before = prepare(project.resolve(), data, given.images)
        count = write_material(project.resolve(), data, material)
        found = measured(project.resolve(), data, material, given.images, given.rounds)
    print(
        f"Whole job: {count:,} photographs, {platform.processor() or platform.machine()}, one thread a process, ",
        end="",
    )
    print(f"PyTorch {torch.__version__}; medians of {given.rounds}")
    for stage, (_, processor) in before.items():
        print(f"before that, by scaling-ood: {stage} {processor:.1f} s of processor time")
    report(found)
    print()


if __name__ == "__main__":
    main()
