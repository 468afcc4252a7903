"""The registry, and what its errors say."""

import pickle
import re

import pytest
import torch

from scaling_ood.detectors import (
    Detector,
    FeatureMap,
    MissingOutputError,
    NonFiniteOutputError,
    NotApplicableError,
    Outputs,
    OutputsList,
    build_detector,
    detector_class,
    detector_names,
    field_of,
    on_need,
    refuse_network,
)
from scaling_ood.detectors.base import at_least_float32
from scaling_ood.detectors.odin import Perturbed
from scaling_ood.detectors.rotation import RotationLoss


def test_names_are_sorted_and_buildable():
    names = detector_names()
    assert names == sorted(names)
    assert set(names) >= {
        "ash",
        "autoencoder",
        "background",
        "confidence_branch",
        "energy",
        "gen",
        "grouped_msp",
        "isolation_forest",
        "joint_energy",
        "kl_matching",
        "knn",
        "local_outlier_factor",
        "logit_avg",
        "mahalanobis",
        "max_logit",
        "mc_dropout",
        "msp",
        "odin",
        "react",
        "rotation",
        "temperature_scaling",
        "vim",
    }
    assert [build_detector(name).name for name in names] == names


def test_what_detectors_share_is_no_detector():
    assert not {"base", "fit_views", "head", "needs", "novelty", "outputs", "percentile"} & set(detector_names())


def test_a_detector_that_reads_logits_only_says_nothing_of_the_rest():
    """What someone's own file holds at least; it need not know of any other field."""

    class Toy(Detector):
        def score(self, chunk):
            return chunk.logits.sum(dim=1)

    assert Toy.needs == Toy().needs == {"logits"}
    assert Toy().score(Outputs(torch.ones(2, 3))).tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("given", "nearest"), [("maxlogit", "max_logit"), ("MSP ", None), ("kl_maching", "kl_matching"), ("zzz", None)]
)
def test_unknown_detector_names_the_nearest_and_all(given, nearest):
    hint = f"; did you mean '{nearest}'?" if nearest else ""
    message = f"unknown detector '{given}'{hint} (known: {', '.join(detector_names())})"
    for function in (build_detector, detector_class):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            function(given)


def test_unknown_option_names_the_nearest():
    message = "detector 'energy' has no option 'temprature'; did you mean 'temperature'? (known: temperature)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector("energy", temprature=2.0)


def test_unknown_option_of_a_detector_without_any():
    with pytest.raises(ValueError, match=re.escape("detector 'max_logit' has no option 'temperature' (known: none)")):
        build_detector("max_logit", temperature=2.0)


@pytest.mark.parametrize(("name", "learns"), [("msp", False), ("background", False), ("knn", True), ("vim", True)])
def test_what_learns_says_so_by_its_fit(name, learns):
    assert detector_class(name).learns is learns


def test_a_subclass_learns_as_its_parent_does():
    class Child(detector_class("knn")):
        pass

    assert Child.learns


EPSILON = Perturbed(epsilon=0.01)


def test_a_method_on_another_source(chunk):
    usual = build_detector("max_logit")
    other = on_need(usual, EPSILON)
    assert (usual.needs, other.needs) == ({"logits"}, {EPSILON})
    assert (other.requires, other.name) == ({"logits", "gradients"}, "max_logit")
    moved = Outputs(chunk.logits, **{field_of(EPSILON): chunk.logits + 1})
    torch.testing.assert_close(other.score(moved), usual.score(chunk) - 1)
    assert torch.equal(other.score(Outputs(odin_logits=chunk.logits)), usual.score(chunk))
    with pytest.raises(MissingOutputError, match=r"'odin_logits\(temperature=1000.0,epsilon=0.01\)', which"):
        other.score(Outputs(chunk.logits))


def test_a_method_fits_and_scores_on_a_feature_map(view, chunk):
    layer = FeatureMap("layer3")
    detector = on_need(build_detector("knn"), layer)
    assert (detector.needs, detector.requires) == ({layer}, set())

    def mapped(outputs):
        return Outputs(**{field_of(layer): outputs.features})

    scores = detector.fit(OutputsList(map(mapped, view))).score(mapped(chunk))
    assert torch.equal(scores, build_detector("knn").fit(view).score(chunk))
    infinite = Outputs(feature_map=torch.full((1, 16), torch.inf))
    with pytest.raises(NonFiniteOutputError, match="detector 'knn' was given feature_map that are infinite") as caught:
        detector.score(infinite)
    assert caught.value.finite


@pytest.mark.parametrize(("name", "need"), [("knn", EPSILON), ("msp", FeatureMap("layer3")), ("msp", RotationLoss())])
def test_a_need_stands_for_what_is_read_only(name, need):
    reads = next(iter(detector_class(name).needs))
    message = f"detector '{name}' reads {reads}, and {need.name} can stand for none of these"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        on_need(build_detector(name), need)


def test_two_needs_of_one_name_are_told_apart():
    class Difference(Detector):
        name = "difference"
        needs = frozenset({FeatureMap("layer2"), FeatureMap("layer3")})

        def score(self, chunk):
            first, second = (self.read(chunk, each) for each in sorted(self.needs, key=field_of))
            return (first - second).amax(dim=1)

    maps = {field_of(each): torch.full((1, 2), float(each.layer[-1])) for each in Difference.needs}
    assert Difference().score(Outputs(**maps)).tolist() == [-1.0]


@pytest.mark.parametrize(
    ("detector", "gives", "dense", "reason"),
    [
        ("msp", {"logits"}, True, ""),
        ("odin", {"logits", "gradients"}, True, ""),
        ("odin", {"logits"}, True, r"it takes gradients, which the network .plain. does not give"),
        ("kl_matching", {"logits"}, False, ""),
        ("kl_matching", {"logits"}, True, "the method is defined for whole images, not for pixels"),
        ("mc_dropout", {"logits", "features"}, False, "dropout, which the network 'plain' does not give"),
        ("rotation", {"logits"}, False, r"it takes rotations, .* give \(it gives: logits\)"),
        ("vim", set(), False, r"it takes features, logits, which .* \(it gives: nothing\)"),
    ],
)
def test_what_a_network_does_not_give_is_a_gap(detector, gives, dense, reason):
    built = build_detector(detector)
    if not reason:
        refuse_network(built, "plain", frozenset(gives), dense)
        return
    with pytest.raises(NotApplicableError, match=reason):
        refuse_network(built, "plain", frozenset(gives), dense)


def test_outputs_hold_what_is_there():
    outputs = Outputs(torch.zeros(3, 5, 2, 2), None, confidence=torch.ones(3, 2, 2), rotation_loss=None)
    assert len(outputs) == 3
    assert list(outputs.fields) == ["logits", "confidence"]
    assert outputs.logits is outputs["logits"]
    with pytest.raises(MissingOutputError, match=r"^these outputs lack 'features' \(they have: logits, confidence\)$"):
        _ = outputs.features
    assert len(pickle.loads(pickle.dumps(outputs))["confidence"]) == 3


def test_no_outputs_at_all():
    with pytest.raises(ValueError, match="at least one field, such as logits"):
        Outputs(features=None)


@pytest.mark.parametrize(
    ("given", "widened"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_is_widened(given, widened):
    assert at_least_float32(torch.ones(2, dtype=given)).dtype == widened
