"""Parameters of the segmentation setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from miniatures.street import StreetSpec
from scaling_ood.images import Orientation
from scaling_ood.images.scenes import (
    LabelMap,
    Pairing,
    SceneSource,
    SplitRule,
    label_map_names,
    labels_of,
    rule_of,
    scene_layout_names,
)
from scaling_ood.models.segmentation import Difference, segmenter
from scaling_ood.networks import SCENES, network_of
from scaling_ood.parameters.common import (
    Count,
    DetectorSwitches,
    HintSpec,
    IdentitySpec,
    Name,
    RenderingSpec,
    ReportingSpec,
    Seeds,
    SharingSpec,
    Spec,
)
from scaling_ood.training.resumable import BestEpoch

Role = Literal["train", "validation", "test"]
PAIRED = "paired_folders"


class StreetFabricationSpec(RenderingSpec[StreetSpec]):
    """Fields of `miniatures.street.StreetSpec`."""

    of = StreetSpec


class PairedSplitSpec(Spec):
    """One split of `paired_folders`; photographs and label PNGs are paired by name, sub-folders included.

    Attributes:
        images: Folder of photographs, below the data set's.
        labels: Folder of label PNGs.
        role: What its scenes are for.
        image_suffix: Text between the common name and the ending of a photograph, such as `_leftImg8bit`.
        label_suffix: The same for label images, such as `_gtFine_labelTrainIds`.
        sequence_until: The sequence is the name's text before this; by default the first sub-folder.
    """

    images: str
    labels: str
    role: Role
    image_suffix: str = ""
    label_suffix: str = ""
    sequence_until: str = ""


class PairedFoldersSpec(Spec):
    """Everything that the layout `paired_folders` does not know by itself.

    Attributes:
        splits: Name to folders and role.
        ids: Value in a label image to its train id (0, 1, 2, … without a gap), `anomaly` or `void`; others are errors.
        names: Value in a label image to the name of what it means.
        anomalous: Role of every scene with an anomaly, whatever its split; by default the split alone decides.
    """

    splits: Annotated[dict[str, PairedSplitSpec], Field(min_length=1)]
    ids: dict[int, int | Literal["anomaly", "void"]]
    names: dict[int, str] = Field(default_factory=dict)
    anomalous: Role | None = None

    @model_validator(mode="after")
    def _maps(self) -> Self:
        self.label_map("ids")
        return self

    def label_map(self, name: str) -> LabelMap:
        """The map that `ids` and `names` write out."""
        return LabelMap.from_ids(name, self.ids, self.names)

    def rule(self) -> SplitRule:
        """Roles of the splits."""
        return SplitRule({name: split.role for name, split in self.splits.items()}, self.anomalous or "")

    def pairings(self) -> tuple[Pairing, ...]:
        """Folders of the splits."""
        return tuple(Pairing(name, **split.model_dump(exclude={"role"})) for name, split in self.splits.items())


class SceneDataSpec(SharingSpec):
    """Labelled scenes, and which of them play which role.

    Attributes:
        data_set: Name of the data set; starts every id.
        source: Rendered, or photographs.
        layout: Reader of the on-disk layout; it knows the roles of its splits.
        folder: Relative to the data root, or to the rendered images.
        labels: What each id of the label images means: a table that ships; by default the layout's own.
        paired: What `paired_folders` needs to know; for no other layout.
        most_unreadable: Share of scenes that may be set apart before preparation stops with an error.
        orientation: How photographs with an EXIF orientation lie under their label images: `stored` or `upright`
            (turned as EXIF says). By default nothing is known, and such a scene is set apart.
    """

    data_set: Name
    source: Literal["photographs", "fabricated"] = "photographs"
    layout: str
    folder: str
    labels: str | None = None
    paired: PairedFoldersSpec | None = None
    most_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.0
    orientation: Orientation | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.layout not in scene_layout_names():
            raise ValueError(f"unknown layout '{self.layout}' (known: {', '.join(scene_layout_names())})")
        if self.labels is not None and self.labels not in label_map_names():
            raise ValueError(f"unknown labels '{self.labels}' (known: {', '.join(label_map_names())})")
        if (self.layout == PAIRED) != (self.paired is not None):
            raise ValueError(f"`paired` belongs to the layout '{PAIRED}', and that needs it (layout: '{self.layout}')")
        if self.paired is None:
            labels_of(self.layout, self.labels)
            rule_of(self.layout)
        elif self.labels is not None:
            raise ValueError("labels names a table that ships; with `paired` its `ids` say what each id means")
        return self

    def label_map(self) -> LabelMap:
        """What each id of the label images means."""
        return self.paired.label_map(self.data_set) if self.paired else labels_of(self.layout, self.labels)

    def scene_source(self, folder: str) -> SceneSource:
        """How the scenes below that folder are read."""
        source = SceneSource(self.data_set, folder, self.layout, self.labels, orientation=self.orientation)
        if self.paired is None:
            return source
        return replace(source, labels=self.label_map(), rule=self.paired.rule(), pairings=self.paired.pairings())


class SegmenterSpec(Spec):
    """The segmenter, and how it is trained: SGD with momentum 0.9 and polynomial decay, as in the paper.

    Attributes:
        architecture: Registered segmenter.
        training: `network`: on the benchmark's scenes; `none`: the weights of the catalog's `checkpoint` as they are.
        classes: Of the checkpoint; by default as many as the labels have.
        pretrained: Whether the encoder starts from its published weights.
        width: Channels of the decoder; 512 in the paper.
        dropout: Share of the decoder's channels that are dropped before the classifier.
        seeds: One segmenter per seed of new weights, order and augmentation; results are their mean. A number n means
            0..n-1.
        epochs: Each ends with a validation.
        best_epoch: Which is used: `validation`, the one with the best mIoU on the validation scenes, or `last`, as in
            the released code.
        steps_per_epoch: Batches in an epoch; by default one pass over the training scenes. 5,000 in the paper.
        batch_images: Scenes per step.
        images_per_scale: Scenes of a step that share a scale, which divides `batch_images`; by default all. 2 in the
            released code, which draws a scale per GPU; batch norm sees the whole step there and here.
        learning_rate: At the start.
        weight_decay: On weights of convolutions only.
        short_edges: Lengths in pixels to which training scenes are scaled, one drawn per batch, or per
            `images_per_scale` scenes of it; empty: as they are.
        test_edge: Length in pixels to which the shorter side is scaled before the network; None: as it is.
        longest_edge: No side is scaled beyond.
        label_stride: Of so many rows and columns of a training scene the loss compares one; 1 compares every pixel. 8,
            the network's own stride, is what the released code takes.
        precision: Arithmetic of the training: `bf16` is automatic mixed precision.
        least_miou: The segmenter is wrong if its mIoU on the validation scenes falls under this fraction.
    """

    architecture: str
    training: Literal["network", "none"] = "network"
    classes: Count | None = None
    pretrained: bool = True
    width: Count = 512
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    seeds: Seeds = (0,)
    epochs: Count = 20
    best_epoch: BestEpoch = "validation"
    steps_per_epoch: Count | None = None
    batch_images: Annotated[int, Field(ge=2)] = 8
    images_per_scale: Annotated[int, Field(ge=2)] | None = None
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    short_edges: tuple[Count, ...] = ()
    test_edge: Count | None = None
    longest_edge: Count = 1000
    label_stride: Literal[1, 2, 4, 8] = 8
    precision: Literal["float32", "bf16"] = "float32"
    least_miou: Annotated[float, Field(ge=0, le=1)] = 0.0

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, value: str) -> str:
        segmenter(value)
        return value

    @model_validator(mode="after")
    def _weights_exist(self) -> Self:
        if self.training == "network" and self.pretrained and not segmenter(self.architecture).weights:
            raise ValueError(f"'{self.architecture}' has no published weights: pretrained must be false")
        return self

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.images_per_scale and self.batch_images % self.images_per_scale:
            raise ValueError(
                f"images_per_scale ({self.images_per_scale}) must divide batch_images ({self.batch_images})"
            )
        return self

    @model_validator(mode="after")
    def _checkpoint_alone(self) -> Self:
        if self.training == "network" and self.classes is not None:
            raise ValueError("classes is a checkpoint's: with training: network the labels say how many there are")
        if self.training == "none" and self.seeds != (0,):
            raise ValueError("a checkpoint has seeds: [0]")
        return self


class ConfidenceSpec(HintSpec):
    """How the network of `confidence_branch` is trained, beside what holds for the segmenter (DeVries & Taylor 2018).

    Attributes:
        hints: What a coin is tossed for; the paper does not say which.
    """

    hints: Literal["pixel", "image"] = "pixel"


class AutoencoderSpec(Spec):
    """The network of `autoencoder`, and how it is trained (Baur et al. 2019; the paper states ten epochs).

    Attributes:
        epochs: The one with the smallest error on the validation scenes is used.
        steps_per_epoch: Batches in an epoch; by default one pass over the training scenes.
        batch_images: Scenes per step.
        learning_rate: Of Adam, constant.
        difference: What is minimised, and scored: `l1` absolute, `l2` squared.
        skips: Whether the way up sees the way down; it then copies anomalies too.
        dropout: On the spatial code.
        edge: Length in pixels to which the shorter side is scaled, in training and test; by default the segmenter's
            `test_edge`. The stored errors have this size.
    """

    epochs: Count = 10
    steps_per_epoch: Count | None = None
    batch_images: Annotated[int, Field(ge=2)] = 8
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    difference: Difference = "l1"
    skips: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    edge: Count | None = None


class NetworksSpec(Spec):
    """Networks that one detector alone reads; each is trained only where its detector is on, once per seed."""

    confidence_branch: ConfidenceSpec = ConfidenceSpec()
    autoencoder: AutoencoderSpec = AutoencoderSpec()


class SceneExtractionSpec(Spec):
    """What is stored of the forward pass: logits at stride 8, which are up-sampled when they are scored.

    Attributes:
        precision: Arithmetic of the network: `float32`, for which TF32 is switched off on GPUs that have it, or `bf16`,
            automatic mixed precision.
        stored: Type of all that is stored but the variance, which is `float32` always. Half precision moves no metric
            by 0.05 points (`benchmarks/scene_storage.py`).
        shard_images: Scenes per stored file.
        dropout_passes: Dropout masks per scene, where a detector reads the variance over them.
        scales: Lengths of the shorter side at which each scene goes through the segmenter; what comes out is averaged
            at the size of the labels. Empty: the segmenter's `test_edge` alone.
    """

    precision: Literal["float32", "bf16"] = "float32"
    stored: Literal["float32", "float16"] = "float16"
    shard_images: Count = 32
    dropout_passes: Annotated[int, Field(ge=2)] = 10
    scales: tuple[Count, ...] = ()


class SceneReportingSpec(ReportingSpec):
    """How results are measured and shown.

    Attributes:
        keep_score_maps: Whether every test scene's scores are stored, as float32 of the label image's size: 3.7 MB for
            720 x 1280 pixels, per detector and seed. Otherwise only those of the scenes that are shown.
    """

    positive_class: Literal["ood", "in_dist"] = "ood"
    keep_score_maps: bool = False


class SegmentationSpec(Spec):
    """Everything about the segmentation setting in the running environment."""

    identity: IdentitySpec
    fabrication: StreetFabricationSpec | Literal[False] = False
    data: SceneDataSpec
    model: SegmenterSpec
    networks: NetworksSpec
    extraction: SceneExtractionSpec
    detectors: DetectorSwitches
    reporting: SceneReportingSpec

    def photographs(self) -> dict[str, str]:
        """Data sets of photographs that the benchmark reads: name to folder, relative to the data root."""
        return {self.data.data_set: self.data.folder} if self.data.source == "photographs" else {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        labelled, given = len(self.data.label_map().classes), self.model.classes
        problems = []
        if self.model.least_miou and given not in (None, labelled):
            problems.append(
                f"model.least_miou cannot be checked: the labels know {labelled} class(es), the network {given}"
            )
        if self.model.training == "none":
            on = [name for name, options in self.detectors.items() if options is not False]
            own = [name for name in on if network_of(name, SCENES)]
            if own:
                problems.append(f"there are no scenes to train the networks of {', '.join(own)} on: switch them off")
        if problems:
            raise ValueError("\n".join(problems))
        return self
