"""Parameters of the multi-label setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from miniatures.composite import CompositeSpec
from scaling_ood.images.multi_label import LAYOUTS, MultiLabelSource, check_source
from scaling_ood.metrics import AveragingRule
from scaling_ood.parameters.common import Count, Name, RenderingSpec, Spec
from scaling_ood.parameters.data_sets import DataSpec, PublishedSpec
from scaling_ood.parameters.networks import ImageNetworkSpec
from scaling_ood.parameters.outputs import OutputsDataSpec, images_or_outputs
from scaling_ood.parameters.setting import ImagesSpec
from scaling_ood.training.loop import BestEpoch


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
        published: What the folder is a copy of; where its size differs, preparation says so and goes on.
    """

    source: Literal["photographs", "fabricated"] = "photographs"
    layout: Annotated[str, AfterValidator(LAYOUTS.known)]
    folder: str
    year: int | None = None
    hard_objects: Literal["counted", "ignored"] = "counted"
    unlabelled: tuple[str, ...] = ()
    manifest: str = ""
    classes: tuple[str, ...] | None = None
    published: PublishedSpec | None = None

    @model_validator(mode="after")
    def _options_of_the_layout(self) -> Self:
        check_source(self.labelled_source("", self.folder, ()))
        return self

    def labelled_source(self, name: str, folder: str, splits: Sequence[str]) -> MultiLabelSource:
        """How the images of these splits below that folder are read."""
        options = self.model_dump(exclude={"source", "folder", "published"})
        return MultiLabelSource(name=name, folder=folder, splits=splits, **options)


class LabelledDataSpec(DataSpec):
    """Which images of which data sets play which role; the library holds the OOD sets alone.

    Attributes:
        labelled: Images and annotations of the in-distribution set.
        fit: Images that the best epoch is chosen on and detectors are fitted on; never test images.
    """

    of_library: ClassVar[tuple[str, ...]] = ("ood",)

    labelled: LabelledSetSpec

    @model_validator(mode="after")
    def _shares_alone(self) -> Self:
        wrong = [role for role, part in self.roles.items() if part.per_class is not None]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: per_class has no meaning where an image has several classes")
        if self.train is not None and self.train.takes_all and self.fit.split == self.train.split:
            raise ValueError(
                f"fit cannot be of the split {self.fit.split}, which training takes wholly: here the fit images judge "
                "the network too (give train a share)"
            )
        return self

    @property
    def sources(self) -> dict[str, str]:
        """Data set to `photographs`, `fabricated` or `noise`."""
        return {self.in_dist: self.labelled.source, **{name: self.sets[name].source for name in self.sets}}

    def photographs(self) -> dict[str, str]:
        """Data sets of photographs: name to folder, relative to the data root."""
        own = {self.in_dist: self.labelled.folder} if self.labelled.source == "photographs" else {}
        return own | super().photographs()

    def expected(self) -> dict[str, str]:
        """Data set to the shape that its layout expects of its folder, in words."""
        return {self.in_dist: LAYOUTS.expected(self.labelled.layout), **super().expected()}


class MultiLabelNetworkSpec(ImageNetworkSpec):
    """The network of the paper's section 4: a published backbone, a hidden layer, one sigmoid per class.

    Attributes:
        width: Of the hidden layer.
        best_epoch: Which is used: `validation`, the one with the best mAP on the fit images, or `last`, as in the
            released code.
        backbone_learning_rate: Of the backbone, where it is trained.
        averaging: How precision is averaged for mAP: `step`, `trapezoid` (the released code's) or `voc_2007`.
    """

    objective: Literal["classes"] = "classes"
    width: Count = 1000
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    epochs: Count = 50
    best_epoch: BestEpoch = "validation"
    batch_images: Annotated[int, Field(ge=2)] = 40
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    backbone_learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    averaging: AveragingRule = "step"

    @property
    def gives(self) -> frozenset[str]:
        """Logits and penultimate features; dropout where the network has it."""
        return self.plain | ({"dropout"} if self.dropout and self.source.trains else frozenset())

    @property
    def recipe(self) -> frozenset[str]:
        """Fields that say how it is trained."""
        steps = {"epochs", "best_epoch", "batch_images", "learning_rate", "backbone_learning_rate", "precision"}
        return frozenset(steps | {"seeds", "width", "dropout"})

    @model_validator(mode="after")
    def _starts_from_weights(self) -> Self:
        if self.weights == "trained":
            raise ValueError("weights: trained (from random ones) cannot be: batch norms of the backbone are frozen")
        if self.weights == "published" and not self.registered.identity:
            raise ValueError("weights: published cannot be: no published head tells several classes in one image apart")
        return self


class MultiLabelSpec(ImagesSpec):
    """Everything about the multi-label setting."""

    fabrication: CompositeFabricationSpec | Literal[False] = False
    data: Annotated[
        Annotated[LabelledDataSpec, Tag("data: images")] | Annotated[OutputsDataSpec, Tag("data: outputs")],
        Discriminator(images_or_outputs),
    ]
    networks: dict[Name, MultiLabelNetworkSpec]
