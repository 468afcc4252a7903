"""The registry, and what its errors say."""

import re

import pytest
import torch

from scaling_ood.detectors import Outputs, build_detector, detector_class, detector_names
from scaling_ood.detectors.base import at_least_float32


def test_names_are_sorted_and_buildable():
    names = detector_names()
    assert names == sorted(names)
    assert {"energy", "grouped_msp", "kl_matching", "logit_avg", "max_logit", "msp"} <= set(names)
    assert [build_detector(name).name for name in names] == names


def test_the_base_is_no_detector():
    assert "base" not in detector_names()


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
    with pytest.raises(ValueError, match=re.escape("detector 'msp' has no option 'temperature' (known: none)")):
        build_detector("msp", temperature=2.0)


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
