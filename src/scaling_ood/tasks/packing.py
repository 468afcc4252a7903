"""A detector with its network and a threshold, packed for use elsewhere; see `deployed` for what opens it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from scaling_ood.evaluation.learned import learned_of
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.parameters.setting import SettingSpec
from scaling_ood.products.packages import Package
from scaling_ood.products.preparation import Findings, Manifest
from scaling_ood.products.scores import Scores
from scaling_ood.products.stored import StoredModel, StoredShards
from scaling_ood.tasks.task import Task

_PROJECT = "scaling-ood"
_NOT_NEEDED = {"places": {}, "found": Findings(), "digests": {}, "sources": {}, "noise": {}}
"""Of the record of the images: where they are, and what was noticed of them."""


class NotPackagedError(ValueError):
    """A detector without a meaning on the benchmark, or without a network, cannot be packaged."""


def pack(
    task: Task,
    spec: SettingSpec,
    manifest: Manifest,
    model: StoredModel,
    outputs: StoredShards,
    scores: Scores,
    results: pd.DataFrame,
) -> Package:
    """Pack the detector that the parameters name, on the network of the first seed.

    Args:
        task: Of the setting.
        spec: Its parameters.
        manifest: All images.
        model: The network that the detector reads.
        outputs: What that left.
        scores: Of the detector.
        results: The setting's results table.

    Raises:
        NotPackagedError: The detector has no meaning here, or there is no network.
        TooFewScoresError: There are too few in-distribution test images for the rate of false alarms.
    """
    method, packaging, prepared = spec.packaged, spec.packaging, manifest.preparation
    if scores.gap:
        raise NotPackagedError(
            f"{task.name}: the detector {method.name} cannot be packaged: {scores.gap}. Name another one: "
            f"{task.name}.packaging.detector"
        )
    if prepared.given:
        raise NotPackagedError(f"{task.name}: a detector is packaged with its network, and here are outputs alone")
    network, seed = spec.networks[method.network], scores.seeds[0]
    files = network.registered.files if network.registered else ()
    if network.registered and network.registered.identity and not files:
        raise NotPackagedError(
            f"{task.name}: '{network.architecture}' is not on this machine as files of its own; save it into a folder "
            "(save_pretrained), and name that"
        )
    folder = files[0].parent if files else Path()
    switches = spec.detectors
    other = getattr(switches[method.name], "logits_of", None)
    chosen = {name: switches[name] for name in filter(None, (method.name, other))}
    about = {
        "setting": task.name,
        "benchmark": prepared.benchmark,
        "detector": method.name,
        "detectors": {name: each and each.model_dump(mode="json") for name, each in chosen.items()},
        # The order is applied already; the name is one within the package.
        "network": network.model_dump(mode="json") | {"class_order": "", "architecture": _inside(network, files)},
        "class_order": list(model.about.get("class_order", ())),
        "seed": seed,
        "preparation": prepared.model_copy(update=_NOT_NEEDED).model_dump(mode="json"),
        "class_names": list(task.class_names(outputs, prepared)),
        **{name: outputs.about[name] for name in ("precision", "stored")},
        "model": scores.about["model"],
        "weights": scores.about["weights"],
        "threshold": task.threshold(method, scores, outputs, manifest, packaging.false_alarm_rate),
        "limits": {
            "images": packaging.most_images,
            "megabytes": packaging.most_megabytes,
            "megapixels": packaging.most_megapixels,
        },
        "requirement": packaging.requirement or f"{_PROJECT}=={version(_PROJECT)}",
    }
    return Package(
        packaging.name or f"{_PROJECT}-{prepared.benchmark}-{task.name}",
        about,
        task.packed(network, model, manifest),
        learned_of(method.build(), task.fit_view(outputs, manifest, method, seed)),
        results[results["detector"] == method.name].reset_index(drop=True),
        {each.relative_to(folder).as_posix(): each for each in files},
    )


def _inside(network: NetworkSpec, files: Sequence[Path]) -> str:
    """The network's name, relative to the folder of its files where it has any: `onnx:mine.onnx`, or `hf:`."""
    if not files:
        return network.architecture
    source, _, place = network.architecture.partition(":")
    own = Path(place).expanduser()
    return f"{source}:{own.name if own.is_file() else ''}"
