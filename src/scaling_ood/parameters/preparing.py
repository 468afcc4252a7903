"""How images are prepared for a network, where a person says it: over what the network's source says."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from scaling_ood.images import Interpolation, Preprocessing
from scaling_ood.parameters.common import Spec

Px = Annotated[int, Field(ge=16)]

Channels = Annotated[tuple[float, float, float], Field(min_length=3)]


class NormalisationSpec(Spec):
    """Mean and standard deviation of what the network was trained on; what is not given is the source's.

    Attributes:
        mean: Per channel, in units of [0, 1] pixel values.
        std: The same.
    """

    mean: Channels | None = None
    std: Channels | None = None

    @field_validator("mean", "std")
    @classmethod
    def _in_units_of_one(cls, value: Channels | None) -> Channels | None:
        if value is not None and max(map(abs, value)) > _MOST:
            shown = ", ".join(f"{level / 255:.3f}" for level in value)
            raise ValueError(f"is in units of [0, 1], not of 0..255: give [{shown}] (given: {list(value)})")
        return value

    @field_validator("std")
    @classmethod
    def _above_nothing(cls, value: Channels | None) -> Channels | None:
        if value is not None and min(value) <= 0:
            raise ValueError(f"must be above 0 (given: {list(value)})")
        return value

    @property
    def stated(self) -> dict[str, Any]:
        """What is given."""
        return {name: value for name, value in dict(self).items() if value is not None}

    def over(self, own: Preprocessing | None, input_px: int | None = None) -> Preprocessing:
        """The source's preprocessing with what is given here in its place.

        Args:
            own: The source's; None where it says nothing.
            input_px: Side of the only input that the network takes, where nothing else is known.

        Raises:
            ValueError: The source says nothing, and this lacks something; names all of it.
        """
        stated = self.stated
        if own is None:
            stated = {**_usual(input_px), **stated}
            if stated.get("squash") and "crop_px" in stated:
                stated.setdefault("resize_px", stated["crop_px"])
            if lacking := [name for name in type(self).model_fields if name not in stated]:
                raise ValueError(
                    f"preprocessing lacks {', '.join(lacking)}: nothing says how its images were prepared"
                    " (an `hf:` folder says it where the image processor was saved into it, too; else state it here)"
                )
            return Preprocessing(**{"resize_px": 0, "crop_px": 0, **stated})
        values = {name: getattr(own, name) for name in Preprocessing.__dataclass_fields__}
        if "squash" in stated:
            values["border"] = False
        return Preprocessing(**{**values, **stated})


class PreprocessingSpec(NormalisationSpec):
    """How images are prepared for a network of whole images; what is not given is the source's.

    Attributes:
        resize_px: Length that the shorter side is scaled to, in pixels.
        crop_px: Side of the square that is cut out of the middle: the network's input.
        interpolation: Filter of the scaling; `bilinear` where nothing says another.
        squash: Whether images are stretched to a square of `resize_px` instead.
    """

    resize_px: Px | None = None
    crop_px: Px | None = None
    interpolation: Interpolation | None = None
    squash: bool | None = None


def _usual(input_px: int | None) -> dict[str, Any]:
    known = {"crop_px": input_px} if input_px else {}
    return {**known, "interpolation": "bilinear", "squash": False}


_MOST = 10
"""No mean or standard deviation in units of [0, 1] pixel values is larger, and few in units of 0..255 are smaller."""
