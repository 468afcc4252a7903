"""Which network a detector reads: what the registry says, and what the settings train."""

import pytest

from scaling_ood.detectors import build_detector, detector_class, detector_names
from scaling_ood.networks import (
    CONFIDENCE,
    IMAGES,
    ROTATION,
    SCENES,
    SHARED,
    image_networks,
    network_of,
    of_networks,
    sources,
)
from scaling_ood.parameters.multi_class import ClassifierNetworksSpec, ModelSpec
from scaling_ood.parameters.segmentation import NetworksSpec

OWN = [name for name in detector_names() if detector_class(name).network != SHARED]


@pytest.mark.parametrize("name", OWN)
def test_a_network_that_a_detector_names_leaves_what_it_reads_in_some_setting(name: str) -> None:
    network = detector_class(name).network
    made = [outputs[network] for outputs in (IMAGES, SCENES) if network in outputs]
    assert made
    assert all(build_detector(name).needs <= outputs for outputs in made)


def test_every_network_has_options_under_its_name() -> None:
    assert set(ClassifierNetworksSpec.model_fields) == IMAGES.keys() - {SHARED}
    assert set(NetworksSpec.model_fields) == SCENES.keys() - {SHARED}


def test_where_nothing_is_trained_every_detector_is_given_the_published_classifier() -> None:
    assert {network_of(name, image_networks("none")) for name in OWN} == {SHARED}
    for training in ("head", "network"):
        assert network_of("rotation_max_logit", image_networks(training)) == ROTATION


PRODUCTS = ["manifest", "preparation", "outputs", "accuracy", "training_run"]


@pytest.mark.parametrize(
    ("detector", "network", "elsewhere"),
    [
        ("msp", SHARED, {name: f"s.{name}" for name in PRODUCTS}),
        ("confidence_branch", CONFIDENCE, {name: f"s.{name}" for name in PRODUCTS[:2]}),
        (
            "rotation",
            ROTATION,
            {name: f"s.{name}" for name in PRODUCTS[:2]} | {name: f"s.{ROTATION}.{name}" for name in PRODUCTS[2:]},
        ),
    ],
)
def test_a_detector_finds_each_product_in_the_namespace_that_makes_it(
    detector: str, network: str, elsewhere: dict[str, str]
) -> None:
    found = sources(detector, network, PRODUCTS)
    full = of_networks("s", [ROTATION, CONFIDENCE], set(found.values()))
    assert {name: full.get(source, f"s.{source}") for name, source in found.items()} == elsewhere


def test_the_least_accuracy_of_a_network_is_its_own_or_the_models() -> None:
    model = ModelSpec(architecture="small_resnet", training="network", least_top1=0.4)
    networks = ClassifierNetworksSpec.model_validate({"rotation_network": {"least_top1": 0.3}})
    assert networks.least_top1(ROTATION, model) == 0.3
    assert networks.least_top1(CONFIDENCE, model) == 0.4
