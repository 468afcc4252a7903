"""Image classifiers of Hugging Face: `hf:FOLDER`, as `save_pretrained` writes it, or `hf:OWNER/NAME` of the hub."""

from __future__ import annotations

from functools import lru_cache, partial

from torch import nn

from scaling_ood.models.backbone import Architecture, Source, WholeNetwork
from scaling_ood.models.cutting import HeadError, checked_cut, cut_at, linear_layers
from scaling_ood.models.hugging_face import HF, LogitsOf, Saved, named_as_here, saved
from scaling_ood.models.skeleton import skeleton

AUTO = "AutoModelForImageClassification"

# Their positions are learned for one size.
_OF_ONE_SIZE = frozenset({"beit", "clip", "data2vec-vision", "deit", "pvt", "siglip", "vit", "vit_msn"})


@lru_cache(maxsize=8)
def hugging_face_architecture(name: str) -> Architecture:
    """A classifier of Hugging Face, such as `hf:models/mine` or `hf:google/vit-base-patch16-224`.

    Its features are what its last linear layer reads.

    Raises:
        ValueError: There is no such folder or repository, it is no image classifier, it brings code, or its weights are
            pickled; or transformers is not installed.
    """
    found = saved(name, AUTO)
    classes = len(found.config.id2label)
    built = skeleton(partial(_logits, found, False))
    head = cut_at(built, _last(built, classes, name))[1]
    own = Architecture(
        lambda _: (nn.Identity(), None),
        features=head.in_features,
        preprocessing=found.preprocessing,
        fixed_size=found.config.model_type in _OF_ONE_SIZE,
        input_px=_side(found),
        classes=classes,
        weights=found.words,
        weights_digest=found.digest,
        weights_file=found.digest,
        class_names=found.class_names,
        identity=found.identity,
        files=found.files,
    )
    cut = partial(_cut, classes=classes, name=name)
    whole = WholeNetwork(
        partial(_of_classes, found), partial(_cut_last, name=name), named_as_here, partial(_logits, found, True)
    )

    def build(pretrained: bool) -> tuple[nn.Module, nn.Linear | None]:
        if pretrained:
            return checked_cut(partial(_logits, found, True), cut, own, name)
        return cut(_logits(found, False))[0], None

    return Architecture(**{**vars(own), "build": build, "whole": whole})


def _logits(found: Saved, pretrained: bool) -> nn.Module:
    return LogitsOf(found.build(AUTO, pretrained))


def _of_classes(found: Saved, classes: int) -> nn.Module:
    """With random weights and another number of classes."""
    return _logits(found.of_classes(classes), False)


def _last(network: nn.Module, classes: int, name: str) -> str:
    fitting = [each for each, layer in linear_layers(network).items() if layer.out_features == classes]
    if not fitting:
        raise HeadError(f"'{name}' has no linear layer for its {classes:,} classes")
    return fitting[-1]


def _cut(network: nn.Module, classes: int, name: str) -> tuple[nn.Module, nn.Linear]:
    return cut_at(network, _last(network, classes, name))


def _cut_last(network: nn.Module, name: str) -> tuple[nn.Module, nn.Linear]:
    assert isinstance(network, LogitsOf)
    config: object = network.model.config
    return _cut(network, int(config.num_labels), name)  # type: ignore[attr-defined]


def _side(found: Saved) -> int | None:
    side = getattr(found.config, "image_size", None)
    return side if isinstance(side, int) else None


SOURCE = Source(
    lambda name: name.startswith(HF),
    hugging_face_architecture,
    lambda: (),
    lambda: f"image classifiers of Hugging Face, as '{HF}<folder or id>'",
)
