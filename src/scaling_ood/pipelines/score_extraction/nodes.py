"""Nodes of score extraction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from scaling_ood.datasets import StoredModel, StoredShards
from scaling_ood.detectors import (
    Detector,
    LinearHead,
    NonFiniteOutputError,
    NotApplicableError,
    Outputs,
    build_detector,
)
from scaling_ood.detectors.base import no_numbers
from scaling_ood.images.wording import in_bytes, listed
from scaling_ood.metrics import NonFiniteScoreError
from scaling_ood.metrics.contradiction import contradiction
from scaling_ood.models import Forward, Variant, architecture, assemble
from scaling_ood.networks import IMAGES, SHARED, image_networks, network_of, network_words
from scaling_ood.parameters.common import IdentitySpec, RuntimeSpec
from scaling_ood.parameters.multi_class import ClassifierNetworksSpec, ExtractionSpec, ModelSpec
from scaling_ood.pipelines.extraction import (
    Detectors,
    Extraction,
    Tensors,
    image_fields,
    image_set_of,
    loading_of,
    product_name,
    refuse_unmade,
    stored_bytes,
)
from scaling_ood.plans import Part, Plan
from scaling_ood.preparation import (
    Preparation,
    model_key,
    network_key,
    outputs_key,
    preprocessing_of,
    refuse_stale,
    scores_key,
)
from scaling_ood.scores import Scores

_logger = logging.getLogger(__name__)

HEADS = "heads"
"""Part of the outputs that holds each classifier's last layer, for detectors that change the features before it."""

_SLOW_SECONDS = 3
"""Scoring an image set shows its progress after so long: most detectors are done before."""


class DetectorError(ValueError):
    """A detector cannot learn from what it is given, or cannot score it."""


class WrongModelError(ValueError):
    """The model is less accurate than it is known to be, so that no score of it means anything."""


def plan_outputs(
    model: StoredModel,
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    extraction: ExtractionSpec,
    detectors: Detectors,
    runtime: RuntimeSpec,
    identity: IdentitySpec,
) -> Plan[Tensors]:
    """Plan one forward pass per image, which feeds every detector."""
    prepared = Preparation.model_validate(preparation)
    refuse_stale(model, model_key(prepared, spec), f"{identity.setting}.model")
    stored = image_fields(detectors, spec.training)
    pass_over = output_pass(manifest, prepared, spec, extraction, runtime, stored, identity)
    _tell_disk_use(pass_over, spec)
    key = outputs_key(prepared, spec, extraction, stored)
    heads = [Part(HEADS, 0)] if "features" in stored else []
    parts = [*heads, *pass_over.parts(prepared.extracted_sets)]
    return Plan(key, parts, partial(_outputs, pass_over, spec, model), pass_over.about(spec.architecture))


def output_pass(
    manifest: pd.DataFrame,
    prepared: Preparation,
    spec: ModelSpec,
    extraction: ExtractionSpec,
    runtime: RuntimeSpec,
    fields: Sequence[str],
    identity: IdentitySpec,
    kind: str = SHARED,
) -> Extraction:
    """One pass over images that keeps these fields, of the networks of one kind."""
    return Extraction(
        manifest,
        prepared,
        preprocessing_of(spec, prepared),
        Forward(runtime.device, extraction.precision, runtime.channels_last),
        loading_of(runtime),
        fields,
        extraction.shard_images,
        extraction.odin,
        stored=getattr(torch, extraction.stored),
        setting=identity.setting,
        network=network_words(kind, spec.architecture),
    )


def _tell_disk_use(extraction: Extraction, spec: ModelSpec) -> None:
    """Say what the outputs will take, before the first image is read."""
    prepared = extraction.preparation
    features = architecture(spec.architecture).features
    widths = [
        features if each == "features" else variant.classes
        for variant in prepared.variants(spec)
        for each in extraction.fields
    ]
    images = {name: prepared.images[name] for name in prepared.extracted_sets}
    sizes = stored_bytes(images, widths, extraction.stored)
    for name, size in sizes.items():
        _logger.info("Outputs of %s: %s images, %s", name, f"{images[name]:,}", in_bytes(size))
    _logger.info(
        "Outputs take %s on disk when all are there: %s (%s). extraction.stored: float16 halves it, and what only a "
        "detector that is off would read is not kept",
        in_bytes(sum(sizes.values())),
        ", ".join(extraction.fields),
        str(extraction.stored).removeprefix("torch."),
    )


def check_accuracy(
    outputs: StoredShards, manifest: pd.DataFrame, preparation: dict[str, Any], spec: ModelSpec, identity: IdentitySpec
) -> dict[str, Any]:
    """Top-1 accuracy of every classifier on the fit and test images, before any detector is looked at.

    None of these images was trained on here: where the fit images were, they are left out.

    Returns:
        `top1`: variant to accuracy, a fraction; `by_set`: the same of each of these image sets, means of the first
        kind of labels; `warning` where these contradict each other; the least accuracy that was asked for.

    Raises:
        WrongModelError: The first kind of labels falls short of it.
    """
    counts = correct_of(outputs, manifest, Preparation.model_validate(preparation), spec)
    top1, images = top1_of(counts)
    worst = min(of_first_labels(top1, spec))
    if worst < spec.least_top1:
        raise WrongModelError(
            f"{identity.setting}: top-1 accuracy {worst:.1%} on {images:,} in-distribution images is "
            f"under the {spec.least_top1:.1%} that {spec.architecture} is known for (model.least_top1): check weights, "
            "preprocessing and the order of the classes"
        )
    by_set = {name: float(np.mean(of_first_labels(top1_of({name: own})[0], spec))) for name, own in counts.items()}
    warning = ""
    if "fit" in counts:
        sizes = (counts["test"].images, counts["fit"].images)
        warning = contradiction("top-1 accuracy", by_set["test"], by_set["fit"], "the fit images", sizes)
    tell(warning)
    return {"top1": top1, "least_top1": spec.least_top1, "images": images, "by_set": by_set, "warning": warning}


def tell(warning: str) -> None:
    """Say on the terminal what the report says too, if there is anything."""
    if warning:
        _logger.warning(warning)


def fit_and_score(  # noqa: PLR0913, PLR0917 - Kedro hands over one by one what a score depends on
    outputs: StoredShards,
    accuracy: dict[str, Any],  # noqa: ARG001 - no score before the model was checked
    manifest: pd.DataFrame,
    preparation: dict[str, Any],
    spec: ModelSpec,
    networks: ClassifierNetworksSpec,
    extraction: ExtractionSpec,
    detectors: Detectors,
    identity: IdentitySpec,
    options: dict[str, Any],
    detector: str,
) -> Scores:
    """Fit one detector on the fit images and score every test image, for each classifier.

    The outputs and the accuracy are those of the network that the detector reads.

    Raises:
        StaleProductError: The outputs were made from other inputs.
        NonFiniteScoreError: A score is NaN; names detector, image and count.
    """
    prepared = Preparation.model_validate(preparation)
    key = detector_outputs_key(prepared, spec, networks, extraction, detectors, detector)
    network = network_of(detector, image_networks(spec.training))
    refuse_stale(outputs, key, product_name(identity, network, "outputs"))
    return fit_variants(
        outputs,
        manifest,
        prepared,
        prepared.variants(spec),
        partial(_fit_view, outputs, manifest, prepared),
        (detector, options),
        scores_key(key, detector, options),
        partial(_refuse, spec=spec, network=network),
    )


def detector_outputs_key(
    prepared: Preparation,
    spec: ModelSpec,
    networks: ClassifierNetworksSpec,
    extraction: ExtractionSpec,
    detectors: Detectors,
    detector: str,
) -> str:
    """Key of the outputs that a detector reads."""
    network = network_of(detector, image_networks(spec.training))
    fields = image_fields(detectors, spec.training, network)
    return outputs_key(prepared, spec, extraction, fields, network_key(prepared, spec, networks, network))


def fit_variants(
    outputs: StoredShards,
    manifest: pd.DataFrame,
    prepared: Preparation,
    variants: Sequence[Variant],
    fit_view: Callable[[Variant], StoredOutputs],
    method: tuple[str, dict[str, Any]],
    key: str,
    refuse: Callable[[Detector], None],
) -> Scores:
    """Scores of one detector, by its name and options, for each network; see `fit_and_score`."""
    detector, options = method
    ids = {name: rows["id"].to_numpy() for name, rows in manifest.groupby("image_set", sort=False)}
    blocks, gaps, diagnostics = [], {}, {}
    started, scored = time.perf_counter(), 0
    for variant in variants:
        built = build_detector(detector, **options)
        try:
            refuse(built)
            view = fit_view(variant)
            with naming(built, view, ids["fit"].tolist()):
                built.fit(view)
        except NotApplicableError as reason:
            gaps[variant.labels] = f"not applicable: {reason}"
            continue
        diagnostics[variant.name] = built.diagnostics()
        for image_set in prepared.scored_sets:
            block = _score_set(built, StoredOutputs(outputs, image_set, variant.name), ids[image_set])
            blocks.append(block.assign(image_set=image_set, labels=variant.labels, seed=variant.seed))
            scored += len(block)
    frame = pd.concat(blocks, ignore_index=True) if blocks else _no_scores()
    speed = scored / (time.perf_counter() - started)
    return Scores(detector, options, key, frame, gaps, diagnostics, speed)


@dataclass(frozen=True)
class StoredOutputs:
    """One classifier's outputs for one image set, read shard by shard; see `OutputsView`."""

    shards: StoredShards
    image_set: str
    variant: str
    class_groups: torch.Tensor | None = None
    labels: torch.Tensor | None = None

    @property
    def head(self) -> LinearHead | None:
        """The classifier's last layer, where it is stored."""
        if HEADS not in self.shards.parts:
            return None
        stored = self.shards.read(HEADS)
        return LinearHead(stored[f"{self.variant}/weight"], stored[f"{self.variant}/bias"])

    @property
    def names(self) -> list[str]:
        """The shards of the image set, one chunk each."""
        return [name for name in self.shards.parts if image_set_of(name) == self.image_set]

    def __iter__(self) -> Iterator[Outputs]:
        """Chunks in the order of the manifest."""
        for name in self.names:
            tensors = self.shards.read(name)
            own = {
                f.name: tensors[f"{self.variant}/{f.name}"].float()
                for f in fields(Outputs)
                if f"{self.variant}/{f.name}" in tensors
            }
            yield Outputs(**own)


class Correct(NamedTuple):
    """How many images there are, and of how many the largest logit is their class, by variant."""

    images: int
    by_variant: dict[str, int]


def correct_of(
    outputs: StoredShards, manifest: pd.DataFrame, prepared: Preparation, spec: ModelSpec
) -> dict[str, Correct]:
    """Of each image set that was not trained on."""
    counts = {}
    for name in prepared.judged_sets:
        fine = torch.tensor(manifest.loc[manifest["image_set"] == name, "label"].to_numpy())
        correct = {}
        for variant in prepared.variants(spec):
            labels = fine if variant.labels == "fine" else torch.tensor(prepared.group_of_class)[fine]
            predicted = torch.cat([chunk.logits.argmax(dim=1) for chunk in StoredOutputs(outputs, name, variant.name)])
            correct[variant.name] = int((predicted == labels).sum())
        counts[name] = Correct(len(fine), correct)
    return counts


def top1_of(counts: Mapping[str, Correct]) -> tuple[dict[str, float], int]:
    """Share of the images of all sets that are right, by variant; and how many images."""
    images = sum(own.images for own in counts.values())
    variants = next(iter(counts.values())).by_variant
    return {name: sum(own.by_variant[name] for own in counts.values()) / images for name in variants}, images


def of_first_labels(top1: Mapping[str, float], spec: ModelSpec) -> list[float]:
    """Of the variants that the results table shows."""
    return [value for name, value in top1.items() if name.startswith(f"{spec.labels[0]}_")]


def _refuse(detector: Detector, spec: ModelSpec, network: str) -> None:
    if detector.network != network and spec.training == "none" and detector.network in IMAGES:
        raise NotApplicableError(
            f"its network ({detector.network}) is trained on the benchmark's images, and this benchmark trains none"
        )
    refuse_unmade(detector, IMAGES[network], network)


def _outputs(
    extraction: Extraction, spec: ModelSpec, model: StoredModel, missing: Sequence[Part]
) -> Iterator[tuple[str, Tensors]]:
    variants: list[Variant] = extraction.preparation.variants(spec)
    network = assemble(spec.architecture, spec.stored, variants, model.states())
    if any(part.name == HEADS for part in missing):
        layers = {name: LinearHead.of(layer)._asdict() for name, layer in network.last_layers().items()}
        yield HEADS, {f"{name}/{kind}": tensor for name, layer in layers.items() for kind, tensor in layer.items()}
    yield from extraction.produce(network, [part for part in missing if part.name != HEADS])


def _fit_view(outputs: StoredShards, manifest: pd.DataFrame, prepared: Preparation, variant: Variant) -> StoredOutputs:
    """What a detector may learn from: the fit images with their classes, and what the classes have in common."""
    fine = torch.tensor(manifest.loc[manifest["image_set"] == "fit", "label"].to_numpy())
    groups = torch.tensor(prepared.group_of_class)
    if variant.labels == "fine":
        return StoredOutputs(outputs, "fit", variant.name, groups if prepared.groups else None, fine)
    return StoredOutputs(outputs, "fit", variant.name, None, groups[fine])


def _score_set(built: Detector, view: StoredOutputs, ids: Any) -> pd.DataFrame:
    what = f"{built.name}, {view.image_set}, {view.variant}"
    chunks = tqdm(view, what, len(view.names), unit="shard", mininterval=1, delay=_SLOW_SECONDS)
    with naming(built, view, list(ids)):
        score = torch.cat([built.score(chunk) for chunk in chunks]).double().numpy()
    frame = pd.DataFrame({"id": ids, "score": score})
    missing = frame["score"].isna()
    if missing.any():
        owner = f"detector {built.name} in {view.image_set} (image {frame.loc[missing, 'id'].iloc[0]})"
        raise NonFiniteScoreError(int(missing.sum()), len(frame), int(missing.to_numpy().argmax()), owner)
    if infinite := int(np.isinf(score).sum()):
        _logger.warning("%s: %s of %s scores are infinite: they rank first or last", what, infinite, len(score))
    return frame


@contextmanager
def naming(detector: Detector, view: StoredOutputs, ids: Sequence[str]) -> Iterator[None]:
    """Put detector, network and images into what libraries say of numbers that they cannot work with.

    Args:
        detector: That works.
        view: What it is given.
        ids: Of all images of the view.

    Raises:
        DetectorError: In place of such an error.
    """
    try:
        yield
    except NonFiniteOutputError as error:
        every = [getattr(chunk, error.field) for chunk in view]
        bad = no_numbers(torch.cat(every), finite=view.image_set == "fit" or error.field == "features")
        raise DetectorError(
            f"detector {detector.name}: the {error.field} of {len(bad):,} of {len(ids):,} images of {view.image_set} "
            f"are NaN or infinite ({listed([str(ids[row]) for row in bad], most=3)}; {view.variant}). Delete "
            f"{view.shards.folder}: the next run makes the outputs anew, and says what they come from"
        ) from error
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise DetectorError(f"detector {detector.name}, {view.image_set} images, {view.variant}: {error}") from error


def _no_scores() -> pd.DataFrame:
    columns = {"id": "str", "score": "float64", "image_set": "str", "labels": "str", "seed": "int64"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
