"""Nodes of score extraction for multi-label images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.images.multi_label import is_labelled, targets
from scaling_ood.label_preparation import label_model_key, label_outputs_key, label_preprocessing
from scaling_ood.metrics import mean_average_precision
from scaling_ood.metrics.contradiction import contradiction
from scaling_ood.models import Forward, assemble_multilabel
from scaling_ood.networks import SHARED, network_words
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.multi_label import LabelExtractionSpec, MultiLabelModelSpec
from scaling_ood.pipelines.extraction import (
    Detectors,
    DropoutPasses,
    Extraction,
    Tensors,
    fields_for,
    loading_of,
    refuse_unmade,
)
from scaling_ood.pipelines.score_extraction.nodes import StoredOutputs, WrongModelError, fit_variants, tell
from scaling_ood.plans import Part, Plan
from scaling_ood.preparation import Preparation, refuse_stale, scores_key
from scaling_ood.scores import Scores

LABEL_MADE = frozenset({"logits", "features", "posterior_variance"})
"""Outputs that the forward pass over multi-label images can store."""


def plan_label_outputs(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: MultiLabelModelSpec,
    extraction: LabelExtractionSpec,
    detectors: Detectors,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
) -> Plan[Tensors]:
    """Plan one forward pass per image, which feeds every detector."""
    prepared = Preparation.model_validate(preparation)
    refuse_stale(model, label_model_key(prepared, spec), f"{identity.setting}.model")
    forward = Forward(runtime.device, extraction.precision, runtime.channels_last)
    fields = fields_for(detectors, LABEL_MADE)
    pass_over = Extraction(
        manifest,
        prepared,
        label_preprocessing(spec, prepared),
        forward,
        loading_of(runtime),
        fields,
        extraction.shard_images,
        dropout=DropoutPasses(extraction.dropout_passes, extraction.dropout_seed),
        setting=identity.setting,
        network=network_words(SHARED, spec.architecture),
    )
    key = label_outputs_key(prepared, spec, extraction, fields)
    return Plan(
        key,
        pass_over.parts(prepared.extracted_sets),
        partial(_outputs, pass_over, spec, model),
        pass_over.about(spec.architecture),
    )


def check_map(
    outputs: StoredShards,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: MultiLabelModelSpec,
    identity: IdentitySpec,
) -> dict[str, Any]:
    """Mean average precision on the labelled fit and test images, before any detector is looked at.

    The fit images chose the epoch; the test images did not, but may have no labels.

    Returns:
        `map`: on the test images where any is labelled, else on the fit images, mean over the seeds; the same per image
        set in `by_set`, with its number of `images`; `averaging`; `least_map`; `warning` where the two contradict
        each other.

    Raises:
        WrongModelError: The mAP of a seed falls short of the least that was asked for.
    """
    prepared = Preparation.model_validate(preparation)
    by_set: dict[str, list[float]] = {}
    images = {}
    for image_set in ("fit", "test"):
        rows = manifest[manifest["image_set"] == image_set]
        known = is_labelled(rows).to_numpy()
        if not known.any():
            continue
        present = targets(rows[known], prepared.classes)
        images[image_set] = int(known.sum())
        for variant in prepared.variants(spec):
            chunks = StoredOutputs(outputs, image_set, variant.name)
            logits = torch.cat([chunk.logits for chunk in chunks]).numpy()[known]
            found = mean_average_precision(logits, present, spec.averaging).mean
            by_set.setdefault(image_set, []).append(float(found))
    judged = "test" if "test" in by_set else "fit"
    if min(by_set[judged]) < spec.least_map:
        raise WrongModelError(
            f"{identity.setting}: mAP {min(by_set[judged]):.1%} on {images[judged]:,} {judged} images is under the "
            f"{spec.least_map:.1%} that is asked for (model.least_map): check weights, preprocessing and annotations"
        )
    means = {name: float(np.mean(values)) for name, values in by_set.items()}
    warning = contradiction("mAP", means["test"], means["fit"], "the fit images") if len(means) > 1 else ""
    tell(warning)
    rules = {"averaging": spec.averaging, "least_map": spec.least_map}
    return {"map": means[judged], "judged_on": judged, "by_set": means, "images": images, "warning": warning, **rules}


def fit_and_score_labels(
    outputs: StoredShards,
    accuracy: dict[str, Any],  # noqa: ARG001 - no score before the model was checked
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: MultiLabelModelSpec,
    extraction: LabelExtractionSpec,
    detectors: Detectors,
    identity: IdentitySpec,
    options: dict[str, Any],
    detector: str,
) -> Scores:
    """Fit one detector on the fit images and score every test image, for each network.

    Raises:
        StaleProductError: The outputs were made from other inputs.
        NonFiniteScoreError: A score is NaN; names detector, image and count.
    """
    prepared = Preparation.model_validate(preparation)
    key = label_outputs_key(prepared, spec, extraction, fields_for(detectors, LABEL_MADE))
    refuse_stale(outputs, key, f"{identity.setting}.outputs")

    def view(variant: Any) -> StoredOutputs:
        return StoredOutputs(outputs, "fit", variant.name)

    variants, refuse = prepared.variants(spec), partial(refuse_unmade, made=LABEL_MADE)
    return fit_variants(
        outputs, manifest, prepared, variants, view, (detector, options), scores_key(key, detector, options), refuse
    )


def _outputs(
    extraction: Extraction, spec: MultiLabelModelSpec, model: StoredModel, missing: Sequence[Part]
) -> Iterator[tuple[str, Tensors]]:
    variants = extraction.preparation.variants(spec)
    states = {variant.name: model.states()[f"{variant.name}.best"] for variant in variants}
    network = assemble_multilabel(
        spec.architecture, spec.training, variants, states, width=spec.width, dropout=spec.dropout
    )
    yield from extraction.produce(network, missing)
