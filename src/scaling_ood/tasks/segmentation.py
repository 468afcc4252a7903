"""Anomaly segmentation: detectors score every pixel of a scene."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from miniatures import rendering_workers
from miniatures.street import StreetSpec, render_town, street_folders
from scaling_ood.cores import usable_cores
from scaling_ood.detectors import Need, field_of
from scaling_ood.evaluation.chunks import SceneOutputs, seed_name, stored_scenes
from scaling_ood.evaluation.facts import (
    detector_run,
    report_page,
)
from scaling_ood.evaluation.fitting import fitted
from scaling_ood.evaluation.passes import ScenePass, scene_loading_of, tell_disk_use
from scaling_ood.evaluation.scene_maps import ScoreMaps, chosen_scenes, scene_examples
from scaling_ood.evaluation.scene_parts import FittedDetectors, plan_measures
from scaling_ood.evaluation.scene_tables import (
    SCENE_COLUMNS,
    WHOLE,
    mark_scene_ties,
    summarise_scenes,
)
from scaling_ood.evaluation.scoring import score_later
from scaling_ood.evaluation.thresholds import scene_threshold
from scaling_ood.images import Preprocessing
from scaling_ood.images.manifest import quarantine_table
from scaling_ood.images.recorded import LABEL
from scaling_ood.images.scenes import (
    LAYOUTS,
    OWN_OUTPUTS,
    anomalous_area,
    prepare_scenes,
    refuse_one_sided_scenes,
    scenes_digest,
)
from scaling_ood.images.scenes.pairing import UnpairedError
from scaling_ood.images.scenes.splits import ROLES
from scaling_ood.metrics import ConfusionMatrix
from scaling_ood.metrics.contradiction import contradiction
from scaling_ood.models import Forward, Network
from scaling_ood.models.segmentation import (
    RunAsItIs,
)
from scaling_ood.parameters.common import AnyDataSpec, PixelReportingSpec, RenderingSpec, ReportingSpec, RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.parameters.segmentation import (
    AutoencoderSpec,
    SceneDataSpec,
    SegmentationSpec,
    SegmenterSpec,
)
from scaling_ood.parameters.setting import ExtractionSpec, SettingSpec
from scaling_ood.products.plans import Part, Plan, TrainingPlan
from scaling_ood.products.preparation import Manifest, Preparation, Scenes
from scaling_ood.products.records import RunRecord
from scaling_ood.products.scores import Measured, Quality, Scores
from scaling_ood.products.stored import ProvidedFile, StoredModel, StoredShards, Tensors
from scaling_ood.report import Illustration, interval_figures, scene_figure
from scaling_ood.tasks.drafts import Said
from scaling_ood.tasks.drafts.scenes import draft_scenes
from scaling_ood.tasks.findings import find
from scaling_ood.tasks.image_sets import compared, folder_of, place_of
from scaling_ood.tasks.origins import tell_origins
from scaling_ood.tasks.own_outputs import lacking
from scaling_ood.tasks.own_scenes import logits_place, own_labels, plan_given_scenes, with_logits, written_out
from scaling_ood.tasks.reading import Reading, read_all
from scaling_ood.tasks.segmenters import (
    adopted,
    assembled,
    build,
    fitting_of,
    has_truth,
    input_of,
    refuse_other_classes,
    stored_bytes,
)
from scaling_ood.tasks.task import Task, WrongNetworkError, better_than_chance
from scaling_ood.tasks.trainings import SeedTrainings
from scaling_ood.training.confidence import Budget, Hints
from scaling_ood.training.loop import Lesson
from scaling_ood.training.reconstruction import Reconstruction, ReconstructionRecipe
from scaling_ood.training.scenes import Augmentation, SceneFiles, SceneSets, network_pixels
from scaling_ood.training.segmentation import Segmentation, SegmentationRecipe

_logger = logging.getLogger(__name__)


class SegmentationTask(Task):
    """Pixels of scenes: StreetHazards, BDD-Anomaly."""

    name = "segmentation"
    spec = SegmentationSpec
    renderer = 2
    training_sets = ("train", "validation")
    fit_set = "validation"
    validated = "validation_miou"

    # Data

    def render(self, fabrication: RenderingSpec[Any]) -> Plan[dict[str, Any]]:
        """Plan the rendering of street scenes, in StreetHazards' layout; a part is a town."""
        request: StreetSpec = fabrication.request()
        towns = street_folders(request).items()
        parts = [Part(place, town.images) for name, town in towns for place in town.places(name)]
        return Plan(parts, partial(_render, request), {"street": vars(request)})

    def prepare(
        self,
        data: AnyDataSpec,
        benchmark: str,
        roots: Mapping[str, str],
        workers: int,
        curation: pd.DataFrame | None,  # noqa: ARG002
    ) -> tuple[Manifest, pd.DataFrame]:
        """List, check and divide the scenes.

        Raises:
            UnfitFoldersError: Photographs and labels do not lie as the layout says.
            UnreadableLabelError, SplitError: Labels do not fit together.
            TooManyUnreadableError: The share of unusable scenes is above what is tolerated.
            OneSidedLabelsError: No anomaly can be told from anything, or a class cannot be learned.
            SharedImagesError: Too many images stand on both sides.
        """
        assert isinstance(data, SceneDataSpec)
        place = place_of(data.source, data.folder)
        folder, orientation = folder_of(place, roots), data.orientation or "stored"
        labels = own_labels(roots, data, folder) if data.layout == OWN_OUTPUTS else data.labels()
        source = replace(data.scene_source(folder), label_map=labels, looks=data.near_duplicates)
        reading = Reading(partial(prepare_scenes, source, workers, data.most_unreadable), folder, data.layout, LAYOUTS)
        rows, bad, others = read_all({data.in_dist: reading}, UnpairedError)[data.in_dist]
        if data.outputs is not None:
            rows = with_logits(rows, labels, f"{roots['photographs']}/{data.outputs}")
        refuse_one_sided_scenes(rows, labels)
        # Of the scenes that can be used; an image has no single class.
        differences = compared(data.in_dist, data.published, rows.assign(class_name=""))
        area = anomalous_area(rows)
        subsets = rows["subsets"].str.split(";").explode() if "subsets" in rows else pd.Series(dtype=str)
        by_set = {str(name): part for name, part in rows.groupby("image_set", sort=False)}
        scenes = Scenes(
            layout=data.layout,
            labels=labels.name,
            **written_out(data, labels),
            anomalous_share=area.mean_share,
            without_anomaly=area.without,
        )
        record = Preparation(
            benchmark=benchmark,
            setting=self.name,
            in_dist=data.in_dist,
            ood=(WHOLE, *(name for name in subsets.unique() if name and name != "all")),
            places={data.in_dist: place, **logits_place(data)},
            classes=labels.classes,
            sources={WHOLE: data.source},
            images={name: len(part) for name, part in by_set.items()},
            digests={name: scenes_digest(part, labels, orientation) for name, part in by_set.items()},
            orientation=orientation,
            scenes=scenes,
            given={} if data.outputs is None else {"logits": ""},
            found=find(
                rows,
                others,
                data,
                ROLES,
                orientation,
                origins=tell_origins(rows, {data.in_dist: place}, roots),
                unreadable=len(bad),
                differences=differences,
            ),
        )
        return Manifest(rows, record, roots), quarantine_table(bad, others)

    def draft(self, folder: Path, said: Said, library: Collection[str]) -> list[str]:  # noqa: ARG002
        """Parameters of a new benchmark of the labelled scenes in a folder."""
        return draft_scenes(self.name, folder, said)

    # Networks

    def learns(self, network: NetworkSpec) -> Any:
        """All that matters of it, but not at which scales test scenes go through it."""
        return {name: value for name, value in network.what_matters().items() if name != "scales"}

    def plan_training(
        self,
        network: NetworkSpec,
        manifest: Manifest,
        runtime: RuntimeSpec,
        features: StoredShards | None,  # noqa: ARG002
        checkpoint: ProvidedFile | None,
    ) -> TrainingPlan:
        """Plan the training of one network per seed, or take over the weights of a file.

        Raises:
            CheckpointError: They do not fit, or the file holds no weights.
        """
        assert isinstance(network, SegmenterSpec | AutoencoderSpec)
        about = self._about(network, manifest, checkpoint)
        if network.source.start == "outputs":
            return TrainingPlan(0, lambda _: iter(()), about)
        if checkpoint is not None:
            return TrainingPlan(1, partial(adopted, network, checkpoint.path, manifest.preparation), about)
        if not network.source.trains:
            refuse_other_classes(network, manifest.preparation)
            return TrainingPlan(0, lambda _: iter(()), about)
        lesson = partial(self._lesson, network, manifest, runtime)
        run = SeedTrainings(lesson, partial(build, network, manifest.preparation), network.seeds)
        return TrainingPlan(network.epochs * len(network.seeds), run, about)

    def _lesson(
        self, network: SegmenterSpec | AutoencoderSpec, manifest: Manifest, runtime: RuntimeSpec
    ) -> Lesson[Any]:
        device = Forward(runtime.device).torch_device
        own: Any = network.model_dump(include={"epochs", "batch_images", "steps_per_epoch", "learning_rate"})
        if isinstance(network, AutoencoderSpec):
            edge = network.input_edge
            edges = network.short_edges if edge == network.test_edge else (edge,) if edge else ()
            sets = _sets(manifest, runtime, network, edges, edge)
            return Reconstruction(sets, ReconstructionRecipe(**own), device)
        hints = Hints(network.unit, Budget(network.price_weight, network.budget))
        recipe = SegmentationRecipe(
            **own,
            weight_decay=network.weight_decay,
            images_per_scale=network.images_per_scale,
            best_epoch=network.best_epoch,
            hints=hints if network.objective == "confidence" else None,
            precision=network.precision,
        )
        sets = _sets(manifest, runtime, network, network.short_edges, network.test_edge, network.label_stride)
        return Segmentation(sets, recipe, device)

    def _about(
        self, network: SegmenterSpec | AutoencoderSpec, manifest: Manifest, checkpoint: ProvidedFile | None
    ) -> dict[str, Any]:
        """What readers of a network, and of all that is made with it, must know."""
        chosen = "the last" if getattr(network, "best_epoch", "") == "last" else "the best of them by validation"
        pspnet = isinstance(network, SegmenterSpec) and network.source.start != "outputs" and not network.whole
        classes = manifest.preparation.classes
        decoder = f", decoder of {network.width} channels" if pspnet else ""  # type: ignore[union-attr]
        return {
            "model": network.architecture,
            "architecture": f"{network.architecture}{decoder}",
            "weights": network.source.told(network.published, "" if checkpoint is None else checkpoint.sha256),
            "seeds": list(network.seeds),
            "targets": "classes",
            "input": input_of(network),
            "best_epoch": getattr(network, "best_epoch", "validation"),
            "told": ({"Epochs": f"{network.epochs}, {chosen}"} if network.source.trains else {})
            | network.order_told(classes),
            "parameters": network.scalars,
            "class_order": network.outputs_of(classes),
            **{f"{name}_images": manifest.preparation.images.get(name, 0) for name in self.training_sets},
        }

    # Outputs and scores

    def needs(self, spec: SettingSpec, network: str) -> frozenset[str | Need]:
        """What its detectors read; logits tell the quality of a network that learned the classes alone."""
        wanted = spec.needs_of(network)
        read = [method.needs for method in spec.methods.values() if method.network == network and not method.gap]
        judged = spec.networks[network].objective == "classes"
        return wanted if judged else wanted & frozenset[str | Need]().union(*read)

    def passed_sets(self, network: NetworkSpec, prepared: Preparation) -> Sequence[str]:
        """Test scenes; and the validation scenes, where the network is judged on them and detectors learn on them."""
        sets = (self.fit_set, "test") if network.objective == "classes" else ("test",)
        return [name for name in sets if name in prepared.images]

    def plan_outputs(
        self,
        network: NetworkSpec,
        model: StoredModel,
        manifest: Manifest,
        needs: frozenset[str | Need],
        extraction: ExtractionSpec,
        runtime: RuntimeSpec,
        features: StoredShards | None,  # noqa: ARG002
    ) -> Plan[Tensors]:
        """Plan one forward pass per scene and scale."""
        assert isinstance(network, SegmenterSpec | AutoencoderSpec)
        if manifest.preparation.given:
            sets = self.passed_sets(network, manifest.preparation)
            return plan_given_scenes(model, manifest, sets, extraction, self.name)
        make = ScenePass(
            manifest,
            partial(assembled, network, manifest.preparation, model),
            sorted(needs, key=field_of),
            Forward(runtime.device, extraction.precision, runtime.channels_last),
            getattr(torch, extraction.stored),
            extraction.shard_images,
            self.name,
            f"the network {network.architecture}",
            network.prepared,
            network.edges,
            network.longest_edge,
            scene_loading_of(runtime),
            *fitting_of(network),
        )
        about = {**model.about, **make.about(), "input": input_of(network), "model_key": model.origin.key}
        about["validated"] = used_epochs(network, model.history)
        sets = self.passed_sets(network, manifest.preparation)
        sizes = {name: stored_bytes(network, manifest.of(name), needs, make) for name in sets}
        tell_disk_use(manifest.preparation.images, sizes, needs, make.stored)
        return Plan(make.parts(sets), make, about)

    def check(
        self,
        network: NetworkSpec,
        outputs: StoredShards,
        manifest: Manifest,
        scored: StoredShards | None = None,  # noqa: ARG002
    ) -> Quality:
        """Mean IoU on the validation scenes, and on the known pixels of the test scenes.

        Of a network that learned something else, what its training found on the validation scenes.
        """
        assert isinstance(network, SegmenterSpec | AutoencoderSpec)
        if network.objective == "classes":
            quality = self._judged(network, outputs, manifest)
        else:
            quality = _of_training(network, outputs.about["validated"], manifest.preparation)
        if quality.warning:
            _logger.warning(quality.warning)
        return quality

    def _judged(self, network: SegmenterSpec | AutoencoderSpec, outputs: StoredShards, manifest: Manifest) -> Quality:
        prepared = manifest.preparation
        least, by_set = network.least, {}
        found_in: dict[str, list[ConfusionMatrix]] = {}
        if not has_truth(network, prepared):
            return Quality("miou", None, least)
        for image_set in self.passed_sets(network, prepared):
            found = found_in[image_set] = _confusions(outputs, manifest, network.seeds, image_set)
            miou = [one.mean_iou() for one in found]
            if image_set == self.fit_set:
                _refuse_wrong(min(miou), network, prepared)
            accuracy = float(np.mean([one.pixel_accuracy() for one in found]))
            by_set[image_set] = {"miou": float(np.mean(miou)), "pixel_accuracy": accuracy}
        warning, judged = "", by_set.get(self.fit_set, by_set["test"])
        counts = found_in.get(self.fit_set, found_in["test"])[0].counts
        if self.fit_set in by_set:
            values = (by_set["test"]["miou"], judged["miou"])
            warning = contradiction("mIoU of the known pixels", *values, "the validation scenes")
        images = {name: prepared.images[name] for name in by_set}
        quality = Quality("miou", judged["miou"], least, by_set, images, warning)
        if network.source.trains:
            return quality
        of_classes = counts.sum(axis=1)
        pixels = int(of_classes.sum())
        chance = float(of_classes.max() / pixels / len(of_classes))
        return better_than_chance(quality, (chance, pixels), network, self.name)

    def fit_view(self, outputs: StoredShards, manifest: Manifest, method: Method, seed: int) -> SceneOutputs:
        """What a detector may learn from: the validation scenes."""
        names = manifest.preparation.classes
        return SceneOutputs(outputs, manifest, self.fit_set, seed_name(seed), method.needs, names)

    def score(
        self,
        method: Method,
        outputs: StoredShards,
        quality: Quality,
        manifest: Manifest,
        runtime: RuntimeSpec,  # noqa: ARG002
    ) -> Plan[Tensors]:
        """Whether a detector has a meaning; its scores are made when they are measured."""
        if manifest.preparation.given and not method.gap:
            method = replace(method, gap=lacking(method, manifest.preparation, self.fit_set))
        view = partial(self.fit_view, outputs, manifest)
        return Plan.undivided(partial(score_later, method, outputs, quality, manifest, view))

    # Packaging

    def packed(self, network: NetworkSpec, model: StoredModel, manifest: Manifest) -> Tensors:
        """Encoder and heads."""
        assert isinstance(network, SegmenterSpec | AutoencoderSpec)
        if network.registered and network.registered.program:
            return {}
        return assembled(network, manifest.preparation, model)[seed_name(network.seeds[0])].state_dict()

    def revived(
        self, network: NetworkSpec, prepared: Preparation, state: Tensors, class_order: Sequence[int]
    ) -> Network:
        """Encoder and heads."""
        assert isinstance(network, SegmenterSpec | AutoencoderSpec)
        built = build(network, prepared, network.seeds[0], trained=True)
        if isinstance(built, RunAsItIs):
            built.in_order(class_order)
        if state:
            built.load_state_dict(state)
        return built

    def network_pixels(
        self,
        network: NetworkSpec,
        prepared: Preparation,  # noqa: ARG002
        image: Image.Image,
    ) -> tuple[list[torch.Tensor], Preprocessing]:
        """At each scale."""
        assert isinstance(network, SegmenterSpec | AutoencoderSpec)
        fitting = fitting_of(network)
        pixels = [network_pixels(image, edge, network.longest_edge, *fitting) for edge in network.edges]
        return pixels, network.prepared

    def threshold(
        self, method: Method, scores: Scores, outputs: StoredShards, manifest: Manifest, rate: float
    ) -> dict[str, Any]:
        """From scores that are made anew."""
        detector = fitted(method, partial(self.fit_view, outputs, manifest), scores.seeds[0], manifest)
        return scene_threshold(detector, outputs, manifest, rate)

    # Results

    def measure(
        self,
        scores: Scores,
        manifest: Manifest,
        reporting: ReportingSpec,
        runtime: RuntimeSpec,
        method: Method | None,
        outputs: StoredShards | None,
    ) -> Plan[Tensors]:
        """Metrics per seed and scene, and of all test scenes and their subsets."""
        assert isinstance(reporting, PixelReportingSpec)
        summarise = partial(self._measured, scores, manifest, reporting)
        if scores.gap:
            nothing = pd.DataFrame(columns=list(SCENE_COLUMNS))
            return Plan.undivided(partial(summarise, pd.DataFrame(), nothing))
        assert method is not None
        assert outputs is not None
        forward = Forward(runtime.device)
        detector = FittedDetectors(method, partial(self.fit_view, outputs, manifest), manifest, forward)
        return plan_measures(detector, outputs, manifest, reporting, forward, scores.seeds, summarise)

    def _measured(
        self,
        scores: Scores,
        manifest: Manifest,
        reporting: PixelReportingSpec,
        metrics: pd.DataFrame,
        per_scene: pd.DataFrame,
    ) -> Measured:
        return Measured(summarise_scenes(metrics, scores, manifest.preparation, reporting), per_scene)

    def mark(
        self,
        results: pd.DataFrame,
        scores: Mapping[str, Scores],  # noqa: ARG002
        measured: Mapping[str, Measured],
        manifest: Manifest,
        reporting: ReportingSpec,
    ) -> pd.DataFrame:
        """Marks from paired comparisons over the scenes."""
        assert isinstance(reporting, PixelReportingSpec)
        per_scene = {name: one.metrics for name, one in measured.items()}
        return mark_scene_ties(results, per_scene, manifest, reporting)

    def plan_maps(
        self,
        methods: Mapping[str, Method],
        outputs: Mapping[str, StoredShards],
        manifest: Manifest,
        reporting: ReportingSpec,
        runtime: RuntimeSpec,
    ) -> Plan[Tensors]:
        """Plan the score maps of the scenes that are shown, and of all where they are to be kept."""
        assert isinstance(reporting, PixelReportingSpec)
        make = ScoreMaps(
            manifest,
            dict(methods),
            dict(outputs),
            self.fit_view,
            {name: own.about["seeds"] for name, own in outputs.items()},
            chosen_scenes(manifest, reporting.examples),
            reporting.keep_score_maps,
            runtime.device,
        )
        return Plan(make.parts(), make)

    def report(
        self,
        methods: Mapping[str, Method],  # noqa: ARG002
        results: pd.DataFrame,
        metrics: pd.DataFrame | None,  # noqa: ARG002
        manifest: Manifest,
        reporting: ReportingSpec,
        scores: Mapping[str, Scores],
        outputs: Mapping[str, StoredShards],
        quality: Quality,
        maps: StoredShards | None,
    ) -> tuple[str, dict[str, Any]]:
        """The report, and a few test scenes with each detector's highest scores (the paper, Figures 4 and 5)."""
        assert maps is not None
        figure = scene_figure(scene_examples(maps, manifest))
        caption = "Test scenes drawn by a fixed seed; the tenth of the pixels with the highest scores in red."
        shown = {"Score maps": Illustration(figure, caption)}
        page = report_page(results, manifest.preparation, scores, outputs, quality, reporting, shown, dense=True)
        return page, {"score_maps": figure}

    def run(
        self,
        scores: Scores,
        results: pd.DataFrame,
        manifest: Manifest,
        reporting: ReportingSpec,
        training_run_id: str,
        maps: StoredShards | None,
    ) -> RunRecord:
        """What one detector's tracked run shows."""
        figures: dict[str, Any] = {}
        if not scores.gap and maps is not None:
            examples = scene_examples(maps, manifest, [scores.detector])
            figures = {**interval_figures(results), "score_maps": scene_figure(examples)}
        prepared = manifest.preparation
        return detector_run(scores, results, prepared, reporting, self.fit_set, training_run_id, figures)


def _sets(
    manifest: Manifest,
    runtime: RuntimeSpec,
    network: SegmenterSpec | AutoencoderSpec,
    short_edges: Sequence[int],
    test_edge: int | None,
    label_stride: int = 8,
) -> SceneSets:
    """Training and validation scenes."""
    augmentation = Augmentation(tuple(short_edges), network.longest_edge)
    train, validation = (_files(manifest, name) for name in ("train", "validation"))
    return SceneSets(train, validation, network.prepared, augmentation, test_edge, runtime.workers, label_stride)


def _files(manifest: Manifest, image_set: str) -> SceneFiles:
    scenes, rows = manifest.preparation.scenes, manifest.of(image_set)
    assert scenes is not None
    images, labels = (manifest.files(rows, kind) for kind in ("", LABEL))
    return SceneFiles(images, labels, scenes.label_map, manifest.preparation.orientation)


def _confusions(
    outputs: StoredShards, manifest: Manifest, seeds: Sequence[int], image_set: str
) -> list[ConfusionMatrix]:
    """One per seed."""
    classes = len(manifest.preparation.classes)
    found = {seed_name(seed): ConfusionMatrix(classes) for seed in seeds}
    for scene in stored_scenes(outputs, manifest, image_set):
        for seed, confusion in found.items():
            strips = [strip.logits.argmax(dim=1)[0] for _, strip in scene.strips(seed, ("logits",))]
            predicted = torch.cat(strips).numpy()
            confusion.add(predicted, scene.train_ids, scene.train_ids < classes)
    return list(found.values())


def used_epochs(
    network: SegmenterSpec | AutoencoderSpec, history: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """What a training found on the validation scenes in the epoch that is used, a row per seed."""
    by_seed: dict[str, list[Mapping[str, Any]]] = {}
    for row in history:
        by_seed.setdefault(row["variant"], []).append(row)
    if isinstance(network, AutoencoderSpec):
        return [min(rows, key=lambda row: float(row["validation_loss"])) for rows in by_seed.values()]
    if network.best_epoch == "last":
        return [rows[-1] for rows in by_seed.values()]
    return [max(rows, key=lambda row: float(row["validation_miou"])) for rows in by_seed.values()]


def _of_training(
    network: SegmenterSpec | AutoencoderSpec, validated: Sequence[Mapping[str, Any]], prepared: Preparation
) -> Quality:
    """How good the networks were on the validation scenes, by their training's own record."""
    images = {"validation": prepared.images["validation"]}
    if isinstance(network, AutoencoderSpec):
        loss = float(np.mean([row["validation_loss"] for row in validated]))
        by_set = {"validation": {"reconstruction_error": loss}}
        return Quality("reconstruction_error", loss, 0.0, by_set, images)
    _refuse_wrong(min(row["validation_miou"] for row in validated), network, prepared)
    miou, accuracy = (float(np.mean([row[f"validation_{name}"] for row in validated])) for name in ("miou", "accuracy"))
    by_set = {"validation": {"miou": miou, "pixel_accuracy": accuracy}}
    return Quality("miou", miou, network.least, by_set, images)


def _refuse_wrong(miou: float, network: NetworkSpec, prepared: Preparation) -> None:
    if miou < network.least:
        raise WrongNetworkError(
            f"{prepared.setting}: mIoU {miou:.1%} on {prepared.images['validation']:,} validation scenes is under the "
            f"{network.least:.1%} that {network.architecture} is known for (least_quality): check weights, "
            "preprocessing and the label map"
        )


def _render(spec: StreetSpec, missing: Sequence[Part]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Render each town once and hand out its folders, in the order of the parts."""
    wanted = {part.name for part in missing}
    folders = street_folders(spec).items()
    towns = {name: [place for place in town.places(name) if place in wanted] for name, town in folders}
    names = [name for name, places in towns.items() if places]
    with rendering_workers(usable_cores()) as pool:
        for name, rendered in zip(names, pool.map(partial(render_town, spec), names), strict=True):
            for place in towns[name]:
                yield place, {**rendered[place]}
