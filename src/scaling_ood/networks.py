"""Which network a detector reads.

Most read the one that all of a setting share, its classifier or segmenter, whose one forward pass feeds them all. A
detector whose scores come from a network that learned something else names it (`Detector.network`). That network is
trained, checked and run once, in a namespace of its name inside the setting: the detector's own namespace where it is
the only reader.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from scaling_ood.detectors import detector_class

SHARED = ""
"""The classifier or segmenter."""

CONFIDENCE = "confidence_branch"
"""A network with a second head that learns how sure the first one is."""

ROTATION = "rotation_network"
"""A classifier with a second head that learns by how much an image was turned."""

AUTOENCODER = "autoencoder"
"""A network that rebuilds scenes."""

IMAGES: Mapping[str, frozenset[str]] = {
    SHARED: frozenset({"logits", "features", "odin_logits"}),
    CONFIDENCE: frozenset({"logits", "confidence"}),
    ROTATION: frozenset({"logits", "rotation_loss"}),
}
"""Networks for whole images of one class each, and all outputs that they can leave."""

SCENES: Mapping[str, frozenset[str]] = {
    SHARED: frozenset({"logits", "posterior_variance"}),
    CONFIDENCE: frozenset({"confidence"}),
    AUTOENCODER: frozenset({"reconstruction_error"}),
}
"""The same for scenes."""


def network_of(detector: str, trained: Collection[str]) -> str:
    """The network whose outputs a detector is given: its own where that is trained, else the shared one.

    What it reads is not among the outputs of the shared one then, which makes it a gap.

    >>> network_of("rotation_msp", IMAGES), network_of("msp", IMAGES), network_of("rotation_msp", SCENES)
    ('rotation_network', '', '')
    """
    own = detector_class(detector).network
    return own if own in trained else SHARED


def network_words(network: str, architecture: str) -> str:
    """What messages call a network.

    >>> network_words(SHARED, "resnet18"), network_words(ROTATION, "resnet18")
    ('the network resnet18', 'the rotation_network of resnet18')
    """
    return f"the {network} of {architecture}" if network else f"the network {architecture}"


def sources(detector: str, network: str, products: Collection[str]) -> dict[str, str]:
    """Where in the setting a detector finds what it reads; what its own namespace makes is left out.

    Kedro warns of dots in names while the namespace is not complete, so `of_networks` puts those of another network's
    products in later.

    Args:
        detector: Its name.
        network: The one whose outputs it is given.
        products: Names of products, such as `outputs`; those of a network come from the network's namespace.

    >>> sources("rotation_msp", ROTATION, ["manifest", "outputs"])
    {'manifest': 'manifest', 'outputs': 'rotation_network_outputs'}
    >>> sources("confidence_branch", CONFIDENCE, ["manifest", "outputs"])
    {'manifest': 'manifest'}
    """
    found = {product: product for product in products}
    if network == SHARED:
        return found
    others = {name: name for name in found if name not in _OF_A_NETWORK}
    if network == detector:
        return others
    return {name: others.get(name, f"{network}_{name}") for name in found}


def of_networks(setting: str, networks: Iterable[str], read: Collection[str]) -> dict[str, str]:
    """The names by which `sources` has products of networks to their full ones, of those that are read.

    >>> of_networks("multi_class", [ROTATION], {"manifest", "rotation_network_outputs"})
    {'rotation_network_outputs': 'multi_class.rotation_network.outputs'}
    """
    names = {
        f"{network}_{product}": f"{setting}.{network}.{product}" for network in networks for product in _OF_A_NETWORK
    }
    return {name: full for name, full in names.items() if name in read}


_OF_A_NETWORK = frozenset({"model", "outputs", "accuracy", "training_run"})


def image_networks(training: str) -> Collection[str]:
    """Networks that there are for whole images; only the published classifier where nothing is trained (`none`)."""
    return (SHARED,) if training == "none" else tuple(IMAGES)
