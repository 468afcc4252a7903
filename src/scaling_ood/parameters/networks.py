"""What the networks of all settings have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from scaling_ood.images import Preprocessing
from scaling_ood.models import (
    HEAD,
    Architecture,
    architecture,
    named_positions,
    positions,
    read_class_order,
    spelled_otherwise,
)
from scaling_ood.models.backbone import ELSEWHERE, Registered
from scaling_ood.parameters.common import Count, Seeds, Silent, Spec
from scaling_ood.parameters.preparing import NormalisationSpec, PreprocessingSpec, Px
from scaling_ood.parameters.weights import WEIGHTS, Source, Weights
from scaling_ood.wording import listed

Quality = Annotated[float | None, Field(ge=0, le=1), Silent]


class NetworkSpec(Spec):
    """One network: what it is, where its weights come from, how good it must be.

    A network that is not the setting's shared one takes everything that it does not state from that one.

    Attributes:
        weights: Where they come from; docs/own-model.md says what each word means.
        architecture: Registered name; any name for a network that is elsewhere.
        preprocessing: How images are prepared, over what the network's source says.
        objective: What it learns.
        seeds: One network per seed of new weights, order and augmentation; results are their mean. A number n means
            0..n-1.
        class_order: File that names the classes in the order of the network's outputs, one a line, where that is not
            the data set's; of a network that is not trained here.
        least_quality: The network is wrong if its quality (top-1 accuracy, mAP or mIoU, a fraction) is under this. One
            that is not trained here must be better than chance where it is not stated.
    """

    of_objective: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Objective to the fields that mean something to it alone."""

    weights: Source
    architecture: str
    preprocessing: NormalisationSpec = NormalisationSpec()
    objective: str = "classes"
    seeds: Seeds = (0,)
    class_order: str = ""
    least_quality: Quality = None

    @property
    def order(self) -> tuple[str, ...]:
        """Classes in the order of the network's outputs, as far as a file or the network's source names them."""
        return read_class_order(self.class_order) if self.class_order else ()

    @property
    def own_names(self) -> Sequence[str]:
        """What a network that is run as it is calls its classes itself, in the order of its outputs."""
        as_it_is = self.source.start == "published" and not self.source.trains
        return self.registered.class_names if self.registered and as_it_is else ()

    def outputs_of(self, classes: Sequence[str]) -> list[int]:
        """Which of its outputs each class of the data set is; empty where they have the data set's order.

        Raises:
            ValueError: The file, or the network itself, names other classes; see `named_positions`.
        """
        if self.class_order:
            return positions(self.order, classes, self.class_order)
        return named_positions(self.own_names, classes, self.architecture)

    def order_told(self, classes: Sequence[str]) -> dict[str, str]:
        """Where the order of its outputs was taken from, where that is not the data set's, for a reader."""
        if not self.outputs_of(classes):
            return {}
        others = spelled_otherwise(self.order or self.own_names, classes)
        told = f"; {len(others)} differ in spelling: {listed(others, most=5)}" if others else ""
        return {"Order of the classes": (f"of {self.class_order}" if self.class_order else "of its own names") + told}

    @model_validator(mode="before")
    @classmethod
    def _named(cls, raw: Any) -> Any:
        """A network that is elsewhere needs no name."""
        elsewhere = isinstance(raw, Mapping) and raw.get("weights") == "outputs"
        return {"architecture": "own outputs", **raw} if elsewhere else raw

    @property
    def source(self) -> Weights:
        """All that follows from the word for its weights."""
        return WEIGHTS[self.weights]

    @property
    def least(self) -> float:
        """The least quality, 0 where none is stated."""
        return self.least_quality or 0.0

    @property
    @abstractmethod
    def gives(self) -> frozenset[str]:
        """What one pass leaves; see `scaling_ood.models.Network.gives`."""

    @property
    @abstractmethod
    def registered(self) -> Registered | None:
        """What the architecture's name stands for; None where all of it is here."""

    @property
    def published(self) -> str:
        """Where the architecture's published weights come from; empty without any."""
        return self.registered.weights if self.registered else ""

    @property
    def prepared(self) -> Preprocessing:
        """How images are prepared for it."""
        assert self.registered is not None
        return self.preprocessing.over(self.registered.preprocessing, self.registered.input_px)

    @property
    @abstractmethod
    def recipe(self) -> frozenset[str]:
        """Fields that say how it is trained, and nothing else."""

    @property
    def untrainable(self) -> str:
        """Why there cannot be such a network here; empty where there can."""
        if self.objective != "classes" and not self.source.trains:
            return "is trained on the benchmark's images, and this benchmark trains none"
        return ""

    @property
    def scalars(self) -> dict[str, Any]:
        """Parameters for a tracked run; lists, and how images are prepared, are told elsewhere."""
        values = self.model_dump(mode="json").items()
        return {name: value for name, value in values if not isinstance(value, list | dict)}

    def what_matters(self) -> dict[str, object]:
        """As of all parameters, without other objectives', and without the recipe where nothing is trained.

        What the architecture's name means is there too.
        """
        others = (fields for objective, fields in self.of_objective.items() if objective != self.objective)
        ignored = frozenset().union(*others) if self.source.trains else self.recipe
        stated = {"preprocessing": self.preprocessing.stated, "class_order": list(self.order)}
        given = super().what_matters() | stated
        own = {name: value for name, value in given.items() if name not in ignored and (value or name not in _OPTIONAL)}
        if self.registered is None:
            return own
        if self.registered.identity:
            own["architecture"] = self.registered.identity
        start = [self.registered.weights, self.registered.weights_digest] if self.source.start == "published" else []
        version = {"version": self.registered.version} if self.registered.version > 1 else {}
        return {**own, **version, "start": start, "preprocessing": self.prepared.what_matters()}

    @field_validator("class_order")
    @classmethod
    def _readable(cls, value: str) -> str:
        if value:
            read_class_order(value)
        return value

    @model_validator(mode="after")
    def _has_its_start(self) -> Self:
        if self.registered is not None:
            _ = self.prepared  # refuses what lacks
            if self.registered.program and (self.source.start != "published" or self.source.trained == "everything"):
                raise ValueError(
                    f"'{self.architecture}' is a program with its weights: weights must be published (as they are)"
                    f"{_OR_A_HEAD if 'features' in self.registered.gives else ''}, not {self.weights}"
                )
        if self.source.start == "published" and not self.published:
            raise ValueError(
                f"'{self.architecture}' has no published weights: give weights: trained (from random ones) or "
                "weights: checkpoint (a file)"
            )
        if not self.source.trains and self.objective == "classes" and self.seeds != (0,):
            raise ValueError("a network that is not trained here has seeds: [0]")
        if self.source.trains and self.class_order:
            raise ValueError("class_order is of a head that is there already: of one trained here it is the data set's")
        return self


_OPTIONAL = frozenset({"head", "class_order", "preprocessing"})
"""What is no part of a key where it is not given: it was always so before it could be."""

_OR_A_HEAD = " or trained_head"


class ImageNetworkSpec(NetworkSpec):
    """A network for whole images.

    Attributes:
        head: Name of the last linear layer; by default it is found.
        input_px: Side of the network's input in pixels; by default that of the published weights, whose margin of the
            crop stays in proportion.
        squash: Whether images are stretched to the square instead of cut.
        width: Of a hidden layer before the logits.
        dropout: Share of what the last layer reads that training and `mc_dropout` set to zero.
        epochs: Passes over the training images.
        batch_images: Images per step.
        learning_rate: Of the head, or of all that is trained.
        precision: Arithmetic of the training: `bf16` is automatic mixed precision.
    """

    preprocessing: PreprocessingSpec = PreprocessingSpec()
    head: str = ""
    input_px: Px | None = None
    squash: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    epochs: Count = 30
    batch_images: Count = 256
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    precision: Literal["float32", "bf16"] = "float32"

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("weights") != "outputs":
            architecture(value)
        return value

    @model_validator(mode="after")
    def _takes_its_input(self) -> Self:
        own, given = self.registered, self.preprocessing
        only = own.preprocessing.crop_px if own.preprocessing else own.input_px
        for field, value in {"input_px": self.input_px, "preprocessing.crop_px": given.crop_px}.items():
            if own.fixed_size and value not in (None, only):
                raise ValueError(
                    f"'{self.architecture}' takes images of {only} pixels alone: leave {field} out (given: {value})"
                )
        twice = {"input_px": self.input_px and given.crop_px, "squash": self.squash and given.squash is not None}
        if wrong := [name for name, both in twice.items() if both]:
            raise ValueError(f"{wrong[0]} and preprocessing say the same: give one of them")
        if self.source.trained == "head" and "features" not in own.gives:
            raise ValueError(f"'{self.architecture}' gives logits alone: there are no features to put a head on")
        return self

    @property
    def named(self) -> str:
        """Architecture and last layer, as `scaling_ood.models.architecture` takes them."""
        return f"{self.architecture}{HEAD}{self.head}" if self.head else self.architecture

    @property
    def registered(self) -> Architecture:
        """A backbone, and what belongs to its published weights."""
        return ELSEWHERE if self.source.start == "outputs" else architecture(self.named)

    @property
    def plain(self) -> frozenset[str]:
        """What it gives beside what its objective adds."""
        own = self.registered.gives
        return own | {"features"} if self.source.trains else own

    @property
    def sees(self) -> tuple[object, ...]:
        """What frozen features of images depend on: two heads on the same can read the same stored ones."""
        return self.named, self.prepared, self.input_px, self.squash


class HintSpec(Spec):
    """How a confidence branch is trained, beside what holds for the network (DeVries & Taylor 2018).

    Attributes:
        budget: Price to aim at, in nats.
        price_weight: Lambda of the first step.
        unit: What a coin is tossed for where pixels are predicted; the paper does not say which.
    """

    of_objective: ClassVar[Mapping[str, frozenset[str]]] = {"confidence": frozenset({"budget", "price_weight", "unit"})}

    budget: Annotated[float, Field(gt=0)] = 0.3
    price_weight: Annotated[float, Field(gt=0)] = 0.1
    unit: Literal["pixel", "image"] = "pixel"
