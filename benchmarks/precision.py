"""What bf16 does to the metrics and to the speed, on a finished benchmark.

Run: `python benchmarks/precision.py [ENV] [data_root=DIR]` after `kedro run [--env ENV]`; base is the default. The test
images and each OOD set (at most 120 images each) go through the trained network in float32 and in bf16; the detectors
are fitted on at most 720 images. `distinct` counts the distinct scores of the in-distribution test: bf16 rounds many
together.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from timing import table

from scaling_ood.detectors import NotApplicableError, Outputs, OutputsList, build_detector
from scaling_ood.images import Loading
from scaling_ood.metrics import detection_metrics
from scaling_ood.models import Forward, assemble
from scaling_ood.pipelines.extraction import Extraction, image_set_of
from scaling_ood.preparation import Preparation, preprocessing_of
from scaling_ood.structure import detectors_of, setting_specs

MOST_IMAGES = 120
FIT_IMAGES = 720
PRECISIONS = ("float32", "bf16")


def finished(env: str | None, params: dict[str, Any]) -> tuple[Any, ...]:
    """Specification, manifest, preparation and model of the benchmark."""
    root = Path(__file__).parents[1]
    bootstrap_project(root)
    with KedroSession.create(root, env=env, runtime_params=params) as session:
        catalog = session.load_context().catalog
        spec = setting_specs()["multi_class"]
        manifest, record = catalog["multi_class.manifest"].load(), catalog["multi_class.preparation"].load()
        return spec, manifest, Preparation.model_validate(record), catalog["multi_class.model"].load()


def outputs(spec: Any, manifest: pd.DataFrame, prepared: Preparation, model: Any, precision: Any) -> tuple[Any, float]:
    """Logits by image set, of the first classifier, and images per second."""
    variants = prepared.variants(spec.model)
    network = assemble(spec.model.architecture, spec.model.training, variants, model.states())
    forward = Forward("auto", precision, channels_last=True)
    extraction = Extraction(
        manifest, prepared, preprocessing_of(spec.model, prepared), forward, Loading(), ("logits",), 100_000
    )
    started = time.perf_counter()
    logits: dict[str, list[torch.Tensor]] = {}
    for name, tensors in extraction.produce(network, extraction.parts(prepared.extracted_sets)):
        logits.setdefault(image_set_of(name), []).append(tensors[f"{variants[0].name}/logits"])
    seconds = time.perf_counter() - started
    return {name: torch.cat(parts) for name, parts in logits.items()}, len(manifest) / seconds


def measured(name: str, options: Any, logits: dict[str, torch.Tensor], prepared: Preparation) -> tuple[float, ...]:
    """AUROC, AUPR and FPR95 in percent, means over the OOD sets, and the number of distinct test scores."""
    groups = torch.tensor(prepared.group_of_class) if prepared.groups else None
    detector = build_detector(name, **options).fit(OutputsList([Outputs(logits["fit"])], groups))
    scores = {image_set: detector.score(Outputs(part)).numpy() for image_set, part in logits.items()}
    known, values = scores["test"], []
    for ood_set in prepared.ood:
        joined = np.concatenate([known, scores[ood_set]])
        values.append(detection_metrics(joined, np.arange(len(joined)) >= len(known)))
    return (*(100 * np.mean(values, axis=0)), len(np.unique(known)))


def main() -> None:
    """Print each detector's metrics in both precisions, and the difference."""
    params = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    env = next((argument for argument in sys.argv[1:] if "=" not in argument), None)
    spec, manifest, prepared, model = finished(env, params)
    kept = manifest[manifest["image_set"].isin(prepared.extracted_sets)]
    few = kept.groupby("image_set", sort=False).head(MOST_IMAGES)
    fit = kept[kept["image_set"].eq("fit")]
    fit = fit.sample(min(FIT_IMAGES, len(fit)), random_state=0)
    kept = kept[kept.index.isin(fit.index) | (kept.index.isin(few.index) & kept["image_set"].ne("fit"))]
    prepared = prepared.model_copy(update={"images": kept.groupby("image_set").size().to_dict()})
    results, speeds = {}, {}
    for precision in PRECISIONS:
        logits, speeds[precision] = outputs(spec, kept, prepared, model, precision)
        for name in detectors_of(spec):
            try:
                results[name, precision] = measured(name, spec.detectors[name], logits, prepared)
            except NotApplicableError:
                continue
    rows = []
    for name in dict.fromkeys(name for name, _ in results):
        full, half = results[name, "float32"], results[name, "bf16"]
        metrics = [f"{b:.2f} ({b - a:+.2f})" for a, b in zip(full[:3], half[:3], strict=True)]
        rows.append([name, *metrics, f"{half[3]:,.0f} of {full[3]:,.0f}"])
    print(f"bf16 against float32: {spec.identity.benchmark}, means over {', '.join(prepared.ood)}")
    print(table(["bf16 % (difference to float32)", "AUROC", "AUPR", "FPR95", "distinct"], rows))
    print(", ".join(f"{precision}: {speed:.0f} images/s" for precision, speed in speeds.items()), end="\n\n")


if __name__ == "__main__":
    main()
