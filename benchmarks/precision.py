"""What bf16 does to the metrics and to the speed, on a finished benchmark.

Run: `python benchmarks/precision.py [ENV] [data_root=DIR]` after `kedro run [--env ENV]`; the built-in benchmark is the
default. The test images and each OOD set (at most 120 images each) go through the trained network in float32 and in
bf16; the detectors are fitted on at most 720 images. `distinct` counts the distinct scores of the in-distribution test:
bf16 rounds many together.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from finished import finished
from timing import table

from scaling_ood.detectors import NotApplicableError, Outputs, OutputsList
from scaling_ood.evaluation.chunks import seed_name
from scaling_ood.evaluation.passes import image_set_of
from scaling_ood.metrics import detection_metrics
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredModel
from scaling_ood.structure import Setting

MOST_IMAGES = 120
FIT_IMAGES = 720
PRECISIONS = ("float32", "bf16")
LOGITS = frozenset({"logits"})


def fewer(manifest: Manifest) -> Manifest:
    """The first images of each set that is passed over, and some of the fit images."""
    rows, prepared = manifest.rows, manifest.preparation
    kept = rows[rows["image_set"].isin(("fit", "test", *prepared.ood))]
    few = kept.groupby("image_set", sort=False).head(MOST_IMAGES)
    fit = kept[kept["image_set"].eq("fit")]
    fit = fit.sample(min(FIT_IMAGES, len(fit)), random_state=0)
    kept = kept[kept.index.isin(fit.index) | (kept.index.isin(few.index) & kept["image_set"].ne("fit"))]
    images = kept.groupby("image_set").size().to_dict()
    return replace(manifest, rows=kept, preparation=prepared.model_copy(update={"images": images}))


def outputs(
    setting: Setting, manifest: Manifest, model: StoredModel, precision: str
) -> tuple[dict[str, torch.Tensor], float]:
    """Logits by image set, of the first classifier, and images per second."""
    task, spec = setting
    network = spec.networks[spec.shared]
    extraction = spec.extraction.model_copy(update={"precision": precision, "stored": "float32"})
    plan = task.plan_outputs(network, model, manifest, LOGITS, extraction, RuntimeSpec(), None)
    started = time.perf_counter()
    logits: dict[str, list[torch.Tensor]] = {}
    for name, tensors in plan.make(plan.parts):
        logits.setdefault(image_set_of(name), []).append(tensors[f"{seed_name(network.seeds[0])}/logits"])
    seconds = time.perf_counter() - started
    return {name: torch.cat(parts) for name, parts in logits.items()}, len(manifest.rows) / seconds


def measured(method: Method, logits: dict[str, torch.Tensor], manifest: Manifest) -> tuple[float, ...]:
    """AUROC, AUPR and FPR95 in percent, means over the OOD sets, and the number of distinct test scores."""
    prepared, targets = manifest.preparation, torch.tensor(manifest.of("fit")["label"].to_numpy())
    groups = torch.tensor(prepared.of_classes.group_of_class) if prepared.of_classes.groups else None
    detector = method.build().fit(OutputsList([Outputs(logits["fit"])], groups, targets))
    scores = {image_set: detector.score(Outputs(part)).numpy() for image_set, part in logits.items()}
    known, values = scores["test"], []
    for ood_set in prepared.ood:
        joined = np.concatenate([known, scores[ood_set]])
        values.append(detection_metrics(joined, np.arange(len(joined)) >= len(known)))
    return (*(100 * np.mean(values, axis=0)), len(np.unique(known)))


def main() -> None:
    """Print each detector's metrics in both precisions, and the difference."""
    setting, products = finished("multi_class")
    manifest, spec = fewer(products["manifest"]), setting.spec
    chosen = {n: m for n, m in spec.methods.items() if m.needs == LOGITS and m.network == spec.shared and not m.gap}
    results, speeds = {}, {}
    for precision in PRECISIONS:
        logits, speeds[precision] = outputs(setting, manifest, products["model"], precision)
        for name, method in chosen.items():
            try:
                results[name, precision] = measured(method, logits, manifest)
            except NotApplicableError:
                continue
    rows = []
    for name in dict.fromkeys(name for name, _ in results):
        full, half = results[name, "float32"], results[name, "bf16"]
        metrics = [f"{b:.2f} ({b - a:+.2f})" for a, b in zip(full[:3], half[:3], strict=True)]
        rows.append([name, *metrics, f"{half[3]:,.0f} of {full[3]:,.0f}"])
    prepared = manifest.preparation
    print(f"bf16 against float32: {prepared.benchmark}, means over {', '.join(prepared.ood)}")
    print(table(["bf16 % (difference to float32)", "AUROC", "AUPR", "FPR95", "distinct"], rows))
    print(", ".join(f"{precision}: {speed:.0f} images/s" for precision, speed in speeds.items()), end="\n\n")


if __name__ == "__main__":
    main()
