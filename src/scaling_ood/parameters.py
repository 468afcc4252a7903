"""Typed parameters: what YAML may say, with units and ranges. Checked as a whole before any node runs."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    field_validator,
    model_validator,
)

from scaling_ood.detectors import build_detector
from scaling_ood.fabrication import MiniatureSpec
from scaling_ood.images import Noise, layout_names
from scaling_ood.images.class_lists import class_list_names
from scaling_ood.images.counts import known_part
from scaling_ood.images.quality import quality_measure
from scaling_ood.models import architecture

Labels = Literal["fine", "coarse"]
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


def _counted(value: Any) -> Any:
    # A list cannot be given on Kedro's command line: --params multi_class.model.seeds=3
    return tuple(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value


def _once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"names one twice: {', '.join(map(str, seeds))}")
    return seeds


Seed = Annotated[int, Field(ge=0)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_counted), Field(min_length=1), AfterValidator(_once)]
"""One network each; a number n means 0..n-1."""

RESERVED = ("train", "fit", "test", "mean")
"""What no OOD set can be called: roles of in-distribution images, and the row of means."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, and all of them.

    >>> did_you_mean("epoch", ["epochs", "seeds"])
    "; did you mean 'epochs'? (known: epochs, seeds)"
    """
    names = list(known)
    near = get_close_matches(word, names, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return hint + (f" (known: {', '.join(names)})" if names else "")


class Spec(BaseModel):
    """Base of all parameters: an unknown key is an error, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassSelection(Spec):
    """Which classes of a data set count, by a table that ships with the readers (`scaling_ood/images/tables`).

    Attributes:
        table: Its name.
        column: Of the table.
        value: Classes whose column has this value; by default the whole table.
    """

    table: str
    column: str = "group"
    value: str | None = None


class SpeciesSelection(Spec):
    """Some species of every supercategory, drawn by a seed; see `scaling_ood.images.species.split_species`.

    Attributes:
        take: `known`: what a classifier learns; `held_out`: what it meets as unknown.
        share: Of a supercategory's species that are held out.
        seed: Of the draw.
    """

    take: Literal["known", "held_out"]
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0


class PublishedSpec(Spec):
    """Which published data set a folder holds, to compare its size with; see `scaling_ood.images.counts`.

    Attributes:
        data_set: Its name in the table.
        part: The one part that the folder holds, such as a supercategory of Species; by default its splits tell.
    """

    data_set: str
    part: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        known_part(self.data_set, self.part)
        return self


class CurationSpec(Spec):
    """Which images of a scraped data set are left out (the paper, appendix C); see `scaling_ood.images.curation`.

    Attributes:
        quality: No-reference measure; None leaves quality out.
        cutoff: The worst value that stays; belongs to `quality`.
        flags: CSV of the images that somebody flagged by hand, relative to the data root, with `image` and `reason`.
    """

    quality: str | None = None
    cutoff: float | None = None
    flags: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.quality is None) != (self.cutoff is None):
            raise ValueError("quality and cutoff belong together: give both or neither")
        if self.quality is None and self.flags is None:
            raise ValueError("give quality with cutoff, flags, or both")
        if self.quality is not None:
            quality_measure(self.quality)
        return self


class FolderSpec(Spec):
    """Images on disk.

    Attributes:
        source: Photographs and renderings never share a mean.
        layout: Reader of the on-disk layout.
        folder: Relative to the data root, or to the project for rendered images.
        splits: Which of the data set's own splits count; all by default.
        classes: Which classes count; all by default.
        species: Which species count, of the layout `species`; all by default.
        class_list: All classes that a published head knows, in its order; by default those that are there, sorted.
        published: What the folder is a copy of; where its size differs, preparation says so and goes on.
        curation: What is left out for its quality; nothing by default.
        titles: Shipped table that gives class names a person can read; by default the folders' names.
        images: At most so many, drawn by the benchmark's seed; all by default.
    """

    source: Literal["photographs", "fabricated"] = "photographs"
    layout: str
    folder: str
    splits: tuple[str, ...] | None = None
    classes: ClassSelection | None = None
    species: SpeciesSelection | None = None
    class_list: str | None = None
    published: PublishedSpec | None = None
    curation: CurationSpec | None = None
    titles: str | None = None
    images: Count | None = None

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, value: str) -> str:
        if value not in layout_names():
            raise ValueError(f"unknown layout '{value}'{did_you_mean(value, layout_names())}")
        return value

    @field_validator("class_list")
    @classmethod
    def _known_list(cls, value: str | None) -> str | None:
        if value is not None and value not in class_list_names():
            raise ValueError(f"unknown class list '{value}'{did_you_mean(value, class_list_names())}")
        return value

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if self.classes is not None and self.species is not None:
            raise ValueError("give classes or species, not both")
        return self


class NoiseSpec(Spec):
    """Images that are generated at the network's input size; see `scaling_ood.images.noise.Noise`."""

    source: Literal["noise"]
    recipe: Literal["gaussian", "rademacher", "blobs"]
    images: Count = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    sigma: Annotated[float, Field(gt=0)] = 4.0
    border: Literal["nearest", "reflect", "mirror", "constant", "wrap"] = "nearest"
    blur_channels: bool = True
    noise_range: Literal["pixel", "tensor"] = "pixel"

    def noise(self) -> Noise:
        """The generator of these images."""
        return Noise(**self.model_dump(exclude={"source", "images"}))


DataSetSpec = Annotated[FolderSpec | NoiseSpec, Field(discriminator="source")]


class DataSets(RootModel[dict[str, DataSetSpec]]):
    """The library of data sets that benchmarks pick from, by name."""

    model_config = ConfigDict(frozen=True)

    def used_by(self, data: DataSpec) -> dict[str, FolderSpec | NoiseSpec]:
        """The sets of one benchmark: in-distribution first, then OOD in the order of the tables."""
        return {name: self.root[name] for name in (data.in_dist, *data.ood)}


class PartSpec(Spec):
    """Which images of the in-distribution set play one role (train, fit or test).

    Parts that draw on the same split share it without overlap, in the order train, fit, test.

    Attributes:
        split: The data set's own split to draw from; `all` where it has none.
        per_class: So many images of each class; what is left by default.
        share: This share of the split as a whole, whatever the class; not with `per_class`.
    """

    split: str
    per_class: Count | None = None
    share: Share | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.per_class is not None and self.share is not None:
            raise ValueError("give per_class or share, not both")
        return self


class DataSpec(Spec):
    """What a benchmark is made of.

    Attributes:
        in_dist: Name of the in-distribution data set.
        ood: Names of the OOD data sets, in the order of the tables.
        train: Images that the model is trained on; none for published models.
        fit: In-distribution images that detectors are fitted on; never test images.
        test: In-distribution test images of every detector.
        coarse_labels: How classes are grouped: `class_prefix` takes a class's name up to its first underscore.
        seed: Of every draw.
        most_unreadable: Share of images that may be quarantined before preparation stops with an error.
    """

    in_dist: str
    ood: Annotated[tuple[str, ...], Field(min_length=1)]
    train: PartSpec | None
    fit: PartSpec
    test: PartSpec
    coarse_labels: Literal["class_prefix"] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    most_unreadable: Annotated[float, Field(ge=0, le=1)] = 0.01


class ModelSpec(Spec):
    """The classifier, and how it is trained.

    Attributes:
        architecture: Registered backbone.
        training: `none`: the published weights and head, verified; `head`: a linear head on frozen, cached features of
            the published backbone; `network`: everything, from random weights.
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
        if self.stored != "network" and not architecture(self.architecture).weights:
            raise ValueError(
                f"'{self.architecture}' has no published weights: training must be 'network', or weights 'checkpoint'"
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


class HintSpec(Spec):
    """How a confidence branch is trained, beside what holds for the network (DeVries & Taylor 2018).

    Attributes:
        budget: Price to aim at, in nats.
        price_weight: Lambda of the first step.
    """

    budget: Annotated[float, Field(gt=0)] = 0.3
    price_weight: Annotated[float, Field(gt=0)] = 0.1


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
        precision: Arithmetic of the network: `bf16` is automatic mixed precision. Every published number is `float32`.
        stored: Type of what is kept. What is kept of each image is what the detectors that are on read, and the logits.
        shard_images: Images per stored file, which is also what a killed run loses at most.
        odin: The step of ODIN, where a detector wants it: two more forward passes and one backward.
    """

    precision: Literal["float32", "bf16"] = "float32"
    stored: Literal["float32", "float16"] = "float32"
    shard_images: Count = 512
    odin: OdinSpec = OdinSpec()


class RuntimeSpec(Spec):
    """Where and how fast; changes no result beyond rounding.

    Attributes:
        device: `auto` takes the GPU if there is one.
        batch_images: Images per forward pass; by default 64 on a GPU and 16 on a processor, where getting memory for
            larger ones takes up to half of the time.
        workers: Processes that decode images.
        channels_last: Memory order of the convolutions; faster on most hardware.
    """

    device: str = "auto"
    batch_images: Count | None = None
    workers: Annotated[int, Field(ge=0)] = 2
    channels_last: bool = True


class ReportingSpec(Spec):
    """How results are measured and shown.

    Attributes:
        positive_class: Which class recall and precision are about: `ood`, `in_dist`, or `both`, one after the other and
            the in-distribution one first, as in the paper's multi-label table.
        fpr_rule: Which threshold "95 % recall" means; `nearest` is the paper's.
        tie_level: Chance of calling two equally good detectors different.
        bootstrap_replicates: For the ties of AUPR and FPR95.
        examples: In-distribution images of low confidence to show.
        caveats: What a reader must know before any number.
    """

    positive_class: Literal["ood", "in_dist", "both"] = "ood"
    fpr_rule: Literal["nearest", "first"] = "nearest"
    tie_level: Annotated[float, Field(gt=0, lt=1)] = 0.05
    bootstrap_replicates: Count = 1000
    examples: Count = 6
    caveats: tuple[str, ...] = ()

    @property
    def positive_classes(self) -> tuple[Literal["ood", "in_dist"], ...]:
        """The one, or both; the first is the one that figures and tracked runs show."""
        return ("in_dist", "ood") if self.positive_class == "both" else (self.positive_class,)


Request = TypeVar("Request")


class RenderingSpec(Spec, Generic[Request]):
    """Fields of a request of `scaling_ood.fabrication`, a data class; what is not given keeps its default."""

    model_config = ConfigDict(extra="allow", frozen=True)

    of: ClassVar[type[Any]]

    @model_validator(mode="after")
    def _renders(self) -> Self:
        self.request()
        return self

    def request(self) -> Request:
        """What to render."""
        fields: dict[str, Any] = self.model_extra or {}
        known = self.of.__dataclass_fields__
        unknown = [f"no such parameter: {name}{did_you_mean(name, known)}" for name in fields if name not in known]
        if unknown:
            raise ValueError("\n".join(unknown))
        request: Request = self.of(**fields)
        return request


class FabricationSpec(RenderingSpec[MiniatureSpec]):
    """Fields of `scaling_ood.fabrication.MiniatureSpec`."""

    of = MiniatureSpec


class IdentitySpec(Spec):
    """Whose results these are."""

    setting: Literal["multi_class", "multi_label", "segmentation"]
    benchmark: str


Switches = dict[str, dict[str, Any] | Literal[False]]


def _buildable(detectors: Switches) -> Switches:
    problems = []
    for name, options in detectors.items():
        try:
            build_detector(name, **(options or {}))
        except (ValueError, TypeError) as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    if not any(options is not False for options in detectors.values()):
        raise ValueError("every detector is switched off")
    return detectors


DetectorSwitches = Annotated[Switches, AfterValidator(_buildable)]
"""Detector to its options, or to false where it is off; every name and option is one that exists."""


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
