"""Parameters of the multi-class setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from miniatures import MiniatureSpec
from scaling_ood.parameters.common import Name, RenderingSpec
from scaling_ood.parameters.data_sets import DataSpec, FolderSpec
from scaling_ood.parameters.networks import HintSpec, ImageNetworkSpec
from scaling_ood.parameters.outputs import OutputsDataSpec, images_or_outputs
from scaling_ood.parameters.setting import ImagesSpec


class ClassifierSpec(HintSpec, ImageNetworkSpec):
    """A classifier, which may learn a second task beside the classes.

    Attributes:
        objective: `classes` alone; `confidence`: also how sure it is (DeVries & Taylor 2018), without smoothed labels;
            `rotation`: also by how much an image was turned (Hendrycks et al. 2019).
        targets: What it tells apart: the `classes`, or the `coarse` groups that they form.
        width: Of a hidden layer before the heads, 0 for none. On frozen features a second task has an effect on the
            classes only through such a layer; a network that is trained as a whole needs none.
        weight_decay: Decoupled, on weights only.
        label_smoothing: Share of the target spread over all classes.
        rotation_weight: Of the rotations' loss beside that of the classes.
    """

    of_objective: ClassVar[Mapping[str, frozenset[str]]] = {
        **HintSpec.of_objective,
        "rotation": frozenset({"rotation_weight"}),
    }

    objective: Literal["classes", "confidence", "rotation"] = "classes"
    targets: Literal["classes", "coarse"] = "classes"
    width: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    rotation_weight: Annotated[float, Field(gt=0)] = 1.0

    @property
    def gives(self) -> frozenset[str]:
        """Logits and penultimate features; the second head's output; dropout where the network has it."""
        dropout = {"dropout"} if self.dropout and self.source.trains else set()
        return self.plain | (({self.second} | dropout) - {""})

    @property
    def second(self) -> Literal["", "confidence", "rotations"]:
        """What the second head gives, if there is one."""
        return {"classes": "", "confidence": "confidence", "rotation": "rotations"}[self.objective]  # type: ignore[return-value]

    @property
    def hidden_width(self) -> int:
        """Of the hidden layer as it is trained; 0 where there is none."""
        return self.width if self.source.trained == "head" else 0

    @property
    def recipe(self) -> frozenset[str]:
        """Fields that say how it is trained."""
        hints = {"budget", "price_weight", "unit", "rotation_weight"}
        shape = {"seeds", "width", "dropout"}
        steps = {"epochs", "batch_images", "learning_rate", "weight_decay", "label_smoothing", "precision"}
        return frozenset(steps | hints | shape)

    @model_validator(mode="after")
    def _groups_are_trained(self) -> Self:
        if self.targets == "coarse" and not self.source.trains:
            raise ValueError("targets: coarse needs a network that is trained here")
        return self


class FabricationSpec(RenderingSpec[MiniatureSpec]):
    """Fields of `miniatures.MiniatureSpec`."""

    of = MiniatureSpec


class MultiClassSpec(ImagesSpec):
    """Everything about the multi-class setting."""

    fabrication: FabricationSpec | Literal[False] = False
    data: Annotated[
        Annotated[DataSpec, Tag("data: images")] | Annotated[OutputsDataSpec, Tag("data: outputs")],
        Discriminator(images_or_outputs),
    ]
    networks: dict[Name, ClassifierSpec]

    def own_problems(self) -> list[str]:
        """Networks and images that do not go together."""
        problems = super().own_problems()
        known = self.data.sets.get(self.data.in_dist) if isinstance(self.data, DataSpec) else None
        grouped = isinstance(known, FolderSpec) and known.groups is not None
        coarse = [name for name, spec in self.networks.items() if spec.targets == "coarse"]
        if coarse and not grouped:
            problems.append(
                f"networks.{coarse[0]}.targets is coarse, but data_sets.{self.data.in_dist}.groups is not given"
            )
        return problems
