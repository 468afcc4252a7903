"""Networks take from the shared one what they do not state; detectors find the network that gives what they need."""

from typing import Any

import pytest
from toy_parameters import Parameters, change, changed

from scaling_ood.detectors import Need, detector_class, detector_names, field_of
from scaling_ood.parameters.multi_class import ClassifierSpec
from scaling_ood.parameters.segmentation import AutoencoderSpec, SegmenterSpec
from scaling_ood.parameters.weights import WEIGHTS
from scaling_ood.structure import checked

LITE0 = {"architecture": "efficientnet_lite0", "weights": "trained_head"}
PLAIN = {"logits", "features", "gradients"}
PUBLISHED = {"architecture": "efficientnet_lite0", "weights": "published"}


def spec(setting: str, *changes: Any) -> Any:
    return checked(changed(*changes))[setting].spec


def multi_class(networks: Parameters, detectors: Parameters, trained: bool = True) -> Any:
    return spec(
        "multi_class",
        change("multi_class.networks", networks),
        change("multi_class.detectors", detectors),
        *([] if trained else [change("multi_class.data.train", None)]),
    )


def test_a_network_takes_what_it_does_not_state_from_the_shared_one() -> None:
    networks = spec("multi_class").networks
    shared, branch = networks["classifier"], networks["confidence_branch"]
    assert (branch.architecture, branch.weights) == (shared.architecture, shared.weights)
    assert (shared.epochs, branch.epochs) == (3, 5)
    assert networks["families"] == shared.model_copy(update={"targets": "coarse"})


def test_what_a_network_learns_is_not_inherited() -> None:
    odd = {**LITE0, "objective": "rotation", "targets": "coarse"}
    networks = multi_class({"classifier": odd, "plain": {}}, {"msp": {}, "mine": {"method": "msp", "network": "plain"}})
    assert (networks.networks["plain"].objective, networks.networks["plain"].targets) == ("classes", "classes")


def test_an_autoencoder_takes_sizes_and_seeds_alone() -> None:
    networks = spec("segmentation", change("segmentation.networks.segmenter.epochs", 7)).networks
    segmenter, autoencoder = networks["segmenter"], networks["autoencoder"]
    assert (type(segmenter), type(autoencoder)) == (SegmenterSpec, AutoencoderSpec)
    assert (autoencoder.test_edge, autoencoder.seeds) == (segmenter.test_edge, segmenter.seeds) == (64, (0, 1))
    assert (segmenter.epochs, autoencoder.epochs, autoencoder.weights) == (7, 10, "trained")


def test_a_network_that_is_switched_off_is_not_there() -> None:
    changes = [change("multi_class.networks.dropout", False), change("multi_class.networks.confidence_branch", False)]
    networks = spec("multi_class", *changes, change("multi_class.detectors.confidence_branch", False)).networks
    assert networks.keys() == {"classifier", "families"}


@pytest.mark.parametrize("source", WEIGHTS)
def test_each_source_of_weights_says_what_it_starts_from_and_what_is_trained(source: str) -> None:
    weights = WEIGHTS[source]
    assert weights.source == source
    assert weights.trains == (source in ("trained_head", "fine_tuned", "trained"))
    told = weights.told("torchvision", "abc")
    assert ("torchvision" in told, "abc" in told, "random" in told) == (
        weights.start == "published",
        weights.start == "checkpoint",
        weights.start == "random",
    )
    assert ("trained here" in told) == weights.trains


def test_the_sources_of_weights_are_told_apart_by_readers() -> None:
    assert len({weights.told("torchvision", "abc") for weights in WEIGHTS.values()}) == len(WEIGHTS)


@pytest.mark.parametrize(
    ("options", "gives"),
    [
        ({}, PLAIN),
        ({"objective": "confidence"}, PLAIN | {"confidence"}),
        ({"objective": "rotation"}, PLAIN | {"rotations"}),
        ({"dropout": 0.5}, PLAIN | {"dropout"}),
    ],
)
def test_a_classifier_gives_what_its_objective_and_its_dropout_make(options: Any, gives: set[str]) -> None:
    assert ClassifierSpec.model_validate(LITE0 | options).gives == gives


def test_a_detector_reads_the_shared_network_or_else_the_one_that_gives_what_it_needs() -> None:
    networks = {"classifier": LITE0, "rotation": {"objective": "rotation"}, "sure": {"objective": "confidence"}}
    methods = multi_class(networks, {"msp": {}, "confidence_branch": {}, "rotation": {}}).methods
    read = {"msp": "classifier", "confidence_branch": "sure", "rotation": "rotation"}
    assert {name: method.network for name, method in methods.items()} == read
    assert not any(method.gap for method in methods.values())


def test_a_detector_reads_the_network_that_it_names() -> None:
    networks = {"classifier": LITE0, "rotation": {"objective": "rotation"}}
    detectors = {"msp": {}, "rotation_msp": {"method": "msp", "network": "rotation"}}
    setting = multi_class(networks, detectors)
    assert {name: method.network for name, method in setting.methods.items()} == {
        "msp": "classifier",
        "rotation_msp": "rotation",
    }
    assert list(setting.used_networks) == ["classifier", "rotation"]


def test_dropout_has_a_network_of_its_own_where_the_shared_one_has_none() -> None:
    networks = {"classifier": LITE0, "dropout": {"dropout": 0.5}}
    assert multi_class(networks, {"msp": {}, "mc_dropout": {}}).methods["mc_dropout"].network == "dropout"
    (only,) = multi_class({"classifier": {**LITE0, "dropout": 0.2}}, {"mc_dropout": {}}).methods.values()
    assert (only.network, only.gap) == ("classifier", "")


def test_a_detector_that_no_network_serves_is_a_gap_that_says_why() -> None:
    gap = multi_class({"classifier": LITE0}, {"msp": {}, "confidence_branch": {}}).methods["confidence_branch"].gap
    assert gap.startswith("not applicable: ")
    assert "confidence" in gap


def test_where_nothing_is_trained_a_network_that_learned_something_else_is_a_gap_that_says_so() -> None:
    networks = {"classifier": PUBLISHED, "rotation": {"objective": "rotation"}}
    detectors = {"msp": {}, "rotation_msp": {"method": "msp", "network": "rotation"}, "rotation": {}}
    setting = multi_class(networks, detectors, trained=False)
    gaps = {name: method.gap for name, method in setting.methods.items()}
    assert gaps["msp"] == ""
    for name in ("rotation_msp", "rotation"):
        assert gaps[name].startswith("not applicable: ")
        assert "this benchmark trains none" in gaps[name]
    assert list(setting.used_networks) == ["classifier"]


def test_another_detectors_need_takes_the_place_of_the_logits() -> None:
    methods = spec("multi_class").methods
    plain = {field_of(need) for need in methods["msp"].needs}
    odin = methods["odin"].needs
    assert plain == {"logits"}
    assert methods["odin_max_logit"].needs == odin
    assert all(isinstance(need, Need) for need in odin)


def test_the_options_of_the_other_detector_hold_even_if_it_is_off() -> None:
    off = {"msp": {}, "odin": False, "odin_max_logit": {"method": "max_logit", "logits_of": "odin"}}
    (need,) = multi_class({"classifier": LITE0}, off).methods["odin_max_logit"].needs
    (default,) = multi_class({"classifier": LITE0}, {**off, "odin": {}}).methods["odin"].needs
    assert need == default


def test_what_is_stored_of_a_network_is_what_its_detectors_read_and_the_logits() -> None:
    setting = spec("multi_class")
    assert {field_of(need) for need in setting.needs_of("confidence_branch")} == {"logits", "confidence"}
    assert "logits" in setting.needs_of("families")
    assert setting.methods["odin"].needs <= setting.needs_of("classifier")
    autoencoder = spec("segmentation").needs_of("autoencoder")
    assert autoencoder == {"reconstruction_error"}


@pytest.mark.parametrize("name", detector_names())
def test_every_detector_is_served_by_some_setting_or_says_why_not(name: str) -> None:
    networks = {
        "multi_class": {"classifier": {**LITE0, "dropout": 0.5}, "c": {"objective": "confidence"}}
        | {"r": {"objective": "rotation"}},
        "multi_label": {"classifier": LITE0},
        "segmentation": {
            "segmenter": {"architecture": "pspnet_resnet10", "weights": "trained"},
            "c": {"objective": "confidence"},
            "a": {"objective": "reconstruction"},
        },
    }
    served = []
    for setting, own in networks.items():
        given = [change(f"{setting}.networks", own), change(f"{setting}.detectors", {name: {}})]
        (method,) = spec(setting, *given).methods.values()
        served += [] if method.gap else [setting]
        assert not method.gap or method.gap.startswith("not applicable: ")
    assert served, detector_class(name)
