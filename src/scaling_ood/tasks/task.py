"""What a setting has to say of itself, so that stages can be templates over all of them."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch
from PIL import Image

from scaling_ood.detectors import Need, OutputsView
from scaling_ood.evaluation.facts import in_measure
from scaling_ood.images import Preprocessing
from scaling_ood.metrics.chance import chance_bound
from scaling_ood.models import Network
from scaling_ood.parameters.common import AnyDataSpec, RenderingSpec, ReportingSpec, RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.parameters.networks import NetworkSpec
from scaling_ood.parameters.setting import ExtractionSpec, SettingSpec
from scaling_ood.products.plans import Plan, TrainingPlan
from scaling_ood.products.preparation import Manifest, Preparation
from scaling_ood.products.records import RunRecord
from scaling_ood.products.scores import Measured, Quality, Scores
from scaling_ood.products.stored import ProvidedFile, StoredModel, StoredShards, Tensors
from scaling_ood.tasks.drafts import DraftError, Said


class WrongNetworkError(ValueError):
    """A network is worse than it is known to be, so that no score of it means anything."""


def better_than_chance(quality: Quality, chance: tuple[float, int], network: NetworkSpec, setting: str) -> Quality:
    """The quality of a network that is not trained here, with a warning where that says little.

    Args:
        quality: Of a network that is not trained here.
        chance: What a network that knows nothing gets, and of how many answers; see `chance_bound`.
        network: What it is.
        setting: Its name.

    Raises:
        WrongNetworkError: It is no better than chance, and nobody said that it need not be.
    """
    assert quality.value is not None
    told, level, bound = in_measure(quality.measure, quality.value), chance[0], chance_bound(*chance)
    at_chance = quality.value <= bound
    if at_chance and network.least_quality is None:
        raise WrongNetworkError(
            f"{setting}: {told} is at chance level ({level:.1%}; by luck up to {bound:.1%}): check weights, "
            f"preprocessing and the order of the classes (class_order). If {network.architecture} is "
            "known to be no better, say so: least_quality: 0"
        )
    if at_chance:
        warning = f"{told} is at chance level ({level:.1%}): no number below says anything of a network that works."
        return replace(quality, warning=" ".join(filter(None, [quality.warning, warning])))
    if network.least_quality is not None:
        return quality
    warning = (
        f"Nothing says how good {network.architecture} must be (least_quality): {told} was compared with chance alone "
        f"({level:.1%})."
    )
    if network.source.start != "outputs":
        warning += " A wrong preprocessing loses points and stays far above chance."
    return replace(quality, warning=" ".join(filter(None, [quality.warning, warning])))


class Task(ABC):
    """One setting. It holds nothing: all that it needs is given, so that products depend on what is given alone.

    Attributes:
        name: The setting's, which is its namespace in the graph and its place in the parameters.
        spec: Class of its parameters.
        renderer: To be raised with every change of its rendering, so that older images are not taken for present ones.
        training_sets: Image sets that a training sees: to learn from, and to choose the best epoch on.
        fit_set: Image set that detectors are fitted on.
        validated: Quantity in a training's history that tells epochs apart; empty where none does.
    """

    name: ClassVar[str]
    spec: ClassVar[type[SettingSpec]]
    renderer: ClassVar[int] = 1
    training_sets: ClassVar[tuple[str, ...]] = ("train",)
    fit_set: ClassVar[str] = "fit"
    validated: ClassVar[str] = ""

    # Data

    def render(self, fabrication: RenderingSpec[Any]) -> Plan[Any]:
        """Plan the rendering of images, a part per folder."""
        raise ValueError(f"{self.name} renders nothing ({fabrication})")

    def curate(self, data: AnyDataSpec, roots: Mapping[str, str], workers: int) -> pd.DataFrame:
        """Find the images that are left out for their quality."""
        raise ValueError(f"{self.name} curates nothing ({data}, {roots}, {workers})")

    @abstractmethod
    def prepare(
        self,
        data: AnyDataSpec,
        benchmark: str,
        roots: Mapping[str, str],
        workers: int,
        curation: pd.DataFrame | None,
    ) -> tuple[Manifest, pd.DataFrame]:
        """List, select, divide and check the images.

        Args:
            data: What the benchmark is made of.
            benchmark: Its id.
            roots: Folder of the `photographs`, and of what was `fabricated`, absolute.
            workers: Images that are opened at a time.
            curation: Images that are left out for their quality, where any data set is curated.

        Returns:
            Manifest; images and files that are not used, with the reason.
        """

    def draft(self, folder: Path, said: Said, library: Collection[str]) -> list[str]:
        """Parameters of a new benchmark of the photographs in a folder: lines of YAML, with comments.

        Args:
            folder: The data root.
            said: What its shape does not tell.
            library: Names of data sets that are taken.

        Raises:
            DraftError: None can be made of it, or not without being told more.
        """
        raise DraftError(f"of {self.name} no benchmark is drafted ({folder}, {said}, {library})")

    # Networks

    def feature_owners(self, spec: SettingSpec) -> dict[str, str]:  # noqa: ARG002
        """Networks that are heads on a frozen backbone, and the network whose stored features they are trained on."""
        return {}

    def seen(self, network: NetworkSpec) -> Any:
        """What stored features of a network's frozen backbone depend on, beside the images."""
        raise ValueError(f"{self.name} trains no heads on stored features ({network})")

    def learns(self, network: NetworkSpec) -> Any:
        """What its weights depend on, beside the images: all that matters of it but what its test alone takes."""
        return network.what_matters()

    def plan_features(self, network: NetworkSpec, manifest: Manifest, runtime: RuntimeSpec) -> Plan[Tensors]:
        """Plan the frozen backbone's features of the images that a head is trained on."""
        raise ValueError(f"{self.name} trains no heads on stored features ({network}, {manifest}, {runtime})")

    @abstractmethod
    def plan_training(
        self,
        network: NetworkSpec,
        manifest: Manifest,
        runtime: RuntimeSpec,
        features: StoredShards | None,
        checkpoint: ProvidedFile | None,
    ) -> TrainingPlan:
        """Plan the training of one network per seed; or verify published weights, or take over those of a file."""

    # Outputs and scores

    def needs(self, spec: SettingSpec, network: str) -> frozenset[str | Need]:
        """What is stored of a network's passes."""
        return spec.needs_of(network)

    def reads_outputs(self, spec: SettingSpec, network: str) -> bool:  # noqa: ARG002
        """Whether a network's outputs are made of the shared network's, without any image."""
        return False

    @abstractmethod
    def passed_sets(self, network: NetworkSpec, prepared: Preparation) -> Sequence[str]:
        """Image sets that go through a network for detectors."""

    @abstractmethod
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
        """Plan one forward pass per image; see `extract_outputs`."""

    @abstractmethod
    def check(
        self, network: NetworkSpec, outputs: StoredShards, manifest: Manifest, scored: StoredShards | None = None
    ) -> Quality:
        """How good the networks are at their own work.

        Args:
            network: What they are.
            outputs: Of all images; of the fit images alone where there is `scored`.
            manifest: All images.
            scored: What stayed of the test images, where that is not their outputs.

        Raises:
            WrongNetworkError: One of them is worse than `least_quality`.
        """

    def fit_view(self, outputs: StoredShards, manifest: Manifest, method: Method, seed: int) -> OutputsView:
        """What a detector may learn from."""
        raise ValueError(f"{self.name} fits no detector ({outputs}, {manifest}, {method}, {seed})")

    def class_names(self, outputs: StoredShards, prepared: Preparation) -> Sequence[str]:  # noqa: ARG002
        """Names of what a network tells apart; those of all classes, unless a setting says otherwise."""
        return prepared.classes

    @abstractmethod
    def score(
        self, method: Method, outputs: StoredShards, quality: Quality, manifest: Manifest, runtime: RuntimeSpec
    ) -> Plan[Tensors]:
        """Plan to fit a detector and to score the test images; of pixels, only whether it has a meaning.

        `Scores` come of the plan: `Plan.whole` makes them.
        """

    def plan_scores(
        self,
        methods: Mapping[str, Method],  # noqa: ARG002
        network: NetworkSpec,  # noqa: ARG002
        model: StoredModel,  # noqa: ARG002
        outputs: StoredShards,  # noqa: ARG002
        manifest: Manifest,  # noqa: ARG002
        needs: frozenset[str | Need],  # noqa: ARG002
        extraction: ExtractionSpec,  # noqa: ARG002
        runtime: RuntimeSpec,  # noqa: ARG002
    ) -> Plan[Tensors]:
        """Plan passes over test images of which only scores stay; see `evaluation.scoring_pass`."""
        raise ValueError(f"{self.name} keeps outputs, not scores alone")

    def collect(
        self,
        method: Method,  # noqa: ARG002
        outputs: StoredShards,  # noqa: ARG002
        scored: StoredShards,  # noqa: ARG002
        quality: Quality,  # noqa: ARG002
        manifest: Manifest,  # noqa: ARG002
    ) -> Scores:
        """The scores of one detector that such passes have left."""
        raise ValueError(f"{self.name} keeps outputs, not scores alone")

    # Results

    @abstractmethod
    def measure(
        self,
        scores: Scores,
        manifest: Manifest,
        reporting: ReportingSpec,
        runtime: RuntimeSpec,
        method: Method | None,
        outputs: StoredShards | None,
    ) -> Plan[Tensors]:
        """Plan the metrics of one detector, of which `Measured` comes; see `score`.

        The last two are there where scores are made when they are measured.
        """

    @abstractmethod
    def mark(
        self,
        results: pd.DataFrame,
        scores: Mapping[str, Scores],
        measured: Mapping[str, Measured],
        manifest: Manifest,
        reporting: ReportingSpec,
    ) -> pd.DataFrame:
        """The results with the detectors marked that cannot be told from the best."""

    def plan_maps(
        self,
        methods: Mapping[str, Method],
        outputs: Mapping[str, StoredShards],
        manifest: Manifest,
        reporting: ReportingSpec,
        runtime: RuntimeSpec,
    ) -> Plan[Tensors]:
        """Plan the score maps of detectors for pixels."""
        raise ValueError(f"{self.name} has no pixels ({methods}, {outputs}, {manifest}, {reporting}, {runtime})")

    def shown_networks(self, spec: SettingSpec) -> Sequence[str]:
        """Networks whose outputs the report reads; the shared one is the first."""
        return (spec.shared,)

    @abstractmethod
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
        maps: StoredShards | None,
    ) -> tuple[str, dict[str, Any]]:
        """The report as one HTML file, and the figures by their names."""

    # Packaging

    def packed(self, network: NetworkSpec, model: StoredModel, manifest: Manifest) -> Tensors:
        """The whole state of the first seed's network, whether it was trained here or published; none of a program."""
        raise ValueError(f"{self.name} packages no detector ({network}, {model}, {manifest})")

    def revived(
        self, network: NetworkSpec, prepared: Preparation, state: Tensors, class_order: Sequence[int]
    ) -> Network:
        """The network of such a state; nothing is downloaded.

        Args:
            network: What it is.
            prepared: What the images were.
            state: Its own.
            class_order: Which of its outputs each class is, where it is run as it is; empty where that is no question.
        """
        raise ValueError(f"{self.name} packages no detector ({network}, {prepared}, {len(state)}, {class_order})")

    def network_pixels(
        self, network: NetworkSpec, prepared: Preparation, image: Image.Image
    ) -> tuple[list[torch.Tensor], Preprocessing]:
        """An image as it enters the network: uint8 (3, H, W), one of each scale; and how that is normalised."""
        raise ValueError(f"{self.name} packages no detector ({network}, {prepared}, {image})")

    def threshold(
        self, method: Method, scores: Scores, outputs: StoredShards, manifest: Manifest, rate: float
    ) -> dict[str, Any]:
        """From which score on something is called an anomaly, at that rate of false alarms; see `image_threshold`.

        Raises:
            TooFewScoresError: There are too few in-distribution test images for that rate.
        """
        raise ValueError(f"{self.name} packages no detector ({method}, {scores}, {outputs}, {manifest}, {rate})")

    # Runs

    @abstractmethod
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

    def what_matters(self) -> str:
        """Its name: the part of every key that stands for its code."""
        return self.name


@lru_cache(maxsize=1)
def tasks() -> tuple[Task, ...]:
    """Every setting there is, in the order of the alphabet."""
    package = importlib.import_module("scaling_ood.tasks")
    modules = [
        importlib.import_module(f"{package.__name__}.{each.name}") for each in pkgutil.iter_modules(package.__path__)
    ]
    found = {each.__name__: each for module in modules for each in vars(module).values() if _is_setting(each)}
    return tuple(sorted((each() for each in found.values()), key=lambda task: task.name))


def _is_setting(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Task) and "name" in vars(value)
