"""What the choices of segmentation's storage do to its metrics, on a finished benchmark.

Run: `python benchmarks/scene_storage.py [ENV] [data_root=DIR]` after `kedro run [--env ENV]`; the built-in benchmark is
the default. The scenes pass the segmenter once more, and are stored in single precision beside.

1. Logits stored in half precision against single precision: differences of each metric in points.
2. The variance over dropout masks taken at stride 8 and then up-sampled, as extraction stores it, against the variance
   of posteriors of up-sampled logits.
"""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from finished import finished
from timing import table

from scaling_ood.datasets import ShardsDataset
from scaling_ood.detectors import NotApplicableError
from scaling_ood.detectors.mc_dropout import posterior_variance
from scaling_ood.evaluation.chunks import seed_name
from scaling_ood.evaluation.fitting import fitted
from scaling_ood.evaluation.passes import ScenePass, ScenePixels
from scaling_ood.evaluation.scene_parts import measure_scenes
from scaling_ood.evaluation.scene_tables import WHOLE
from scaling_ood.images.recorded import LABEL
from scaling_ood.images.scenes import ANOMALY, VOID, read_labels
from scaling_ood.metrics import PerImageMean, PooledThresholds
from scaling_ood.models.upsampling import upsample
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.stored import StoredShards
from scaling_ood.structure import Setting

METRICS = ("fpr95", "auroc", "aupr")
LIMIT = 0.05
"""Points; half precision may be the default only below."""
PASSES = 10


class Rounded(StoredShards):
    """Stored outputs whose logits are rounded to half precision when they are read."""

    def read(self, name: str) -> dict[str, torch.Tensor]:
        """All tensors of one shard."""
        tensors = super().read(name)
        return {key: value.half() if "/logits/" in key else value for key, value in tensors.items()}


def passed(setting: Setting, products: dict[str, Any], folder: str) -> tuple[StoredShards, ScenePass]:
    """Logits in single precision, and the pass that made them."""
    task, spec = setting
    extraction = spec.extraction.model_copy(update={"stored": "float32"})
    plan = task.plan_outputs(
        spec.networks[spec.shared], products["model"], products["manifest"], frozenset({"logits"}), extraction,
        RuntimeSpec(), None,
    )  # fmt: skip
    assert isinstance(plan.make, ScenePass)
    dataset = ShardsDataset(filepath=folder)
    dataset.save(plan)
    return dataset.load(), plan.make


def measured(setting: Setting, method: Method, outputs: StoredShards, manifest: Manifest, seed: int) -> pd.DataFrame:
    """Metrics of one detector, per image and pooled."""
    detector = fitted(method, partial(setting.task.fit_view, outputs, manifest), seed, manifest)
    return measure_scenes({seed: detector}, outputs, manifest, setting.spec.reporting)[0]


def storage(setting: Setting, manifest: Manifest, outputs: StoredShards) -> None:
    """Print the differences of half precision."""
    spec = setting.spec
    half = Rounded(outputs.origin, outputs.about, outputs.parts, outputs.folder)
    seed = outputs.about["seeds"][0]
    rows, largest = [], 0.0
    for name, method in spec.methods.items():
        if method.gap or method.network != spec.shared or method.needs != {"logits"}:
            continue
        try:
            both = [measured(setting, method, one, manifest, seed) for one in (outputs, half)]
        except NotApplicableError:
            continue
        change = 100 * (both[1][list(METRICS)] - both[0][list(METRICS)])
        for row, values in zip(both[0].to_dict("records"), change.to_numpy(), strict=True):
            if row["ood_set"] == WHOLE:
                rows.append([f"{name} {row['aggregation']}", *(f"{value:+.4f}" for value in values)])
                largest = max(largest, float(np.abs(values).max()))
    print("half precision minus single precision, in points")
    print(table(["detector", *METRICS], rows))
    print(f"largest: {largest:.4f}; the limit for a default is {LIMIT}", end="\n\n")


def variance(manifest: Manifest, make: ScenePass, seed: int) -> None:
    """Print the metrics of both variances."""
    network, scenes = make.placed[seed_name(seed)], manifest.preparation.scenes
    assert scenes is not None
    collected = {name: (PerImageMean(), PooledThresholds()) for name in ("before", "after")}
    scores: dict[str, list[tuple[str, Any, Any, Any]]] = {name: [] for name in collected}
    rows = manifest.of("test")
    pixels = ScenePixels(manifest.files(rows), make.edges[:1], make.longest, manifest.preparation.orientation)
    for place, (scene, file) in enumerate(zip(rows["id"], manifest.files(rows, LABEL), strict=True)):
        ids = scenes.label_map.apply(read_labels(file), file.path)
        inputs = make.preprocessing.normalise(pixels[place][0][None].to(make.forward.torch_device))
        with torch.inference_mode():
            masked = list(network.dropout_passes(network.encode(inputs), PASSES, place))
        before = upsample(posterior_variance(masked)[:, None].float(), ids.shape)[0, 0]
        after = posterior_variance(upsample(one, ids.shape) for one in masked)[0]
        for name, score in {"before": before, "after": after}.items():
            frame = (score.cpu().numpy(), ids == ANOMALY, ids != VOID)
            collected[name][0].add(scene, *frame)
            collected[name][1].add(*frame, image=scene)
            scores[name].append((scene, *frame))
    shown = []
    for name, (mean, thresholds) in collected.items():
        counts = thresholds.counts()
        for scene, *frame in scores[name]:
            counts.add(*frame, image=scene)
        per_image = [one.metrics for one in mean.results.values()]
        means = [100 * float(np.mean([getattr(one, field) for one in per_image])) for field in ("fpr", "auroc", "aupr")]
        pooled = counts.metrics()
        shown.append([f"{name} up-sampling, per image", *(f"{value:.2f}" for value in means)])
        whole = [100 * value for value in (pooled.fpr, pooled.auroc, pooled.aupr)]
        shown.append([f"{name} up-sampling, pooled", *(f"{value:.2f}" for value in whole)])
    print("variance over dropout masks, metrics in percent")
    print(table(["variance", *METRICS], shown), end="\n\n")


def main() -> None:
    """Print both comparisons."""
    setting, products = finished("segmentation")
    with tempfile.TemporaryDirectory() as folder:
        outputs, make = passed(setting, products, folder)
        storage(setting, products["manifest"], outputs)
        if "dropout" in setting.spec.networks[setting.spec.shared].gives:
            variance(products["manifest"], make, outputs.about["seeds"][0])


if __name__ == "__main__":
    main()
