"""Memory and time of segmentation at full size: 200 rendered frames of 720 x 1280 pixels.

Run: `python benchmarks/scene_memory.py [FRAMES]`, at least 4. Renders the frames, runs an untrained segmenter over
them, and measures one detector (per image and pooled, exact), each step in a process of its own, for a quarter of the
frames and for all of them: peak memory must not grow with their number. Beside it, the time of the metrics alone, with
the scores at hand: ours per image and pooled, and the three scikit-learn calls for the per-image numbers.
"""

from __future__ import annotations

import itertools
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from timing import table

from scaling_ood.datasets import FabricatedImagesDataset, RecordedDataset, ShardsDataset
from scaling_ood.evaluation.chunks import stored_scenes
from scaling_ood.evaluation.scene_parts import measure_scenes
from scaling_ood.evaluation.scene_tables import score_pixels
from scaling_ood.images.scenes import ANOMALY, VOID
from scaling_ood.metrics import PooledThresholds, image_metrics
from scaling_ood.models.segmentation import build_segmenter
from scaling_ood.parameters.common import PixelReportingSpec, RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.segmentation import (
    SceneDataSpec,
    SegmenterSpec,
    StreetFabricationSpec,
)
from scaling_ood.parameters.setting import ExtractionSpec
from scaling_ood.products.kept_files import content_sum
from scaling_ood.products.keys import NOT_MADE
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredModel
from scaling_ood.tasks.segmentation import SegmentationTask

TASK = SegmentationTask()
SPEC = SegmenterSpec(
    architecture="pspnet_efficientnet_lite0_short", weights="trained", width=64, test_edge=720, longest_edge=1280
)
EXTRACTION = ExtractionSpec(stored="float16", shard_images=32)
REPORTING = PixelReportingSpec()
RUNTIME = RuntimeSpec(device="cpu", workers=0)
DETECTOR = Method("max_logit", "max_logit")


def prepare(root: Path, frames: int) -> None:
    """Render the frames and survey them; store an untrained segmenter."""
    spec = StreetFabricationSpec.model_validate(
        {
            **{f"{split}_towns": 1 for split in ("training", "validation", "test")},
            **{"training_images": 1, "validation_images": 1, "test_images": frames, "control_images": 0},
            **{"height_px": 720, "width_px": 1280},
        }
    )
    images = FabricatedImagesDataset(filepath=str(root / "images"))
    images.save(TASK.render(spec))
    data = SceneDataSpec(in_dist="street", source="fabricated", layout="streethazards", folder=".")
    manifest, _ = TASK.prepare(data, "memory", {"fabricated": str(root / "images")}, 0, None)
    RecordedDataset(filepath=str(root / "manifest")).save(manifest)
    classes = len(manifest.preparation.classes)
    network = build_segmenter(SPEC.architecture, classes, seed=0, start="random", width=SPEC.width)
    save_file({f"seed0/{name}": value for name, value in network.state_dict().items()}, root / "model.safetensors")


def part_of(root: Path, frames: int) -> Manifest:
    """The first test frames."""
    whole = RecordedDataset(filepath=str(root / "manifest"), roots={"fabricated": str(root / "images")}).load()
    record = whole.preparation.model_copy(update={"images": {"test": frames}})
    return replace(whole, rows=whole.of("test").head(frames), preparation=record)


def extract(root: Path, frames: int) -> None:
    """Run the segmenter over the frames."""
    weights = root / "model.safetensors"
    model = StoredModel(NOT_MADE, {"seeds": [0]}, [], weights, content_sum(weights))
    needs = frozenset({"logits"})
    plan = TASK.plan_outputs(SPEC, model, part_of(root, frames), needs, EXTRACTION, RUNTIME, None)
    ShardsDataset(filepath=str(root / f"outputs_{frames}")).save(plan)


def measure(root: Path, frames: int) -> None:
    """Measure one detector over the frames, per image and pooled."""
    outputs = ShardsDataset(filepath=str(root / f"outputs_{frames}")).load()
    measure_scenes({0: DETECTOR.build()}, outputs, part_of(root, frames), REPORTING)


def metric_seconds(root: Path, frames: int, rounds: int = 20) -> dict[str, float]:
    """Time of the metrics for one frame, scores at hand: ours by aggregation, and scikit-learn's three calls."""
    manifest, detector = part_of(root, frames), DETECTOR.build()
    outputs = ShardsDataset(filepath=str(root / f"outputs_{frames}")).load()
    stored = itertools.islice(stored_scenes(outputs, manifest, "test"), rounds)
    scored = [(score_pixels(detector, s, 0), s.train_ids == ANOMALY, s.train_ids != VOID) for s in stored]
    scored = [frame for frame in scored if frame[1].any()]
    seconds = {"per image": mean_seconds(image_metrics, scored), "scikit-learn": mean_seconds(scikit_learn, scored)}
    thresholds = PooledThresholds(REPORTING.positive_class)
    first_pass = mean_seconds(thresholds.add, scored)
    seconds["pooled"] = first_pass + mean_seconds(thresholds.counts().add, scored)
    return seconds


def mean_seconds(measure_one: Callable[..., object], scored: list[tuple[Any, Any, Any]]) -> float:
    """Mean time of a call over the frames."""
    started = time.perf_counter()
    for frame in scored:
        measure_one(*frame)
    return (time.perf_counter() - started) / len(scored)


def scikit_learn(score: Any, is_ood: Any, valid: Any) -> None:
    """AUROC, AUPR and the curve that FPR95 is read from."""
    score, is_ood = score[valid], is_ood[valid]
    roc_auc_score(is_ood, score)
    average_precision_score(is_ood, score)
    roc_curve(is_ood, score, drop_intermediate=False)


def watched(step: Callable[[Path, int], None], root: Path, frames: int) -> tuple[float, float]:
    """Seconds of a step, and the peak memory in MB of the process that did nothing else."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    step(root, frames)
    seconds = time.perf_counter() - started
    return seconds, peak_megabytes()


def peak_megabytes() -> float:
    """Largest memory of this process since it began (Linux); `ru_maxrss` would be that of its parent at the fork."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    """Print one row per step and number of frames."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        root, rows = Path(folder), []
        prepare(root, frames)
        for step in (extract, measure):
            for count in (frames // 4, frames):
                seconds, megabytes = alone(watched, step, root, count)
                rows.append(
                    [f"{step.__name__} {count} frames", f"{1000 * seconds / count:.0f} ms", f"{megabytes:.0f} MB"]
                )
        seconds = alone(metric_seconds, root, frames)
        stored = sum(path.stat().st_size for path in (root / f"outputs_{frames}").glob("*.safetensors"))
    print(f"{frames} rendered frames of 720 x 1280 pixels, one thread; {DETECTOR.name}, both aggregations")
    print(table(["step", "per frame", "peak memory"], rows))
    print(f"stored logits: {stored / frames / 1e6:.2f} MB a frame ({EXTRACTION.stored}, 13 classes)")
    print("metrics alone, one frame's share, scores at hand:")
    print(table(["numbers", "per frame"], [[name, f"{1000 * value:.1f} ms"] for name, value in seconds.items()]))
    both = seconds["per image"] + seconds["pooled"]
    print(f"both aggregations together: {seconds['scikit-learn'] / both:.1f}x faster than scikit-learn", end="\n\n")


if __name__ == "__main__":
    main()
