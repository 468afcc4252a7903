"""Where networks come from, one file each; a new source is a new file here with its `SOURCE`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from scaling_ood.models.backbone import Architecture, Source
from scaling_ood.models.cutting import with_head
from scaling_ood.models.sources.own import ARCHITECTURES
from scaling_ood.wording import nearest

HEAD = "#"
"""Between the name of a network and that of its last linear layer."""

__all__ = ["ARCHITECTURES", "architecture", "sources"]


def architecture(name: str) -> Architecture:
    """The architecture of that name: of this project, of torchvision (`resnet101`), or of timm (`timm:resnet101`).

    A bare name of torchvision stands for its first published weights, which are those of the papers of their time;
    `resnet101.imagenet1k_v2` names others. timm has the same form, `timm:resnet101.tv_in1k`, and its own default.
    Behind a `#` may stand which linear layer is the last one, `resnet101#fc`.

    Raises:
        ValueError: Unknown name; says the nearest match and what there is.
    """
    name, _, head = name.partition(HEAD)
    for source in sources():
        if source.has(name):
            return with_head(source.architecture(name), name, head) if head else source.architecture(name)
    hint = nearest(name, [known for source in sources() for known in source.near()])
    offers = "; ".join(source.offers() for source in sources())
    raise ValueError(f"unknown architecture '{name}'{hint} (known: {offers})")


def sources() -> Iterator[Source]:
    """Those of all files here, by the files' names; each is imported when it is asked for, with its library."""
    for module in iter_modules(__path__):
        yield import_module(f"{__name__}.{module.name}").SOURCE
