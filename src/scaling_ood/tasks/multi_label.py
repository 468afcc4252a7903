"""Multi-label: an image may show several classes, and detectors score whole images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from miniatures import rendering_workers
from miniatures.composite import (
    SPLITS,
    CompositeSpec,
    composite_folders,
    instances,
    render_composites,
)
from scaling_ood.cores import usable_cores
from scaling_ood.evaluation.facts import Facts
from scaling_ood.evaluation.passes import loading_of
from scaling_ood.images.multi_label import LAYOUTS, is_labelled, list_multi_label, targets
from scaling_ood.images.one_sided import refuse_one_sided_labels, unlearned_labels
from scaling_ood.metrics import mean_average_precision
from scaling_ood.metrics.contradiction import contradiction
from scaling_ood.models import Forward, Head, MultiLabelHead
from scaling_ood.parameters.common import RenderingSpec, RuntimeSpec
from scaling_ood.parameters.multi_label import LabelledDataSpec, MultiLabelNetworkSpec, MultiLabelSpec
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.preparation import Classes, Manifest
from scaling_ood.products.scores import Quality
from scaling_ood.products.stored import StoredShards
from scaling_ood.tasks.drafts import Said
from scaling_ood.tasks.drafts.whole_images import draft_labels
from scaling_ood.tasks.image_sets import (
    KnownImages,
    Listed,
    compared,
    divide,
    folder_of,
    place_of,
    places_of,
    prepare_images,
    readings_of,
)
from scaling_ood.tasks.reading import Reading, read_all
from scaling_ood.tasks.whole_images import WholeImages, stored_features
from scaling_ood.training.loop import Lesson
from scaling_ood.training.multilabel import MultiLabel, MultiLabelRecipe
from scaling_ood.training.multilabel_sets import LabelledFeatures, LabelledPhotographs, MultiLabelSets

ANNOTATIONS = "in_dist/annotations"

YEAR = 2017
"""COCO's folders and files bear their edition's; those that are rendered bear that of the usual one."""

_CHUNK = 50
"""Images that a process renders at a time."""

ImageFolder = dict[str, Any]
"""File name to pixels (H, W, 3), or to the content of a JSON file."""


class MultiLabelTask(WholeImages):
    """Several classes per image: PASCAL VOC, MS-COCO."""

    name = "multi_label"
    spec = MultiLabelSpec
    sigmoid = True
    training_sets = ("train", "fit")
    validated = "validation_map"

    # Data

    def render(self, fabrication: RenderingSpec[Any]) -> Plan[ImageFolder]:
        """Plan the rendering of scenes of several objects: `in_dist` in COCO's layout, `ood` and `control` by class."""
        request: CompositeSpec = fabrication.request()
        parts = [Part(_place(name), folder.images) for name, folder in composite_folders(request).items()]
        return Plan([Part(ANNOTATIONS, len(SPLITS)), *parts], partial(_render, request), {"composite": vars(request)})

    def targets_of(self, targets: pd.Series[Any], classes: Sequence[str]) -> pd.DataFrame:  # noqa: ARG002
        """`labels`, None where they are not known."""
        return pd.DataFrame({"label": -1, "class_name": "", "labels": targets})

    def prepare_images(
        self,
        data: LabelledDataSpec,
        whose: tuple[str, str],
        roots: Mapping[str, str],
        workers: int,
        curation: pd.DataFrame | None,
    ) -> tuple[Manifest, pd.DataFrame]:
        """List, divide and check the images; the manifest's `labels` are indices of the classes shown.

        Raises:
            UnfitFoldersError: Anything that is wrong with annotations or folders, of all data sets at once.
            PartitionError: A role gets no image, or fewer than it claims.
            TooManyUnreadableError: The share of unreadable images is above what is tolerated.
            OneSidedLabelsError: Images to train or choose on are unlabelled, or no image of a set shows a class.
            SharedImagesError: Too many images stand on both sides.
        """
        places = {data.in_dist: place_of(data.labelled.source, data.labelled.folder), **places_of(data)}
        folder = folder_of(places[data.in_dist], roots)
        splits = sorted({part.split for part in data.roles.values()})
        source = data.labelled.labelled_source(data.in_dist, folder, splits)
        dropped = frozenset() if curation is None else frozenset(curation["id"])
        known = Reading(partial(list_multi_label, source), folder, source.layout, LAYOUTS)
        read = read_all({data.in_dist: known, **readings_of(data, places, roots, dropped)})
        rows, classes, left_out = read.pop(data.in_dist)
        listed = {data.in_dist: Listed(rows, compared(data.in_dist, data.labelled.published, rows), left_out), **read}

        def roles(known: pd.DataFrame) -> KnownImages:
            return KnownImages(divide(known, data), classes, Classes(titles=tuple(classes)))

        others = {"label": -1, "labels": None}
        return prepare_images(data, whose, places, listed, roles, others, _refuse, roots, workers, curation)

    def draft(self, folder: Path, said: Said, library: Collection[str]) -> list[str]:
        """Parameters of a new benchmark of the photographs in a folder."""
        return draft_labels(self.name, folder, said, library)

    # Networks

    def head(self, network: MultiLabelNetworkSpec, classes: int) -> Callable[[int], Head]:
        """The paper's: a hidden layer, dropout, one sigmoid per class."""
        return partial(MultiLabelHead, classes=classes, width=network.width, dropout=network.dropout)

    def told(self, network: MultiLabelNetworkSpec) -> Facts:
        """Shape and recipe."""
        chosen = "the best of them by mAP on the fit images" if network.best_epoch == "validation" else "the last"
        recipe = {
            "Head": f"hidden layer of {network.width}, dropout {network.dropout:g}",
            "Epochs": f"{network.epochs}, {chosen}",
        }
        return {**(recipe if network.source.trains else {}), "Averaging of precision": network.averaging}

    def lesson(
        self, network: MultiLabelNetworkSpec, manifest: Manifest, runtime: RuntimeSpec, features: StoredShards | None
    ) -> Lesson[Any]:
        """Binary cross-entropy of each class."""
        recipe = MultiLabelRecipe(
            epochs=network.epochs,
            batch_images=network.batch_images,
            learning_rate=network.learning_rate,
            backbone_learning_rate=network.backbone_learning_rate,
            averaging=network.averaging,
            best_epoch=network.best_epoch,
            precision=network.precision,
        )
        device, classes = Forward(runtime.device).torch_device, manifest.preparation.classes

        def images(image_set: str) -> LabelledFeatures | LabelledPhotographs:
            rows = manifest.of(image_set)
            present = torch.from_numpy(targets(rows, classes))
            if features is not None:
                return LabelledFeatures(stored_features(features, image_set), present)
            preprocessing = self.preprocessing(network, manifest.preparation)
            return LabelledPhotographs(manifest.files(rows), present, preprocessing, loading=loading_of(runtime))

        return MultiLabel(MultiLabelSets(*map(images, self.training_sets)), recipe, device)

    def judge(
        self, network: MultiLabelNetworkSpec, judged: Callable[[str, int], torch.Tensor], manifest: Manifest
    ) -> tuple[list[float], Quality]:
        """Mean average precision on the labelled fit and test images.

        The fit images chose the epoch; the test images did not, but may have no labels: then the fit images judge.
        """
        by_set: dict[str, list[float]] = {}
        images = {}
        for image_set in ("fit", "test"):
            rows = manifest.of(image_set)
            known = is_labelled(rows).to_numpy()
            if not known.any():
                continue
            present = targets(rows[known], manifest.preparation.classes)
            images[image_set] = int(known.sum())
            for seed in network.seeds:
                own = judged(image_set, seed).numpy()[known]
                found = mean_average_precision(own, present, network.averaging).mean
                by_set.setdefault(image_set, []).append(float(found))
        if not by_set:
            return [], Quality("map", None, network.least)
        judging = "test" if "test" in by_set else "fit"
        means = {name: float(np.mean(values)) for name, values in by_set.items()}
        warning = contradiction("mAP", means["test"], means["fit"], "the fit images") if len(means) > 1 else ""
        told = {name: {"map": value} for name, value in means.items()}
        return by_set[judging], Quality("map", means[judging], network.least, told, images, warning)

    def chance(self, quality: Quality, manifest: Manifest) -> tuple[float, int]:
        """The mean share of images that show a class."""
        rows = manifest.of("test" if "test" in quality.images else "fit")
        present = targets(rows[is_labelled(rows).to_numpy()], manifest.preparation.classes)
        shares = present.mean(axis=0)
        return float(shares[shares > 0].mean()), present.size


def _refuse(manifest: pd.DataFrame, classes: Sequence[str]) -> Sequence[str]:
    refuse_one_sided_labels(manifest)
    return unlearned_labels(manifest, tuple(classes))


def _place(folder: str) -> str:
    return f"in_dist/{folder}{YEAR}" if folder in SPLITS else folder


def _render(spec: CompositeSpec, missing: Sequence[Part]) -> Iterator[tuple[str, ImageFolder]]:
    """Render a few images of a folder at a time, in parallel: one folder may hold most of them."""
    sources = {_place(name): name for name in composite_folders(spec)}
    with rendering_workers(usable_cores()) as pool:
        for part in missing:
            if part.name == ANNOTATIONS:
                yield part.name, dict(zip(*_annotations(spec, pool), strict=True))
                continue
            chunks = [range(start, min(start + _CHUNK, part.items)) for start in range(0, part.items, _CHUNK)]
            rendered = pool.map(partial(render_composites, spec, sources[part.name]), chunks)
            yield part.name, {name: pixels for chunk in rendered for name, pixels in chunk.items()}


def _annotations(spec: CompositeSpec, pool: Executor) -> tuple[list[str], list[dict[str, Any]]]:
    return [f"instances_{split}{YEAR}.json" for split in SPLITS], list(pool.map(partial(instances, spec), SPLITS))
