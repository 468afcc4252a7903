"""The node of packaging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from scaling_ood.parameters.setting import SettingSpec
from scaling_ood.products.keys import keyed
from scaling_ood.products.packages import Package
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Scores
from scaling_ood.products.stored import StoredModel, StoredShards
from scaling_ood.tasks import Task
from scaling_ood.tasks.packing import pack


def _what_is_packaged(given: Mapping[str, Any]) -> Any:
    return given["spec"].packaging.what_matters()


@keyed(manifest=lambda given: given["manifest"].contents(["test"]), spec=_what_is_packaged)
def package_detector(
    task: Task,
    spec: SettingSpec,
    manifest: Manifest,
    model: StoredModel,
    outputs: StoredShards,
    scores: Scores,
    results: pd.DataFrame,
) -> Package:
    """A detector with its network and a threshold, to be taken elsewhere.

    Args:
        task: Of the setting.
        spec: Its parameters.
        manifest: All images.
        model: The network that the detector reads.
        outputs: What that left.
        scores: Of the detector.
        results: The setting's results table.
    """
    return pack(task, spec, manifest, model, outputs, scores, results)
