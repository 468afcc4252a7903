"""What the settings of whole images have in common."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pandas as pd
import torch
from PIL import Image
from torch import nn

from scaling_ood.detectors import Given, Need, field_of, name_of
from scaling_ood.detectors.rotation import ROTATIONS, turned
from scaling_ood.evaluation.chunks import ImageOutputs, seed_name, shards_of
from scaling_ood.evaluation.facts import (
    Facts,
    detector_run,
    in_measure,
    report_page,
)
from scaling_ood.evaluation.figures import score_figures, score_illustrations
from scaling_ood.evaluation.passes import (
    HEADS,
    HeadPass,
    ImagePass,
    image_set_of,
    loading_of,
    of_sets,
    stored_bytes,
    tell_disk_use,
)
from scaling_ood.evaluation.scoring import score_images
from scaling_ood.evaluation.scoring_pass import JUDGED, ScoringPass, left_scores
from scaling_ood.evaluation.tables import mark_ties, measure_scores, summarise
from scaling_ood.evaluation.thresholds import image_threshold
from scaling_ood.images import Preprocessing
from scaling_ood.models import (
    ClassHead,
    Forward,
    Head,
    ImageNetwork,
    Start,
    adopted_state,
    architecture,
    build_head,
    build_network,
    published_digest,
    published_network,
    read_checkpoint,
)
from scaling_ood.parameters.common import AnyDataSpec, ReportingSpec, RuntimeSpec
from scaling_ood.parameters.data_sets import DataSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.networks import ImageNetworkSpec, NetworkSpec
from scaling_ood.parameters.outputs import OutputsDataSpec
from scaling_ood.parameters.setting import ExtractionSpec, SettingSpec
from scaling_ood.products.plans import Part, Plan, TrainingPlan
from scaling_ood.products.preparation import Manifest, Preparation
from scaling_ood.products.records import RunRecord
from scaling_ood.products.scores import Measured, Quality, Scores
from scaling_ood.products.stored import ProvidedFile, StoredModel, StoredShards, Tensors
from scaling_ood.provided import read_provided
from scaling_ood.report import Illustration, interval_figures
from scaling_ood.tasks.image_sets import curate_sets
from scaling_ood.tasks.own_outputs import lacking, plan_given, prepare_outputs
from scaling_ood.tasks.task import Task, WrongNetworkError, better_than_chance
from scaling_ood.tasks.trainings import SeedTrainings
from scaling_ood.training.loop import Lesson

FEATURE_SHARD_IMAGES = 1024
_BACKBONE = "backbone"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded(Need):
    """What a frozen backbone makes of images, turned anticlockwise by so many quarters."""

    name: ClassVar[str] = "encoded"
    requires: ClassVar[frozenset[str]] = frozenset()

    quarter: int = 0

    def make(self, given: Given) -> torch.Tensor:
        """(N, D); one more pass for turned images."""
        return given.network.encode(turned(given.inputs, self.quarter)) if self.quarter else given.encoded


class WholeImages(Task):
    """A setting whose detectors score whole images.

    Attributes:
        sigmoid: Whether a sigmoid follows the logits of each class, or a softmax of all.
    """

    sigmoid: ClassVar[bool]

    # What a subclass says

    @abstractmethod
    def head(self, network: Any, classes: int) -> Callable[[int], Head]:
        """What is put on a backbone: width of its features to a head."""

    @abstractmethod
    def lesson(
        self, network: Any, manifest: Manifest, runtime: RuntimeSpec, features: StoredShards | None
    ) -> Lesson[Any]:
        """How it is trained, from images or features that are read now."""

    def judged(self, logits: torch.Tensor) -> torch.Tensor:
        """What of some images' logits (N, C) tells how good a network is, (N, ...); no more is kept of them for it."""
        return logits

    @abstractmethod
    def judge(
        self, network: Any, judged: Callable[[str, int], torch.Tensor], manifest: Manifest
    ) -> tuple[list[float], Quality]:
        """The quality of each seed's network, which is compared with the least, and what is told of it.

        Args:
            network: What it is.
            judged: Image set and seed to what `judged` makes of the logits of its images.
            manifest: All images.
        """

    @abstractmethod
    def chance(self, quality: Quality, manifest: Manifest) -> tuple[float, int]:
        """What a network that knows nothing gets on the images that judged this one, and of how many answers."""

    def told(self, network: Any) -> Facts:  # noqa: ARG002
        """What a reader of the report must know of a network beside what all have."""
        return {}

    def quarters(self, network: Any) -> range:  # noqa: ARG002
        """By how many quarters images are turned whose features a head is trained on."""
        return range(1)

    def features_are_the_backbones(self, network: Any) -> bool:  # noqa: ARG002
        """Whether the `features` that a network gives are those of its backbone, so that other heads can read them."""
        return False

    @abstractmethod
    def targets_of(self, targets: pd.Series[Any], classes: Sequence[str]) -> pd.DataFrame:
        """The manifest's columns of targets, of those that somebody brings.

        Args:
            targets: Index of each image's class, indices joined by `;`, or None.
            classes: Names of all.
        """

    def classes(self, network: Any, prepared: Preparation) -> Sequence[str]:  # noqa: ARG002
        """Names of what a network tells apart."""
        return prepared.classes

    # Data

    def prepare(
        self,
        data: AnyDataSpec,
        benchmark: str,
        roots: Mapping[str, str],
        workers: int,
        curation: pd.DataFrame | None,
    ) -> tuple[Manifest, pd.DataFrame]:
        """List, select, divide and check the images, or the outputs that are there in their place."""
        whose = self.name, benchmark
        if isinstance(data, OutputsDataSpec):
            provided = read_provided(f"{roots['photographs']}/{data.outputs}")
            return prepare_outputs(provided, data, whose, roots, self.sigmoid, self.targets_of)
        assert isinstance(data, DataSpec)
        return self.prepare_images(data, whose, roots, workers, curation)

    @abstractmethod
    def prepare_images(
        self,
        data: Any,
        whose: tuple[str, str],
        roots: Mapping[str, str],
        workers: int,
        curation: pd.DataFrame | None,
    ) -> tuple[Manifest, pd.DataFrame]:
        """List, select, divide and check the images; `whose`: setting, and id of the benchmark."""

    def curate(self, data: AnyDataSpec, roots: Mapping[str, str], workers: int) -> pd.DataFrame:
        """Find the images that are left out for their quality."""
        assert isinstance(data, DataSpec)
        return curate_sets(data, roots, workers)

    # Networks

    def preprocessing(self, network: ImageNetworkSpec, prepared: Preparation) -> Preprocessing:
        """That of the network's weights, at its input size, of photographs that lie as the data has them."""
        own = network.prepared.at(network.input_px)
        own = replace(own, orientation=prepared.orientation)
        return own.squashed() if network.squash else own

    def feature_owners(self, spec: SettingSpec) -> dict[str, str]:
        """Heads on a frozen backbone; those that see the same share the features of the first of them."""
        first: dict[Any, str] = {}
        owners: dict[str, str] = {}
        for name, own in spec.used_networks.items():
            if isinstance(own, ImageNetworkSpec) and own.source.trained == "head":
                owners[name] = first.setdefault((own.sees, len(self.quarters(own))), name)
        return owners

    def seen(self, network: NetworkSpec) -> Any:
        """Backbone, how images enter it, and how they are turned."""
        assert isinstance(network, ImageNetworkSpec)
        return {
            "weights": published_digest(network.named),
            "preprocessing": network.prepared.what_matters(),
            "input": [network.input_px, network.squash],
            "quarters": len(self.quarters(network)),
        }

    def plan_features(self, network: NetworkSpec, manifest: Manifest, runtime: RuntimeSpec) -> Plan[Tensors]:
        """Plan the frozen backbone's features of the images that a head is trained on."""
        assert isinstance(network, ImageNetworkSpec)
        forward = Forward(runtime.device, "float32", runtime.channels_last)
        make = ImagePass(
            manifest,
            partial(_bare, network.named),
            [Encoded(quarter) for quarter in self.quarters(network)],
            forward,
            torch.float32,
            FEATURE_SHARD_IMAGES,
            self.name,
            f"the backbone {network.architecture}",
            self.preprocessing(network, manifest.preparation),
            loading_of(runtime),
        )
        about = {"device": forward.device_name, "architecture": network.architecture}
        return Plan(make.parts(self.training_sets), make, about)

    def plan_training(
        self,
        network: NetworkSpec,
        manifest: Manifest,
        runtime: RuntimeSpec,
        features: StoredShards | None,
        checkpoint: ProvidedFile | None,
    ) -> TrainingPlan:
        """Plan the training of one network per seed; or verify published weights, or take over those of a file.

        Raises:
            ClassCountError: The published head knows another number of classes than the data set has.
            CheckpointError: The weights of a file do not fit.
            ValueError: The published weights are not the registered ones.
        """
        assert isinstance(network, ImageNetworkSpec)
        about = self.about(network, manifest, checkpoint)
        if network.source.start == "outputs":
            return TrainingPlan(0, lambda _: iter(()), about)
        classes = len(self.classes(network, manifest.preparation))
        name = network.named
        if checkpoint is not None:
            return TrainingPlan(1, partial(_adopted, name, checkpoint.path, classes, about["class_order"]), about)
        if not network.source.trains:
            _verify(name, classes)
            return TrainingPlan(0, lambda _: iter(()), about)
        head = self.head(network, classes)
        build: Callable[..., nn.Module] = partial(build_head, name, head)
        if network.source.trained == "everything":
            start: Start = "published" if network.source.start == "published" else "random"
            build = partial(build_network, name, head, start=start)
        lesson = partial(self.lesson, network, manifest, runtime, features)
        run = SeedTrainings(lesson, build, network.seeds)
        return TrainingPlan(network.epochs * len(network.seeds), run, about)

    def about(
        self, network: ImageNetworkSpec, manifest: Manifest, checkpoint: ProvidedFile | None = None
    ) -> dict[str, Any]:
        """What readers of a network, and of all that is made with it, must know."""
        sha256 = "" if checkpoint is None else checkpoint.sha256
        classes = self.classes(network, manifest.preparation)
        return {
            "model": network.architecture,
            "architecture": network.architecture,
            "weights": network.source.told(network.published, sha256),
            "seeds": list(network.seeds),
            "targets": getattr(network, "targets", "classes"),
            "input": self._input(network, manifest.preparation),
            "best_epoch": getattr(network, "best_epoch", "last"),
            "class_order": network.outputs_of(classes),
            "told": {**self.told(network), **network.order_told(classes)},
            "parameters": network.scalars,
        }

    def _input(self, network: ImageNetworkSpec, prepared: Preparation) -> str:
        """How images enter a network, in words."""
        if prepared.given:
            return "not known: outputs were brought"
        own = self.preprocessing(network, prepared)
        shape = "squashed to" if network.squash else f"resize {own.resize_px} px, centre crop"
        return f"{shape} {own.crop_px} px ({own.interpolation}), mean {own.mean}, std {own.std}"

    # Outputs and scores

    def needs(self, spec: SettingSpec, network: str) -> frozenset[str | Need]:
        """What its detectors read, and of the shared network the features that other heads read."""
        others = (name for name in spec.used_networks if self.reads_outputs(spec, name))
        own = spec.needs_of(network)
        return own | {"features"} if network == spec.shared and any(others) else own

    def reads_outputs(self, spec: SettingSpec, network: str) -> bool:
        """Whether a network is a head on the shared one's frozen backbone, and features are all that it needs."""
        shared, own = spec.networks[spec.shared], spec.networks[network]
        if network == spec.shared or not self.features_are_the_backbones(shared):
            return False
        if spec.extraction.keep == "scores":  # There are no features of test images.
            return False
        made = [need for need in spec.needs_of(network) if isinstance(need, Need)]
        frozen = shared.source.trained == own.source.trained == "head" and shared.sees == own.sees
        return frozen and all(need.from_features for need in made)

    def passed_sets(self, network: NetworkSpec, prepared: Preparation) -> Sequence[str]:  # noqa: ARG002
        """Fit images, test images and OOD sets."""
        return ("fit", "test", *prepared.ood)

    def plan_outputs(
        self,
        network: NetworkSpec,
        model: StoredModel,
        manifest: Manifest,
        needs: frozenset[str | Need],
        extraction: ExtractionSpec,
        runtime: RuntimeSpec,
        features: StoredShards | None,
    ) -> Plan[Tensors]:
        """Plan one forward pass per image, or what heads make of stored features."""
        assert isinstance(network, ImageNetworkSpec)
        if features is None and not manifest.preparation.given:
            sets = [self.fit_set] if extraction.keep == "scores" else self.passed_sets(network, manifest.preparation)
            self._tell_disk_use(network, manifest.preparation, needs, getattr(torch, extraction.stored), sets)
        return self._plan(network, model, manifest, needs, extraction, runtime, features)

    def _plan(
        self,
        network: ImageNetworkSpec,
        model: StoredModel,
        manifest: Manifest,
        needs: frozenset[str | Need],
        extraction: ExtractionSpec,
        runtime: RuntimeSpec,
        features: StoredShards | None,
    ) -> Plan[Tensors]:
        prepared = manifest.preparation
        if prepared.given:
            read = partial(read_provided, manifest.folders[prepared.in_dist])
            return plan_given(model, manifest, self.passed_sets(network, prepared), read, extraction, self.name)
        head = self.head(network, len(self.classes(network, prepared)))
        forward = Forward(runtime.device, extraction.precision, runtime.channels_last)
        stored: torch.dtype = getattr(torch, extraction.stored)
        common = (
            manifest,
            partial(assembled, network, head, model, on_features=features is not None),
            sorted(needs, key=field_of),
            forward,
            stored,
            extraction.shard_images,
            self.name,
            f"the network {network.architecture}",
        )
        make: ImagePass | HeadPass
        if features is None:
            make = ImagePass(*common, self.preprocessing(network, prepared), loading_of(runtime))
        else:
            # All seeds of the shared network have the same backbone.
            make = HeadPass(*common, features, f"{seed_name(features.about['seeds'][0])}/features")
        heads = [Part(HEADS, 0)] if "features" in needs else []
        about = {**model.about, **make.about(), "model_key": model.origin.key}
        return Plan([*heads, *make.parts(self.passed_sets(network, prepared))], make, about)

    def _tell_disk_use(
        self,
        network: ImageNetworkSpec,
        prepared: Preparation,
        needs: frozenset[str | Need],
        stored: torch.dtype,
        image_sets: Sequence[str],
    ) -> None:
        """Say what the outputs will take, before the first image is read."""
        classes, features = len(self.classes(network, prepared)), network.registered.features
        widths = {"logits": classes, "odin_logits": classes, "features": features}
        sets = {name: prepared.images[name] for name in image_sets}
        own = [widths.get(name_of(need), 1) for need in needs for _ in network.seeds]
        tell_disk_use(sets, stored_bytes(sets, own, stored), needs, stored)

    def check(
        self, network: NetworkSpec, outputs: StoredShards, manifest: Manifest, scored: StoredShards | None = None
    ) -> Quality:
        """How good the networks are on in-distribution images that they were not trained on."""

        def judged(image_set: str, seed: int) -> torch.Tensor:
            if scored is not None and image_set != self.fit_set:
                kept = [scored.read(name)[f"{JUDGED}/{seed_name(seed)}"] for name in shards_of(scored, image_set)]
            else:
                kept = [self.judged(chunk.logits) for chunk in ImageOutputs(outputs, image_set, seed_name(seed))]
            return torch.cat(kept)

        values, quality = self.judge(network, judged, manifest)
        if values and min(values) < quality.least:
            images, told = sum(quality.images.values()), in_measure(quality.measure, min(values))
            raise WrongNetworkError(
                f"{self.name}: {told} on {images:,} in-distribution images is under the "
                f"{quality.least:.1%} that {network.architecture} is known for (least_quality): check weights, "
                "preprocessing and the order of the classes (class_order)"
            )
        if values and not network.source.trains:
            quality = better_than_chance(quality, self.chance(quality, manifest), network, self.name)
        if quality.warning:
            _logger.warning(quality.warning)
        return quality

    def fit_view(self, outputs: StoredShards, manifest: Manifest, method: Method, seed: int) -> ImageOutputs:
        """What a detector may learn from: the fit images."""
        names = self.class_names(outputs, manifest.preparation)
        return ImageOutputs(outputs, self.fit_set, seed_name(seed), method.needs, class_names=names)

    def class_names(self, outputs: StoredShards, prepared: Preparation) -> Sequence[str]:
        """Names of the classes, or of the groups that they form."""
        return prepared.of_classes.groups if outputs.about["targets"] == "coarse" else prepared.classes

    def score(
        self, method: Method, outputs: StoredShards, quality: Quality, manifest: Manifest, runtime: RuntimeSpec
    ) -> Plan[Tensors]:
        """Fit a detector and score the test images."""
        prepared = manifest.preparation
        if prepared.given and not method.gap:
            method = replace(method, gap=lacking(method, prepared))
        sets = ("test", *prepared.ood)
        return score_images(
            method, outputs, quality, manifest, sets, partial(self.fit_view, outputs, manifest), runtime
        )

    def plan_scores(
        self,
        methods: Mapping[str, Method],
        network: NetworkSpec,
        model: StoredModel,
        outputs: StoredShards,
        manifest: Manifest,
        needs: frozenset[str | Need],
        extraction: ExtractionSpec,
        runtime: RuntimeSpec,
    ) -> Plan[Tensors]:
        """Plan one forward pass per test image, which is scored at once."""
        assert isinstance(network, ImageNetworkSpec)
        plan = self._plan(network, model, manifest, needs, extraction, runtime, None)
        assert isinstance(plan.make, ImagePass)
        fit_view = partial(self.fit_view, outputs, manifest)
        make = ScoringPass(plan.make, methods, outputs, manifest, fit_view, self.judged)
        sets = [name for name in self.passed_sets(network, manifest.preparation) if name != self.fit_set]
        return Plan(of_sets(plan.parts, sets, heads=False), make, plan.about)

    def collect(
        self,
        method: Method,
        outputs: StoredShards,
        scored: StoredShards,
        quality: Quality,
        manifest: Manifest,
    ) -> Scores:
        """The detector's own column."""
        return left_scores(scored, method, outputs, quality, manifest, ("test", *manifest.preparation.ood))

    # Packaging

    def packed(self, network: NetworkSpec, model: StoredModel, manifest: Manifest) -> Tensors:
        """Backbone and head; of a program the head alone."""
        assert isinstance(network, ImageNetworkSpec)
        head = self.head(network, len(self.classes(network, manifest.preparation)))
        state = assembled(network, head, model)[seed_name(network.seeds[0])].state_dict()
        return {name: each for name, each in state.items() if name.startswith(_kept(network))}

    def revived(
        self, network: NetworkSpec, prepared: Preparation, state: Tensors, class_order: Sequence[int]
    ) -> ImageNetwork:
        """Backbone and head."""
        assert isinstance(network, ImageNetworkSpec)
        if network.registered.program and not network.source.trains:
            return published_network(network.named, network.registered.classes, class_order)
        head = self.head(network, len(self.classes(network, prepared)))
        if not network.source.trains:
            head = partial(ClassHead, classes=_outputs_of(state))
        built = build_network(network.named, head, seed=0, start="random")
        own = {name: each for name, each in built.state_dict().items() if not name.startswith(_kept(network))}
        return _loaded(built, {**own, **state})

    def network_pixels(
        self, network: NetworkSpec, prepared: Preparation, image: Image.Image
    ) -> tuple[list[torch.Tensor], Preprocessing]:
        """Scaled and cropped, or squashed."""
        assert isinstance(network, ImageNetworkSpec)
        preprocessing = self.preprocessing(network, prepared)
        return [preprocessing.crop(image)], preprocessing

    def threshold(
        self,
        method: Method,  # noqa: ARG002
        scores: Scores,
        outputs: StoredShards,  # noqa: ARG002
        manifest: Manifest,  # noqa: ARG002
        rate: float,
    ) -> dict[str, Any]:
        """From the stored scores."""
        return image_threshold(scores, rate)

    # Results

    def measure(
        self,
        scores: Scores,
        manifest: Manifest,
        reporting: ReportingSpec,
        runtime: RuntimeSpec,  # noqa: ARG002
        method: Method | None,  # noqa: ARG002
        outputs: StoredShards | None,  # noqa: ARG002
    ) -> Plan[Tensors]:
        """Metrics per seed, OOD set and positive class, which one process makes."""
        return Plan.undivided(partial(self._measured, scores, manifest, reporting))

    def _measured(self, scores: Scores, manifest: Manifest, reporting: ReportingSpec) -> Measured:
        metrics = measure_scores(scores, manifest.preparation, reporting)
        return Measured(summarise(metrics, scores, manifest.preparation, reporting), metrics)

    def mark(
        self,
        results: pd.DataFrame,
        scores: Mapping[str, Scores],
        measured: Mapping[str, Measured],  # noqa: ARG002
        manifest: Manifest,
        reporting: ReportingSpec,
    ) -> pd.DataFrame:
        """Marks from paired comparisons on the identical images."""
        return mark_ties(results, list(scores.values()), manifest.preparation, reporting)

    def report(
        self,
        methods: Mapping[str, Method],
        results: pd.DataFrame,
        metrics: pd.DataFrame | None,
        manifest: Manifest,
        reporting: ReportingSpec,
        scores: Mapping[str, Scores],
        outputs: Mapping[str, StoredShards],
        quality: Quality,
        maps: StoredShards | None,  # noqa: ARG002
    ) -> tuple[str, dict[str, Any]]:
        """The report, and the figures by their names."""
        prepared = manifest.preparation
        figures: dict[str, Any] = score_figures(list(scores.values()), prepared, reporting)
        shown = score_illustrations(figures)
        more, tables, granularity = self.more(methods, metrics, manifest, reporting, outputs)
        page = report_page(
            results, prepared, scores, outputs, quality, reporting, shown | more, granularity=granularity
        )
        return page, figures | tables

    def more(
        self,
        methods: Mapping[str, Method],  # noqa: ARG002
        metrics: pd.DataFrame | None,  # noqa: ARG002
        manifest: Manifest,  # noqa: ARG002
        reporting: ReportingSpec,  # noqa: ARG002
        outputs: Mapping[str, StoredShards],  # noqa: ARG002
    ) -> tuple[dict[str, Illustration], dict[str, Any], Any]:
        """Further illustrations, further figures and tables by their names in the catalog, and the granularity."""
        return {}, {}, None

    def run(
        self,
        scores: Scores,
        results: pd.DataFrame,
        manifest: Manifest,
        reporting: ReportingSpec,
        training_run_id: str,
        maps: StoredShards | None,  # noqa: ARG002
    ) -> RunRecord:
        """What one detector's tracked run shows."""
        prepared = manifest.preparation
        figures = {} if scores.gap else {**interval_figures(results), **score_figures([scores], prepared, reporting)}
        return detector_run(scores, results, prepared, reporting, self.fit_set, training_run_id, figures)


def assembled(
    network: ImageNetworkSpec, head: Callable[[int], Head], model: StoredModel, *, on_features: bool = False
) -> dict[str, ImageNetwork]:
    """The networks of all seeds with their weights; those with the same frozen backbone share it.

    Args:
        network: What they are.
        head: What is on the backbone, where something was trained.
        model: Their weights.
        on_features: Whether they are given the backbone's features in place of images.
    """
    name, states = network.named, model.states()
    if network.source.start == "checkpoint":
        linear = partial(ClassHead, classes=_outputs_of(states[seed_name(0)]))
        return {seed_name(0): _loaded(build_network(name, linear, seed=0, start="random"), states[seed_name(0)])}
    if network.source.trained == "everything":
        whole = {seed_name(seed): build_network(name, head, seed=seed, start="random") for seed in network.seeds}
        return {seed: _loaded(built, states[seed]) for seed, built in whole.items()}
    if network.source.trained == "nothing":
        return {seed_name(0): published_network(name, architecture(name).classes, model.about.get("class_order", ()))}
    backbone = nn.Identity() if on_features else architecture(name).build(True)[0]
    networks = {}
    for seed in map(seed_name, network.seeds):
        trained = build_head(name, head, seed=0)
        trained.load_state_dict(states[seed])
        networks[seed] = ImageNetwork(backbone, trained)
    return networks


def stored_features(features: StoredShards, image_set: str, quarter: int = 0) -> torch.Tensor:
    """Features (N, D) of an image set's frozen backbone, of images turned by so many quarters."""
    shards = [name for name in features.parts if image_set_of(name) == image_set]
    return torch.cat([features.read(name)[f"{_BACKBONE}/{field_of(Encoded(quarter))}"] for name in shards])


def all_quarters() -> range:
    """By how many quarters images are turned for a head that learns rotations."""
    return range(ROTATIONS)


def _bare(name: str) -> dict[str, ImageNetwork]:
    """A published backbone; its head has no meaning."""
    return {_BACKBONE: build_network(name, partial(ClassHead, classes=1), seed=0, start="published")}


def _adopted(
    name: str, path: str, classes: int, order: Sequence[int], _: dict[str, Any] | None
) -> Iterator[dict[str, Any]]:
    state = adopted_state(name, read_checkpoint(path), classes, order)
    yield {"models": {f"{seed_name(0)}.best": state}, "history": []}


def _verify(name: str, classes: int) -> None:
    """Make sure that published weights are the registered ones, if any are, and fit the classes."""
    published_network(name, classes)
    registered, found = architecture(name).weights_digest, published_digest(name)
    if registered and found != registered:
        raise ValueError(f"the weights of {name} have digest {found}, registered is {registered}")


def _kept(network: ImageNetworkSpec) -> str:
    """How the names begin of what is packed of its state: what a program computes with is in its files."""
    return "head." if network.registered.program else ""


def _outputs_of(state: Mapping[str, torch.Tensor]) -> int:
    return len(state["head.output.weight"])


def _loaded(network: ImageNetwork, state: Mapping[str, torch.Tensor]) -> ImageNetwork:
    network.load_state_dict(dict(state))
    return network
