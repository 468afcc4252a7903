"""Keys of what is made of a multi-label benchmark; its record is that of whole images, `preparation.Preparation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scaling_ood.images import Preprocessing
from scaling_ood.models import architecture, published_digest
from scaling_ood.parameters.multi_label import LabelExtractionSpec, MultiLabelModelSpec
from scaling_ood.plans import digest
from scaling_ood.preparation import Preparation

TRAINED_ON = ("train", "fit")
"""Image sets that a training sees: to learn from, and to choose the best epoch on."""


def label_preprocessing(spec: MultiLabelModelSpec, prepared: Preparation) -> Preprocessing:
    """Preprocessing of the backbone's weights, at the network's input size; of test images."""
    own = replace(architecture(spec.architecture).preprocessing.at(spec.input_px), orientation=prepared.orientation)
    return own.squashed() if spec.squash else own


def label_features_key(preparation: Preparation, spec: MultiLabelModelSpec) -> str:
    """Key of the cached features that heads are trained on."""
    sets = {name: preparation.digests[name] for name in TRAINED_ON}
    return digest(sets, published_digest(spec.architecture), label_preprocessing(spec, preparation))


def label_model_key(preparation: Preparation, spec: MultiLabelModelSpec) -> str:
    """Key of the trained networks."""
    # So that keys from before this option was there stay what they were.
    unused = {"best_epoch"} if spec.best_epoch == "validation" else set()
    options = spec.model_dump(mode="json", exclude={"least_map", *unused})
    sets = {name: preparation.digests[name] for name in TRAINED_ON}
    weights = published_digest(spec.architecture)
    return digest(options, weights, label_preprocessing(spec, preparation), sets, preparation.classes)


def label_outputs_key(
    preparation: Preparation, spec: MultiLabelModelSpec, extraction: LabelExtractionSpec, fields: Sequence[str]
) -> str:
    """Key of the stored outputs; the dropout masks count only where they are made."""
    unused = set() if "posterior_variance" in fields else {"dropout_passes", "dropout_seed"}
    sets = {name: preparation.digests[name] for name in preparation.extracted_sets}
    noise = {name: options.model_dump(mode="json") for name, options in preparation.noise.items()}
    options = extraction.model_dump(mode="json", exclude=unused)
    model = label_model_key(preparation, spec)
    return digest(model, label_preprocessing(spec, preparation), sets, noise, options, list(fields))
