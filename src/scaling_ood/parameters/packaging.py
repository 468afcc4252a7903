"""How a detector is packaged for use elsewhere."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from scaling_ood.parameters.common import Count, Name, Spec

Amount = Annotated[float, Field(gt=0)]


class PackagingSpec(Spec):
    """What `kedro run --pipelines packaging` packages; no other stage reads it.

    Attributes:
        detector: One that is on; by default `max_logit`, or where that is off, the first.
        false_alarm_rate: Share of in-distribution images, or pixels, that may be called anomalies.
        name: Under which the model is registered; by default `scaling-ood-<benchmark>-<setting>`.
        requirement: What pip installs to have this package's code, such as the address of a wheel; by default
            `scaling-ood` of this version.
        most_images: In one request.
        most_megabytes: Of one image's file.
        most_megapixels: Of one image.
    """

    detector: str | None = None
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    name: Name | None = None
    requirement: str | None = None
    most_images: Count = 64
    most_megabytes: Amount = 20
    most_megapixels: Amount = 40
