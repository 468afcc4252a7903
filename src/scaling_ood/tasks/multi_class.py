"""Multi-class: every image shows one class, and detectors score whole images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from miniatures import MiniatureSpec, folders, render_folder, rendering_workers
from scaling_ood.cores import usable_cores
from scaling_ood.evaluation.chunks import ImageOutputs, seed_name, shards_of
from scaling_ood.evaluation.examples import low_confidence_examples
from scaling_ood.evaluation.facts import Facts
from scaling_ood.evaluation.granularity import dispersal_by_targets, methods_by_targets
from scaling_ood.evaluation.passes import loading_of
from scaling_ood.images import LAYOUTS, LayoutError, Photographs
from scaling_ood.images.class_lists import class_list
from scaling_ood.images.manifest import PartitionError
from scaling_ood.images.one_sided import refuse_one_sided_classes, untested_classes
from scaling_ood.metrics.contradiction import contradiction
from scaling_ood.models import ClassHead, Forward, Head
from scaling_ood.parameters.common import RenderingSpec, ReportingSpec, RuntimeSpec
from scaling_ood.parameters.data_sets import DataSpec, FolderSpec, NoiseSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.multi_class import ClassifierSpec, MultiClassSpec
from scaling_ood.parameters.setting import SettingSpec
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.preparation import Classes, Manifest, Preparation
from scaling_ood.products.scores import Quality
from scaling_ood.products.stored import StoredShards
from scaling_ood.report import Illustration, dispersal_figure
from scaling_ood.tasks.drafts import Said
from scaling_ood.tasks.drafts.whole_images import draft_classes
from scaling_ood.tasks.image_sets import (
    KnownImages,
    Listed,
    divide,
    folder_of,
    places_of,
    prepare_images,
    readings_of,
    titles_of,
)
from scaling_ood.tasks.reading import read_all
from scaling_ood.tasks.whole_images import WholeImages, all_quarters, stored_features
from scaling_ood.training.classification import Classification, ClassificationRecipe, CrossEntropy, Objective
from scaling_ood.training.confidence import Budget, ConfidenceObjective
from scaling_ood.training.images import AugmentedImages, CachedFeatures, StreamedPixels, TrainingImages
from scaling_ood.training.loop import Lesson
from scaling_ood.training.rotation import RotationObjective, TurnedFeatures, TurnedImages
from scaling_ood.wording import listed as some_of

HELD_BYTES = 4 * 10**9
"""Training images that take more, decoded, are decoded anew for each batch."""


class MultiClassTask(WholeImages):
    """One class per image: ImageNet-1K, ImageNet-21K-P with Species, Places365."""

    name = "multi_class"
    spec = MultiClassSpec
    sigmoid = False

    # Data

    def render(self, fabrication: RenderingSpec[Any]) -> Plan[dict[str, NDArray[np.uint8]]]:
        """Plan the rendering of the miniature: `in_dist/{train,val}/<species>`, `ood/<supercategory>/<species>`."""
        request: MiniatureSpec = fabrication.request()
        sources = {_place(name): name for name in folders(request)}
        parts = [Part(place, folders(request)[name].images) for place, name in sources.items()]
        return Plan(parts, partial(_render, request, sources), {"miniature": vars(request)})

    def targets_of(self, targets: pd.Series[Any], classes: Sequence[str]) -> pd.DataFrame:
        """`label`, -1 where the class is not known, and `class_name`."""
        label = targets.fillna(-1).astype("int64")
        return pd.DataFrame({"label": label, "class_name": [classes[each] if each >= 0 else "" for each in label]})

    def prepare_images(
        self,
        data: DataSpec,
        whose: tuple[str, str],
        roots: Mapping[str, str],
        workers: int,
        curation: pd.DataFrame | None,
    ) -> tuple[Manifest, pd.DataFrame]:
        """List, select, divide and check the images.

        Raises:
            UnfitFoldersError: Folders do not lie as their layouts say; all of them.
            PartitionError: A role gets no image, or fewer than it claims; or classes that no head knows.
            TooManyUnreadableError: The share of unreadable images is above what is tolerated.
            OneSidedLabelsError: Images without a class, or classes that only the test has.
            SharedImagesError: Too many images stand on both sides.
        """
        places = places_of(data)
        dropped = frozenset() if curation is None else frozenset(curation["id"])
        readings = readings_of(data, places, roots, dropped)
        readings[data.in_dist] = readings[data.in_dist]._replace(read=partial(_labelled, readings[data.in_dist].read))
        found = read_all(readings)
        own = data.sets[data.in_dist]
        folder = folder_of(places[data.in_dist], roots)
        classes = _classes(data.in_dist, own, folder, found[data.in_dist].rows)

        def roles(rows: pd.DataFrame) -> KnownImages:
            labelled = divide(rows, data).assign(label=lambda r: r["class_name"].map(classes.index))
            return KnownImages(labelled, classes, _grouped(own, classes))

        return prepare_images(data, whose, places, found, roles, {"label": -1}, _refuse, roots, workers, curation)

    def draft(self, folder: Path, said: Said, library: Collection[str]) -> list[str]:
        """Parameters of a new benchmark of the photographs in a folder."""
        return draft_classes(self.name, folder, said, library)

    # Networks

    def classes(self, network: ClassifierSpec, prepared: Preparation) -> Sequence[str]:
        """Names of the classes, or of the groups that they form."""
        return prepared.of_classes.groups if network.targets == "coarse" else prepared.classes

    def head(self, network: ClassifierSpec, classes: int) -> Callable[[int], Head]:
        """A linear layer; before it perhaps a hidden layer and dropout, beside it perhaps a second task."""
        return partial(
            ClassHead, classes=classes, hidden=network.hidden_width, dropout=network.dropout, second=network.second
        )

    def features_are_the_backbones(self, network: ClassifierSpec) -> bool:
        """Unless there is a hidden layer."""
        return not network.hidden_width

    def quarters(self, network: ClassifierSpec) -> range:
        """All four for a head that learns rotations."""
        return all_quarters() if network.objective == "rotation" else range(1)

    def told(self, network: ClassifierSpec) -> Facts:
        """Recipe, and the accuracy that is stated for published weights."""
        published = network.registered.published_top1 if network.weights == "published" else None
        stated = {"Top-1 accuracy stated by the weights' authors": f"{published:.1%}"} if published else {}
        recipe = {"Epochs": network.epochs, "Label smoothing": network.label_smoothing}
        return {**(recipe if network.source.trains else {}), **stated}

    def lesson(
        self, network: ClassifierSpec, manifest: Manifest, runtime: RuntimeSpec, features: StoredShards | None
    ) -> Lesson[Any]:
        """Cross-entropy of the classes, with a second task where the network has one."""
        recipe = ClassificationRecipe(
            epochs=network.epochs,
            batch_images=network.batch_images,
            learning_rate=network.learning_rate,
            weight_decay=network.weight_decay,
            precision=network.precision,
        )
        device = Forward(runtime.device).torch_device
        images = self._images(network, manifest, runtime, features)
        return Classification(images, _targets(network.targets, manifest, "train"), recipe, device, _objective(network))

    def _images(
        self, network: ClassifierSpec, manifest: Manifest, runtime: RuntimeSpec, features: StoredShards | None
    ) -> TrainingImages:
        """Stored features; or images, read once and for all where memory holds them decoded, else for each batch."""
        device = Forward(runtime.device).torch_device
        if features is not None:
            blocks = [stored_features(features, "train", quarter) for quarter in self.quarters(network)]
            return (
                CachedFeatures(blocks[0], device) if len(blocks) == 1 else TurnedFeatures(torch.stack(blocks), device)
            )
        preprocessing, files = self.preprocessing(network, manifest.preparation), manifest.files(manifest.of("train"))
        source = Photographs(files, preprocessing)
        if len(files) * 3 * preprocessing.crop_px**2 > HELD_BYTES:
            images = AugmentedImages(StreamedPixels(source, runtime.workers), preprocessing, device)
        else:
            batches = loading_of(runtime).batches(source, pin_memory=False)
            images = AugmentedImages(torch.cat(list(batches)), preprocessing, device)
        return TurnedImages(images) if network.objective == "rotation" else images

    def judged(self, logits: torch.Tensor) -> torch.Tensor:
        """The likeliest class, (N,)."""
        return logits.argmax(dim=1)

    def judge(
        self, network: ClassifierSpec, judged: Callable[[str, int], torch.Tensor], manifest: Manifest
    ) -> tuple[list[float], Quality]:
        """Top-1 accuracy on the fit and test images; where fit images were trained on, they are left out.

        Images whose class is not known do not count.
        """
        prepared = manifest.preparation
        targets = {
            name: _targets(network.targets, manifest, name)
            for name in (("test",) if prepared.trained_fit else ("fit", "test"))
        }
        images = {name: known for name, own in targets.items() if (known := int((own >= 0).sum()))}
        right = {name: [int((judged(name, seed) == targets[name]).sum()) for seed in network.seeds] for name in images}
        if not images:
            return [], Quality("top1", None, network.least)
        values = [sum(own) / sum(images.values()) for own in zip(*right.values(), strict=True)]
        by_set = {name: {"top1": float(np.mean([each / images[name] for each in own]))} for name, own in right.items()}
        warning = ""
        if {"fit", "test"} <= by_set.keys():
            shares = (by_set["test"]["top1"], by_set["fit"]["top1"])
            warning = contradiction("top-1 accuracy", *shares, "the fit images", (images["test"], images["fit"]))
        value = float(np.mean(values))
        return values, Quality("top1", value, network.least, by_set, images, warning)

    def chance(self, quality: Quality, manifest: Manifest) -> tuple[float, int]:
        """The share of the commonest class, of the images whose class is known."""
        shown = pd.concat([manifest.of(name)["label"] for name in quality.images]).loc[lambda label: label >= 0]
        return float(shown.value_counts(normalize=True).max()), len(shown)

    def fit_view(self, outputs: StoredShards, manifest: Manifest, method: Method, seed: int) -> ImageOutputs:
        """The fit images with their classes, and what the classes have in common."""
        groups = manifest.preparation.of_classes.group_of_class
        coarse = outputs.about["targets"] == "coarse"
        targets = _targets("coarse" if coarse else "classes", manifest, self.fit_set)
        return ImageOutputs(
            outputs,
            self.fit_set,
            seed_name(seed),
            method.needs,
            torch.tensor(groups) if groups and not coarse else None,
            targets if bool((targets >= 0).all()) else None,
            self.class_names(outputs, manifest.preparation),
        )

    # Results

    def shown_networks(self, spec: SettingSpec) -> Sequence[str]:
        """The shared network, and that of the coarse classes where there is one."""
        return (spec.shared, *_coarse(spec))

    def more(
        self,
        methods: Mapping[str, Method],
        metrics: pd.DataFrame | None,
        manifest: Manifest,
        reporting: ReportingSpec,
        outputs: Mapping[str, StoredShards],
    ) -> tuple[dict[str, Illustration], dict[str, Any], Any]:
        """Images of low confidence (the paper, Figure 3), and that figure as a controlled experiment."""
        shared, *coarse = outputs
        if manifest.preparation.given or not shards_of(outputs[shared], "test"):
            return {}, {}, None
        examples = low_confidence_examples(outputs[shared], manifest, reporting.examples)
        drawn: dict[str, Any] = {"low_confidence": dispersal_figure(examples)}
        illustration = Illustration(
            dispersal_figure(examples),
            "Test images with the lowest maximum softmax probability, one per class (the paper, Figure 3). Where "
            "probability is spread among look-alike classes, MSP calls a familiar image doubtful; the logits tell "
            "whether its best class is unfamiliar too.",
        )
        granularity = None
        if coarse and metrics is not None:
            compared = methods_by_targets(metrics, methods, coarse[0], shared)
            of_targets = {"classes": outputs[shared], "coarse": outputs[coarse[0]]}
            spread = dispersal_by_targets(of_targets, manifest, ("test", *manifest.preparation.ood))
            drawn |= {"granularity": compared, "dispersal": spread}
            granularity = (compared, spread)
        return {"In-distribution images of low confidence": illustration}, drawn, granularity


def _coarse(spec: SettingSpec) -> list[str]:
    return [name for name, own in spec.used_networks.items() if getattr(own, "targets", "") == "coarse"][:1]


def _objective(network: ClassifierSpec) -> Objective:
    if network.objective == "confidence":
        return ConfidenceObjective(Budget(network.price_weight, network.budget))
    if network.objective == "rotation":
        return RotationObjective(network.rotation_weight, network.label_smoothing)
    return CrossEntropy(network.label_smoothing)


def _targets(kind: str, manifest: Manifest, image_set: str) -> torch.Tensor:
    """Class or group of each image of a set, (N,) int64."""
    fine = torch.tensor(manifest.of(image_set)["label"].to_numpy())
    return torch.tensor(manifest.preparation.of_classes.group_of_class)[fine] if kind == "coarse" else fine


def _refuse(manifest: pd.DataFrame, _classes: Sequence[str]) -> Sequence[str]:
    refuse_one_sided_classes(manifest)
    return untested_classes(manifest)


def _labelled(read: Callable[[], Listed]) -> Listed:
    """An in-distribution set, if its images have classes.

    Raises:
        LayoutError: None of them has.
    """
    found = read()
    if not (found.rows["class_name"] != "").any():
        raise LayoutError(
            "its images have no classes, and the in-distribution set needs them: "
            f"{LAYOUTS.expected('class_folders')}, {LAYOUTS.expected('image_folder')}"
        )
    return found


def _classes(name: str, spec: FolderSpec | NoiseSpec, folder: str, known: pd.DataFrame) -> list[str]:
    """Names of the in-distribution classes; a label is an index into them."""
    there = sorted(known["class_name"].unique())
    if isinstance(spec, NoiseSpec) or spec.class_list is None:
        return there
    classes = list(class_list(spec.class_list, folder))
    if strange := sorted(set(there) - set(classes)):
        raise PartitionError(
            f"{name}: {len(strange):,} classes are not in the list {spec.class_list}, so that no head knows them: "
            f"{some_of(strange)}"
        )
    return classes


def _grouped(spec: FolderSpec | NoiseSpec, classes: Sequence[str]) -> Classes:
    titles = titles_of(spec, classes)
    if not isinstance(spec, FolderSpec) or spec.groups is None:
        return Classes(titles=titles)
    of_class = [name.partition("_")[0] for name in classes]
    names = sorted(set(of_class))
    indices = tuple(names.index(name) for name in of_class)
    return Classes(titles=titles, groups=tuple(names), group_of_class=indices)


def _place(folder: str) -> str:
    return folder if folder.startswith("ood/") else f"in_dist/{folder}"


def _render(
    spec: MiniatureSpec, sources: Mapping[str, str], missing: Sequence[Part]
) -> Iterator[tuple[str, dict[str, NDArray[np.uint8]]]]:
    with rendering_workers(usable_cores()) as pool:
        names = [part.name for part in missing]
        yield from zip(names, pool.map(partial(render_folder, spec), [sources[name] for name in names]), strict=True)
