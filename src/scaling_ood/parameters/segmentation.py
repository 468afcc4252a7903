"""Parameters of the segmentation setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from miniatures.street import StreetSpec
from scaling_ood.images import Orientation, Preprocessing
from scaling_ood.images.scenes import (
    LAYOUTS,
    OWN_OUTPUTS,
    LabelMap,
    Pairing,
    SceneSource,
    SplitRule,
    label_map,
    label_map_of,
    rule_of,
)
from scaling_ood.models.backbone import ELSEWHERE, Registered
from scaling_ood.models.segmentation import (
    AUTOENCODER_PREPROCESSING,
    Difference,
    WholeSegmenter,
    segmenter,
)
from scaling_ood.parameters.common import (
    AnyDataSpec,
    Count,
    Name,
    PixelReportingSpec,
    RenderingSpec,
    Silent,
    Spec,
)
from scaling_ood.parameters.data_sets import PublishedSpec
from scaling_ood.parameters.networks import HintSpec, NetworkSpec
from scaling_ood.parameters.setting import ExtractionSpec, SettingSpec
from scaling_ood.parameters.weights import WEIGHTS
from scaling_ood.training.loop import BestEpoch

Role = Literal["train", "validation", "test"]
PAIRED = "paired_folders"


def _shipped(name: str) -> str:
    label_map(name)
    return name


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
        self.labels("ids")
        return self

    def labels(self, name: str) -> LabelMap:
        """The map that `ids` and `names` write out."""
        return LabelMap.from_ids(name, self.ids, self.names)

    def rule(self) -> SplitRule:
        """Roles of the splits."""
        return SplitRule({name: split.role for name, split in self.splits.items()}, self.anomalous or "")

    def pairings(self) -> tuple[Pairing, ...]:
        """Folders of the splits."""
        return tuple(Pairing(name, **split.model_dump(exclude={"role"})) for name, split in self.splits.items())


class SceneDataSpec(AnyDataSpec):
    """Labelled scenes, and which of them play which role.

    Attributes:
        in_dist: Name of the data set; starts every id.
        source: Rendered, or photographs.
        layout: Reader of the on-disk layout; it knows the roles of its splits.
        folder: Relative to the data root, or to the rendered images.
        label_map: What each id of the label images means: a table that ships; by default the layout's own.
        paired: What `paired_folders` needs to know; for no other layout.
        published: What the folder is a copy of; where its size differs, preparation says so and goes on.
        most_unreadable: Share of scenes that may be set apart before preparation stops with an error.
        outputs: Folder of a person's logits, relative to the data root, in place of photographs and a network: for each
            label image a file `<split>/<name>`; see `scaling_ood.provided.scenes`.
        orientation: How photographs with an EXIF orientation lie under their label images: `stored` or `upright`
            (turned as EXIF says). By default nothing is known, and such a scene is set apart.
    """

    in_dist: Name
    source: Literal["photographs", "fabricated"] = "photographs"
    layout: Annotated[str, AfterValidator(LAYOUTS.known)]
    folder: str
    label_map: Annotated[str, AfterValidator(_shipped)] | None = None
    paired: PairedFoldersSpec | None = None
    published: PublishedSpec | None = None
    most_unreadable: Annotated[float, Field(ge=0, le=1), Silent] = 0.0
    outputs: str | None = None
    orientation: Orientation | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if (self.layout == PAIRED) != (self.paired is not None):
            raise ValueError(f"`paired` belongs to the layout '{PAIRED}', and that needs it (layout: '{self.layout}')")
        if self.layout == OWN_OUTPUTS:
            if self.outputs is None or self.label_map is not None:
                raise ValueError(f"the layout '{OWN_OUTPUTS}' needs outputs, and their classes are its labels")
        elif self.paired is None:
            label_map_of(self.layout, self.label_map)
            rule_of(self.layout)
        elif self.label_map is not None:
            raise ValueError("label_map names a table that ships; with `paired` its `ids` say what each id means")
        return self

    @property
    def sources(self) -> dict[str, str]:
        """The data set to `photographs` or `fabricated`."""
        return {self.in_dist: self.source}

    @property
    def _logits(self) -> str:
        return f"{self.in_dist} (logits)"

    def photographs(self) -> dict[str, str]:
        """Data sets of photographs: name to folder, relative to the data root."""
        own = {self.in_dist: self.folder} if self.source == "photographs" else {}
        return own if self.outputs is None else {**own, self._logits: self.outputs}

    def expected(self) -> dict[str, str]:
        """Data set to the shape that its layout expects of its folder, in words."""
        own = {self.in_dist: LAYOUTS.expected(self.layout)}
        logits = "expected: <split>/<scene>.npy for each label image"
        return own if self.outputs is None else {**own, self._logits: logits}

    def labels(self) -> LabelMap:
        """What each id of the label images means, where the parameters say it."""
        return self.paired.labels(self.in_dist) if self.paired else label_map_of(self.layout, self.label_map)

    def scene_source(self, folder: str) -> SceneSource:
        """How the scenes below that folder are read."""
        source = SceneSource(
            self.in_dist,
            folder,
            self.layout,
            self.label_map,
            photographs=self.outputs is None,
            orientation=self.orientation,
        )
        if self.paired is None:
            return source
        return replace(source, label_map=self.labels(), rule=self.paired.rule(), pairings=self.paired.pairings())


class SegmenterSpec(HintSpec, NetworkSpec):
    """A segmenter, and how it is trained: SGD with momentum 0.9 and polynomial decay, as in the paper.

    Attributes:
        objective: `classes` alone; `confidence`: also how sure it is of each pixel (DeVries & Taylor 2018).
        classes: Of a checkpoint; by default as many as the labels have.
        width: Channels of the decoder; 512 in the paper.
        dropout: Share of the decoder's channels that are dropped before the classifier.
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
        scales: Lengths of the shorter side at which each test scene goes through the network; what comes out is
            averaged at the size of the labels. Empty: `test_edge` alone.
        label_stride: Of so many rows and columns of a training scene the loss compares one; 1 compares every pixel. 8,
            the network's own stride, is what the released code takes.
        precision: Arithmetic of the training: `bf16` is automatic mixed precision.
    """

    objective: Literal["classes", "confidence"] = "classes"
    classes: Count | None = None
    width: Count = 512
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
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
    scales: tuple[Count, ...] = ()
    label_stride: Literal[1, 2, 4, 8] = 8
    precision: Literal["float32", "bf16"] = "float32"

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("weights") != "outputs":
            segmenter(value)
        return value

    @property
    def registered(self) -> Registered:
        """An encoder or a whole segmenter, and what belongs to its published weights."""
        return ELSEWHERE if self.source.start == "outputs" else segmenter(self.architecture)

    @property
    def whole(self) -> WholeSegmenter | None:
        """What it is where it is not trained here; None for a PSPNet."""
        registered = self.registered
        return registered if isinstance(registered, WholeSegmenter) else None

    @property
    def published(self) -> str:
        """Where the published weights come from, of a PSPNet the encoder's; empty without any."""
        only = "" if self.whole else "; encoder only"
        return f"{self.registered.weights}{only}" if self.registered.weights else ""

    @property
    def gives(self) -> frozenset[str]:
        """Logits; the confidence of a network that learned it; dropout where the network has it."""
        if self.source.start == "outputs":
            return frozenset({"logits"})
        if self.whole:
            return self.whole.gives - {"features"}
        second = ["confidence"] if self.objective == "confidence" else []
        return frozenset({"logits", "gradients", *second, *(["dropout"] if self.dropout else [])})

    @property
    def recipe(self) -> frozenset[str]:
        """Fields that say how it is trained."""
        steps = {"epochs", "best_epoch", "steps_per_epoch", "batch_images", "images_per_scale", "learning_rate"}
        more = {"weight_decay", "short_edges", "label_stride", "precision", "seeds", "budget", "price_weight", "unit"}
        shape = {"width", "dropout"} if self.whole else set()
        return frozenset(steps | more | shape)

    @property
    def edges(self) -> tuple[int | None, ...]:
        """Lengths of the shorter side, one for each pass over a test scene; None: as it is."""
        return self.scales or (self.test_edge,)

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.images_per_scale and self.batch_images % self.images_per_scale:
            raise ValueError(
                f"images_per_scale ({self.images_per_scale}) must divide batch_images ({self.batch_images})"
            )
        if self.source.trains and self.classes is not None:
            raise ValueError("classes is a checkpoint's: of networks trained here the labels say how many there are")
        if self.whole and self.source.trains:
            raise ValueError(
                f"'{self.architecture}' is run as it is, and not trained here: weights must be published or "
                f"checkpoint, not {self.weights}"
            )
        if self.weights in ("published", "trained_head") and not self.whole:
            raise ValueError(f"weights: {self.weights} cannot be: encoders are published, segmenters are not")
        return self


class AutoencoderSpec(NetworkSpec):
    """A network that rebuilds scenes, and how it is trained (Baur et al. 2019; the paper states ten epochs).

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
        short_edges, test_edge, longest_edge: Those of the segmenter.
    """

    objective: Literal["reconstruction"]
    architecture: Literal["spatial_autoencoder"] = "spatial_autoencoder"
    weights: Literal["trained", "checkpoint"] = "trained"
    epochs: Count = 10
    steps_per_epoch: Count | None = None
    batch_images: Annotated[int, Field(ge=2)] = 8
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    difference: Difference = "l1"
    skips: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    edge: Count | None = None
    short_edges: tuple[Count, ...] = ()
    test_edge: Count | None = None
    longest_edge: Count = 1000

    @property
    def registered(self) -> None:
        """Nobody publishes any."""

    @property
    def prepared(self) -> Preprocessing:
        """Pixels in [-1, 1], unless another range is stated."""
        return self.preprocessing.over(AUTOENCODER_PREPROCESSING)

    @property
    def gives(self) -> frozenset[str]:
        """The error of each pixel."""
        return frozenset({"reconstruction_error"})

    @property
    def recipe(self) -> frozenset[str]:
        """Fields that say how it is trained."""
        steps = {"epochs", "steps_per_epoch", "batch_images", "learning_rate", "short_edges", "seeds"}
        return frozenset(steps)

    @property
    def input_edge(self) -> int | None:
        """Length to which the shorter side is scaled; None: as it is."""
        return self.edge or self.test_edge

    @property
    def edges(self) -> tuple[int | None, ...]:
        """The same, as the one pass over a test scene."""
        return (self.input_edge,)


def _kind(raw: Any) -> str:
    objective = raw.get("objective") if isinstance(raw, Mapping) else getattr(raw, "objective", None)
    return f"objective: {objective or 'classes'}"  # no word that could be a parameter: it is a step of error messages


SceneNetworkSpec = Annotated[
    Annotated[SegmenterSpec, Tag("objective: classes")]
    | Annotated[SegmenterSpec, Tag("objective: confidence")]
    | Annotated[AutoencoderSpec, Tag("objective: reconstruction")],
    Discriminator(
        _kind,
        custom_error_type="objective",
        custom_error_message="objective must be 'classes', 'confidence' or 'reconstruction'",
    ),
]


class SegmentationSpec(SettingSpec):
    """Everything about the segmentation setting."""

    shared: ClassVar[str] = "segmenter"
    dense: ClassVar[bool] = True

    fabrication: StreetFabricationSpec | Literal[False] = False
    data: SceneDataSpec
    networks: dict[Name, SceneNetworkSpec]
    extraction: ExtractionSpec = ExtractionSpec(stored="float16", shard_images=32)
    reporting: PixelReportingSpec = PixelReportingSpec()

    @classmethod
    def inherited(cls, own: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
        """An autoencoder shares sizes and seeds with the segmenter, and that nothing is trained where nothing is."""
        if own.get("objective") != "reconstruction":
            return shared
        kept = {name: shared[name] for name in _OF_ALL if name in shared}
        source = WEIGHTS.get(str(shared.get("weights")))
        # Nobody publishes one: where nothing is trained it could only come from a file, and is a gap.
        return kept if source is None or source.trains else {**kept, "weights": "checkpoint"}

    def own_problems(self) -> list[str]:
        """A segmenter whose quality is asked for, and whose labels cannot tell it."""
        segmenter_spec = self.networks[self.shared]
        brought = self.data.outputs is not None
        if (segmenter_spec.source.start == "outputs") != brought:
            return [f"networks.{self.shared}.weights must be outputs exactly if data.outputs is given"]
        if brought:
            return []
        labelled = len(self.data.labels().classes)
        given = getattr(segmenter_spec, "classes", None)
        if segmenter_spec.least_quality and given not in (None, labelled):
            return [
                f"networks.{self.shared}.least_quality cannot be checked: the labels know {labelled} class(es), the "
                f"network {given}"
            ]
        return []


_OF_ALL = ("seeds", "short_edges", "test_edge", "longest_edge")
