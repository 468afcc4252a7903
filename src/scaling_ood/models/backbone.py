"""What is known of a backbone: how it is built, what belongs to its published weights, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from scaling_ood.images.transforms import Preprocessing
from scaling_ood.wording import did_you_mean

EVERYTHING = frozenset({"logits", "features", "gradients"})
"""What a network gives whose parts can be told apart and run backwards."""


@dataclass(frozen=True)
class WholeNetwork:
    """A network as the library that it is from names its parts, for weights from a file.

    Attributes:
        build: `(classes) -> network`, with random weights.
        cut: Network to its backbone and its head, which is None where it is more than one linear layer; the network is
            used up.
        rename: `(state, network) -> state`: other names that weights of this network are known by become its own.
        published: `() -> network`, with all its published weights; None where there are none.
    """

    build: Callable[[int], nn.Module]
    cut: Callable[[nn.Module], tuple[nn.Module, nn.Linear | None]]
    rename: Callable[[dict[str, torch.Tensor], nn.Module], Mapping[str, torch.Tensor]] = lambda state, _: state
    published: Callable[[], nn.Module] | None = None


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What belongs to a network of any kind.

    Attributes:
        preprocessing: Of the published weights; for a network without any, the one it is trained with here; None where
            nothing says it, so that a person must.
        weights: Where the published weights come from; empty without weights.
        weights_digest: Of the published weights, as `published_digest` gives it; empty without weights, or where
            nobody recorded it.
        gives: Of `logits`, `features` and `gradients` what it gives with its head. Without `features` what a backbone
            makes are the logits.
        class_names: Of the published head's outputs, in their order, where the source knows them.
        program: Whether it has the weights that it has: it can be neither trained nor given others.
        input_px: Side of the only input that it takes, where nothing else is known of its preprocessing.
        identity: What stands in keys in place of the name, of a network that a person brings: its content.
        files: That such a network is read from, the one that its name means first, where it is one; none on the hub.
        version: To be raised with every change of the network that is built, or of the names in its state; it is part
            of every key.
    """

    preprocessing: Preprocessing | None
    weights: str = ""
    weights_digest: str = ""
    gives: frozenset[str] = EVERYTHING
    class_names: tuple[str, ...] = ()
    program: bool = False
    input_px: int | None = None
    identity: str = ""
    files: tuple[Path, ...] = ()
    version: int = 1


@dataclass(frozen=True)
class Architecture(Registered):
    """A backbone and what belongs to its published weights.

    Attributes:
        build: `(pretrained) -> (backbone, head)`; the head is the published one, or None where there is none.
        features: Width D of the backbone's output.
        fixed_size: Whether it takes images of the size of its preprocessing alone, as most transformers do.
        classes: Number of classes of the published head; 0 without one.
        published_top1: Top-1 accuracy stated by the weights' authors, a fraction; None without weights, or where their
            record does not state it.
        sample_top1: Top-1 accuracy measured here on the 1,000 photographs of `imagenet_sample`, a fraction; None
            without weights, or where nobody measured it. They were probably in the training set: it tells a wrong
            preprocessing, not how good the model is.
        weights_file: Name of the weights' file where its own digest is known, in its name for instance, without
            building the network; else empty.
        whole: How files of weights name its parts; None: as `ImageNetwork` does.
    """

    build: Callable[[bool], tuple[nn.Module, nn.Linear | None]]
    features: int
    fixed_size: bool = False
    classes: int = 0
    published_top1: float | None = None
    sample_top1: float | None = None
    weights_file: str = ""
    whole: WholeNetwork | None = None


def _not_here(_: bool) -> tuple[nn.Module, nn.Linear | None]:
    raise RuntimeError("the network is elsewhere: its outputs were brought")


ELSEWHERE = Architecture(
    preprocessing=Preprocessing(0, 0, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    gives=frozenset({"logits", "features"}),
    build=_not_here,
    features=0,
)
"""A network of which there is nothing but outputs that somebody brings; no image is prepared for it."""


@dataclass(frozen=True)
class Source:
    """Where architectures come from: one file in `scaling_ood.models.sources`, which has it as `SOURCE`.

    Attributes:
        has: Whether a name is one of this source's.
        architecture: The architecture of such a name; a ValueError where the source does not have it after all.
        near: Names that a name which is nobody's may have been meant for.
        offers: What the source has, in words.
    """

    has: Callable[[str], bool]
    architecture: Callable[[str], Architecture]
    near: Callable[[], Iterable[str]]
    offers: Callable[[], str]


class WeightsUnavailableError(RuntimeError):
    """Published weights that can be neither found nor fetched, or are not what they should be."""


def unknown_weights(network: str, wanted: str, known: list[str]) -> ValueError:
    """The error for a network that exists, but not with these weights."""
    return ValueError(f"{network} has no published weights '{wanted}'{did_you_mean(wanted, known)}")
