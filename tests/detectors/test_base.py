"""The registry, and what its errors say."""

import re

import pytest
import torch

from scaling_ood.detectors import Detector, Outputs, build_detector, detector_class, detector_names
from scaling_ood.detectors.base import at_least_float32


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
        "odin_max_logit",
        "react",
        "rotation",
        "temperature_scaling",
        "vim",
    }
    assert [build_detector(name).name for name in names] == names


def test_what_detectors_share_is_no_detector():
    assert not {"base", "fit_views", "head", "novelty", "percentile"} & set(detector_names())


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


def test_length_is_the_number_of_images():
    assert len(Outputs(torch.zeros(3, 5, 2, 2))) == 3


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
