"""Parameters of the multi-class setting."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from miniatures import MiniatureSpec
from scaling_ood.models import architecture
from scaling_ood.parameters.common import (
    RESERVED,
    Count,
    DetectorSwitches,
    HintSpec,
    IdentitySpec,
    Labels,
    RenderingSpec,
    ReportingSpec,
    Seeds,
    Spec,
    did_you_mean,
)
from scaling_ood.parameters.data_sets import (
    DataSets,
    DataSpec,
    FolderSpec,
)


class ModelSpec(Spec):
    """The classifier, and how it is trained.

    Attributes:
        architecture: Registered backbone.
        training: `none`: the published weights and head, verified; `head`: a linear head on frozen, cached features of
            the published backbone; `network`: everything.
        pretrained: With `training: network`, whether the backbone starts from its published weights (fine-tuning) or
            from random ones.
        weights: With `training: none`, whose: `published`, or `checkpoint`: those of the catalog's `checkpoint`, a file
            (--params checkpoint=FILE) with the classes of the data set in their order.
        input_px: Side of the network's input in pixels; by default that of the published weights. Normalisation and
            interpolation always stay those of the weights.
        labels: What one classifier each is trained on; the first is the one that the results table shows.
        seeds: One classifier per seed and kind of labels; results are their mean. A number n means 0..n-1.
        epochs: Passes over the training images.
        batch_images: Images per step.
        learning_rate: Peak of the one-cycle cosine schedule, AdamW.
        weight_decay: Decoupled, on weights only.
        label_smoothing: Share of the target spread over all classes.
        least_top1: The model is wrong if its top-1 accuracy on the fit and test images falls under this fraction.
    """

    architecture: str
    training: Literal["none", "head", "network"]
    pretrained: bool = False
    weights: Literal["published", "checkpoint"] = "published"
    input_px: Annotated[int, Field(ge=16)] | None = None
    labels: Annotated[tuple[Labels, ...], Field(min_length=1)] = ("fine",)
    seeds: Seeds = (0,)
    epochs: Count = 30
    batch_images: Count = 256
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    least_top1: Annotated[float, Field(ge=0, le=1)] = 0.0

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, value: str) -> str:
        architecture(value)
        return value

    @model_validator(mode="after")
    def _weights_exist(self) -> Self:
        if self.weights == "checkpoint" and self.training != "none":
            raise ValueError("weights: checkpoint belongs to training: none, and nothing is trained on top of it")
        if self.pretrained and self.training != "network":
            raise ValueError("pretrained belongs to training: network; the others always use the published weights")
        if (self.stored != "network" or self.pretrained) and not architecture(self.architecture).weights:
            raise ValueError(
                f"'{self.architecture}' has no published weights: train it from random ones or give a checkpoint"
            )
        if self.training == "none" and (self.labels, self.seeds) != (("fine",), (0,)):
            raise ValueError("a model that is not trained here has labels: [fine] and seeds: [0]")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels names one twice: {', '.join(self.labels)}")
        return self

    @property
    def stored(self) -> Literal["none", "head", "network"]:
        """What of each classifier is stored as the model: nothing, its head, or all its weights."""
        return "network" if self.weights == "checkpoint" else self.training


class ConfidenceNetworkSpec(HintSpec):
    """How the network of `confidence_branch` is trained, beside what holds for the classifier; no label is smoothed.

    Attributes:
        least_top1: The network is wrong if its top-1 accuracy falls under this fraction; by default the model's.
    """

    least_top1: Annotated[float, Field(ge=0, le=1)] | None = None


class RotationNetworkSpec(Spec):
    """How the network of the `rotation` detectors is trained, beside what holds for the classifier.

    Attributes:
        weight: Of the rotations' loss beside that of the classes.
        width: Of the hidden layer that both heads share, with `training: head`; on frozen features alone the rotations
            would have no effect on the classes. A whole network has none.
        least_top1: The network is wrong if its top-1 accuracy falls under this fraction; by default the model's.
    """

    weight: Annotated[float, Field(gt=0)] = 1.0
    width: Count = 512
    least_top1: Annotated[float, Field(ge=0, le=1)] | None = None

    def hidden_width(self, training: str) -> int:
        """Of the hidden layer in that kind of training; 0 where there is none."""
        return self.width if training == "head" else 0


class ClassifierNetworksSpec(Spec):
    """Classifiers that learned something else beside; each is trained only where a detector reads it."""

    confidence_branch: ConfidenceNetworkSpec = ConfidenceNetworkSpec()
    rotation_network: RotationNetworkSpec = RotationNetworkSpec()

    def least_top1(self, kind: str, model: ModelSpec) -> float:
        """Least accuracy of the networks of a kind."""
        own = getattr(self, kind).least_top1
        return model.least_top1 if own is None else float(own)


class OdinSpec(Spec):
    """The step of ODIN towards the predicted class, for the detectors that read the logits after it.

    Attributes:
        temperature: By which the logits are divided before the gradient is taken.
        epsilon: Length of the step, in units of the network's normalised input.
    """

    temperature: Annotated[float, Field(gt=0)] = 1000.0
    epsilon: Annotated[float, Field(ge=0)] = 0.001


class ExtractionSpec(Spec):
    """What is stored of the forward pass.

    Attributes:
        precision: Arithmetic of the network: `float32`, for which TF32 is switched off on GPUs that have it, or `bf16`,
            automatic mixed precision.
        stored: Type of what is kept. What is kept of each image is what the detectors that are on read, and the logits.
        shard_images: Images per stored file, which is also what a killed run loses at most.
        odin: The step of ODIN, where a detector wants it: two more forward passes and one backward.
    """

    precision: Literal["float32", "bf16"] = "float32"
    stored: Literal["float32", "float16"] = "float32"
    shard_images: Count = 512
    odin: OdinSpec = OdinSpec()


class FabricationSpec(RenderingSpec[MiniatureSpec]):
    """Fields of `miniatures.MiniatureSpec`."""

    of = MiniatureSpec


class SettingSpec(Spec):
    """Everything about one setting of whole images in the running environment."""

    identity: IdentitySpec
    data_sets: DataSets
    data: DataSpec
    fabrication: FabricationSpec | Literal[False] = False
    model: ModelSpec
    networks: ClassifierNetworksSpec
    extraction: ExtractionSpec
    detectors: DetectorSwitches
    reporting: ReportingSpec

    def curated(self) -> list[str]:
        """Data sets of the benchmark that are curated."""
        used = self.data_sets.used_by(self.data).items()
        return [name for name, spec in used if isinstance(spec, FolderSpec) and spec.curation is not None]

    def photographs(self) -> dict[str, str]:
        """Data sets of photographs that the benchmark reads: name to folder, relative to the data root."""
        used = self.data_sets.used_by(self.data).items()
        return {n: s.folder for n, s in used if isinstance(s, FolderSpec) and s.source == "photographs"}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [*self._problems_of_data(), *self._problems_of_model()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _problems_of_data(self) -> list[str]:
        data, known = self.data, self.data_sets.root
        problems = [
            f"data names a set that data_sets lacks: {name}{did_you_mean(name, known)}"
            for name in (data.in_dist, *data.ood)
            if name not in known
        ]
        if len(set(data.ood)) < len(data.ood) or data.in_dist in data.ood:
            problems.append(f"data names a set twice: in_dist {data.in_dist}, ood {', '.join(data.ood)}")
        taken = [name for name in data.ood if name in RESERVED or name.startswith("mean_")]
        if taken:
            problems.append(f"an OOD set cannot be called {', '.join(taken)}: that names rows of its own in the tables")
        used = {name: known[name] for name in (data.in_dist, *data.ood) if name in known}
        if data.in_dist in used and used[data.in_dist].source == "noise":
            problems.append(f"in_dist cannot be noise: {data.in_dist}")
        rendered = [name for name, spec in used.items() if spec.source == "fabricated"]
        if rendered and not self.fabrication:
            problems.append(f"fabrication is switched off, but data names rendered sets: {', '.join(rendered)}")
        return problems

    def _problems_of_model(self) -> list[str]:
        problems = []
        if (self.model.training == "none") != (self.data.train is None):
            problems.append("data.train must be given exactly if the model is trained")
        odin = self.detectors.get("odin")
        if isinstance(odin, dict) and odin.get("temperature", 1000.0) != self.extraction.odin.temperature:
            problems.append(
                f"detectors.odin.temperature ({odin.get('temperature', 1000.0):g}) is not that of its step, "
                f"extraction.odin.temperature ({self.extraction.odin.temperature:g})"
            )
        if "coarse" in self.model.labels and self.data.coarse_labels is None:
            problems.append("model.labels has 'coarse', but data.coarse_labels is not given")
        return problems
