"""Parameters of the multi-label setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from miniatures.composite import CompositeSpec
from scaling_ood.images import Orientation
from scaling_ood.images.multi_label import MultiLabelSource, check_source, multi_label_layout_names
from scaling_ood.metrics import AveragingRule
from scaling_ood.models import architecture
from scaling_ood.parameters.common import (
    RESERVED,
    Count,
    DetectorSwitches,
    IdentitySpec,
    RenderingSpec,
    ReportingSpec,
    Seeds,
    SharingSpec,
    Spec,
    did_you_mean,
)
from scaling_ood.parameters.data_sets import DataSets, FolderSpec, PartSpec
from scaling_ood.training.resumable import BestEpoch


class CompositeFabricationSpec(RenderingSpec[CompositeSpec]):
    """Fields of `miniatures.composite.CompositeSpec`."""

    of = CompositeSpec


class LabelledSetSpec(Spec):
    """The in-distribution images and their annotations; see `scaling_ood.images.multi_label.MultiLabelSource`.

    Attributes:
        source: Rendered, or photographs.
        layout: Reader of the on-disk layout.
        folder: Relative to the data root, or to the rendered images.
        year: Edition, where a folder holds several.
        hard_objects: Whether a difficult object (VOC) or a crowd region (COCO) makes its class present.
        unlabelled: Splits whose annotations are not meant for classification.
        manifest: File with one row per image, for the layout `table`.
        classes: Its columns that are classes; by default all that are neither `path` nor `split`.
    """

    source: Literal["photographs", "fabricated"] = "photographs"
    layout: str
    folder: str
    year: int | None = None
    hard_objects: Literal["counted", "ignored"] = "counted"
    unlabelled: tuple[str, ...] = ()
    manifest: str = ""
    classes: tuple[str, ...] | None = None

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, value: str) -> str:
        if value not in multi_label_layout_names():
            raise ValueError(f"unknown layout '{value}'{did_you_mean(value, multi_label_layout_names())}")
        return value

    @model_validator(mode="after")
    def _options_of_the_layout(self) -> Self:
        check_source(self.labelled_source("", self.folder, ()))
        return self

    def labelled_source(self, name: str, folder: str, splits: Sequence[str]) -> MultiLabelSource:
        """How the images of these splits below that folder are read."""
        options = self.model_dump(exclude={"source", "folder"})
        return MultiLabelSource(name=name, folder=folder, splits=splits, **options)


class LabelDataSpec(SharingSpec):
    """What a benchmark is made of.

    Attributes:
        in_dist: Name of the in-distribution data set.
        labelled: Its images and annotations.
        ood: Names of the OOD data sets, from the library `data_sets`, in the order of the tables.
        train: Images that the network is trained on.
        fit: In-distribution images that the best epoch is chosen on and detectors are fitted on; never test images.
        test: In-distribution test images of every detector.
        seed: Of every draw.
        most_unreadable: Share of images that may be quarantined before preparation stops with an error.
        orientation: `stored`: pixels as they lie in the file, as the published preprocessing takes them; `upright`:
            turned as EXIF says.
    """

    in_dist: str
    labelled: LabelledSetSpec
    ood: Annotated[tuple[str, ...], Field(min_length=1)]
    train: PartSpec
    fit: PartSpec
    test: PartSpec
    seed: Annotated[int, Field(ge=0)] = 0
    most_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.01
    orientation: Orientation = "stored"

    @model_validator(mode="after")
    def _shares_alone(self) -> Self:
        wrong = [role for role in ("train", "fit", "test") if getattr(self, role).per_class is not None]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: per_class has no meaning where an image has several classes")
        return self


class MultiLabelModelSpec(Spec):
    """The network of the paper's section 4: a published backbone, a hidden layer, one sigmoid per class.

    Attributes:
        architecture: Of the backbone.
        training: `head`: the two linear layers, on cached features of the frozen backbone; `network`: everything.
        input_px: Side of the network's input in pixels; by default that of the published weights.
        squash: Whether test images are stretched to the square, as the released code did, instead of cut.
        width: Of the hidden layer.
        dropout: Share of it that training and `mc_dropout` set to zero.
        seeds: One network per seed; results are their mean. A number n means 0..n-1.
        epochs: Each ends with a validation on the fit images.
        best_epoch: Which is used: `validation`, the one with the best mAP on the fit images, or `last`, as in the
            released code.
        batch_images: Images per step.
        learning_rate: Of the head.
        backbone_learning_rate: Of the backbone, where it is trained.
        averaging: How precision is averaged for mAP: `step`, `trapezoid` (the released code's) or `voc_2007`.
        precision: Arithmetic of the training: `bf16` is automatic mixed precision.
        least_map: The network is wrong if its mAP on the labelled fit and test images falls under this fraction.
    """

    architecture: str
    training: Literal["head", "network"]
    input_px: Annotated[int, Field(ge=16)] | None = None
    squash: bool = False
    width: Count = 1000
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    seeds: Seeds = (0,)
    epochs: Count = 50
    best_epoch: BestEpoch = "validation"
    batch_images: Annotated[int, Field(ge=2)] = 40
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    backbone_learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    averaging: AveragingRule = "step"
    precision: Literal["float32", "bf16"] = "float32"
    least_map: Annotated[float, Field(ge=0, le=1)] = 0.0

    @field_validator("architecture")
    @classmethod
    def _has_weights(cls, value: str) -> str:
        if not architecture(value).weights:
            raise ValueError(
                f"'{value}' has no published weights, and its batch norms are frozen: it cannot be trained"
            )
        return value

    @property
    def labels(self) -> tuple[str, ...]:
        """What one network each is trained on, as in the other settings: the classes of the data set alone."""
        return ("fine",)


class LabelExtractionSpec(Spec):
    """What is stored of the forward pass.

    Attributes:
        precision: Arithmetic of the network: `float32`, for which TF32 is switched off on GPUs that have it, or `bf16`,
            automatic mixed precision.
        shard_images: Images per stored file, which is also what a killed run loses at most.
        dropout_passes: Dropout masks, where a detector reads the variance over them; the same for all images.
        dropout_seed: Of the masks.
    """

    precision: Literal["float32", "bf16"] = "float32"
    shard_images: Count = 512
    dropout_passes: Annotated[int, Field(ge=2)] = 10
    dropout_seed: Annotated[int, Field(ge=0)] = 0


class MultiLabelSpec(Spec):
    """Everything about the multi-label setting in the running environment."""

    identity: IdentitySpec
    data_sets: DataSets
    data: LabelDataSpec
    fabrication: CompositeFabricationSpec | Literal[False] = False
    model: MultiLabelModelSpec
    extraction: LabelExtractionSpec
    detectors: DetectorSwitches
    reporting: ReportingSpec

    def photographs(self) -> dict[str, str]:
        """Data sets of photographs that the benchmark reads: name to folder, relative to the data root."""
        used = {name: self.data_sets.root[name] for name in self.data.ood}
        places = {n: s.folder for n, s in used.items() if isinstance(s, FolderSpec) and s.source == "photographs"}
        own = self.data.labelled
        return ({self.data.in_dist: own.folder} if own.source == "photographs" else {}) | places

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        data, known = self.data, self.data_sets.root
        problems = [
            f"data names a set that data_sets lacks: {name}{did_you_mean(name, known)}"
            for name in data.ood
            if name not in known
        ]
        if len(set(data.ood)) < len(data.ood) or data.in_dist in data.ood:
            problems.append(f"data names a set twice: in_dist {data.in_dist}, ood {', '.join(data.ood)}")
        taken = [name for name in data.ood if name in RESERVED or name.startswith("mean_")]
        if taken:
            problems.append(f"an OOD set cannot be called {', '.join(taken)}: that names rows of its own in the tables")
        if data.train.takes_all and data.fit.split == data.train.split:
            problems.append(
                f"data.fit cannot be of the split {data.fit.split}, which training takes wholly: here the fit images "
                "judge the network too (give data.train a share)"
            )
        sources = {data.in_dist: data.labelled.source, **{n: known[n].source for n in data.ood if n in known}}
        rendered = [name for name, source in sources.items() if source == "fabricated"]
        if rendered and not self.fabrication:
            problems.append(f"fabrication is switched off, but data names rendered sets: {', '.join(rendered)}")
        if problems:
            raise ValueError("\n".join(problems))
        return self
