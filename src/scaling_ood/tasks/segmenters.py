"""The networks of the segmentation setting: built, filled with weights, and how large their outputs are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import pandas as pd

from scaling_ood.detectors import Need, name_of
from scaling_ood.evaluation.chunks import seed_name
from scaling_ood.evaluation.passes import ScenePass
from scaling_ood.models import ClassCountError, Network, fitting_state, read_checkpoint
from scaling_ood.models.segmentation import STRIDE, RunAsItIs, build_autoencoder, build_segmenter, stride_of
from scaling_ood.parameters.segmentation import AutoencoderSpec, SegmenterSpec
from scaling_ood.products.preparation import Preparation
from scaling_ood.products.stored import StoredModel
from scaling_ood.training.scenes import scaled_size


def input_of(network: SegmenterSpec | AutoencoderSpec) -> str:
    """How scenes are brought to it, in words."""
    if network.source.start == "outputs":
        return "not known: outputs were brought"
    preprocessing = network.prepared
    edges = ", ".join(str(edge or "as it is") for edge in network.edges)
    return f"shorter side {edges}, mean {preprocessing.mean}, std {preprocessing.std}"


def _classes(network: SegmenterSpec, prepared: Preparation) -> int:
    return network.classes or len(prepared.classes)


def refuse_other_classes(network: SegmenterSpec | AutoencoderSpec, prepared: Preparation) -> None:
    """Make sure that published weights can be loaded and fit the classes."""
    assert isinstance(network, SegmenterSpec)
    whole, wanted = network.whole, _classes(network, prepared)
    assert whole is not None
    if whole.classes != wanted:
        raise ClassCountError(
            f"the published head of {network.architecture} has {whole.classes:,} classes, but the labels have "
            f"{wanted:,}: they must be the same classes, in the same order (or in that of class_order). With classes: "
            f"{whole.classes} it is run all the same, and its quality is not checked"
        )
    build(network, prepared, 0)


def fitting_of(network: SegmenterSpec | AutoencoderSpec) -> tuple[int, tuple[int, int] | None]:
    """To whose multiples the sides of scenes are stretched; and (H, W) of the only images that the network takes."""
    whole = network.whole if isinstance(network, SegmenterSpec) else None
    return (whole.multiple, whole.size) if whole else (STRIDE, None)


@lru_cache(maxsize=4)
def _stride_of(architecture: str, classes: int) -> int:
    built = build_segmenter(architecture, classes, seed=0, start="random")
    return stride_of(built) if isinstance(built, RunAsItIs) else STRIDE


def _stride(network: SegmenterSpec | AutoencoderSpec) -> int:
    """Of its stored outputs."""
    if isinstance(network, AutoencoderSpec):
        return 1
    return _stride_of(network.architecture, network.whole.classes or 2) if network.whole else STRIDE


def stored_bytes(
    network: SegmenterSpec | AutoencoderSpec, rows: pd.DataFrame, needs: Iterable[str | Need], make: ScenePass
) -> int:
    """What the outputs of some scenes take: at stride 8 those of a segmenter, every pixel those of an autoencoder."""
    classes, area = _classes(network, make.manifest.preparation) if isinstance(network, SegmenterSpec) else 1, 0
    stride, (multiple, only) = _stride(network), fitting_of(network)
    for (height, width), count in Counter(zip(rows["height"], rows["width"], strict=True)).items():
        for edge in network.edges:
            scaled = only or scaled_size((width, height), edge, make.longest)
            sides = (-(-side // multiple) * multiple // stride for side in scaled)
            area += count * math.prod(sides)
    widths = [classes if name_of(need) in ("logits", "odin_logits") else 1 for need in needs]
    return area * len(network.seeds) * sum(w * make.dtype_of(n).itemsize for w, n in zip(widths, needs, strict=True))


def has_truth(network: SegmenterSpec | AutoencoderSpec, prepared: Preparation) -> bool:
    """Whether the labels say which of the segmenter's classes is right; some tell anomalous from known alone."""
    return isinstance(network, SegmenterSpec) and _classes(network, prepared) == len(prepared.classes)


def build(network: SegmenterSpec | AutoencoderSpec, prepared: Preparation, seed: int, trained: bool = False) -> Network:
    """A network with its initial weights, or for weights that are loaded next."""
    if isinstance(network, AutoencoderSpec):
        return build_autoencoder(seed=seed, skips=network.skips, dropout=network.dropout, difference=network.difference)
    return build_segmenter(
        network.architecture,
        _classes(network, prepared),
        seed=seed,
        start="published" if network.source.start == "published" and not trained else "random",
        width=network.width,
        dropout=network.dropout,
        confidence=network.objective == "confidence",
    )


def assembled(
    network: SegmenterSpec | AutoencoderSpec, prepared: Preparation, model: StoredModel
) -> dict[str, Network]:
    """The networks of all seeds with their weights."""
    trained = network.source.trains or network.source.start == "checkpoint"
    states = model.states() if trained else {}
    networks = {seed_name(seed): build(network, prepared, seed, trained=trained) for seed in network.seeds}
    for seed, built in networks.items():
        if trained:
            built.load_state_dict(states[seed])
        if isinstance(built, RunAsItIs):
            built.in_order(model.about.get("class_order", ()))
    return networks


def adopted(
    network: SegmenterSpec | AutoencoderSpec, path: str, prepared: Preparation, _: dict[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """The only state of a training that takes weights from a file."""
    built, file = build(network, prepared, network.seeds[0], trained=True), read_checkpoint(path)
    if isinstance(network, SegmenterSpec) and network.whole and isinstance(built, RunAsItIs):
        weights = built.adopted(network.whole, file)
    else:
        weights = fitting_state(built, file, optional=("auxiliary.",))
        if order := network.outputs_of(prepared.classes):
            last = ("classifier.weight", "classifier.bias")
            weights = {name: each[order] if name in last else each for name, each in weights.items()}
    yield {"models": {f"{seed_name(network.seeds[0])}.best": weights}, "history": []}
