"""Every fault of a network's outputs is told with network, image set, count, images and a remedy."""

import re

import pytest
import torch

from scaling_ood.models import NetworkOutputError, OutputCheck

IDS = ["a.png", "b.png", "c.png", "d.png"]


def checked(check, **fields):
    codes = {}
    for field, value in fields.items():
        kept, codes[f"seed0/{field}"] = check.keep(field, value)
        assert kept.dtype == check.stored
    check.refuse(codes, IDS, "odd")


def filled(value, row=2):
    tensor = torch.ones(4, 3)
    tensor[row, 1] = value
    return tensor


def test_numbers_pass_and_so_do_infinite_logits():
    check = OutputCheck("multi_class", "the network resnet18")
    checked(check, logits=torch.ones(4, 3), features=torch.ones(4, 3, 2, 2), confidence=torch.ones(4))
    checked(check, logits=filled(torch.inf), confidence=torch.tensor([1.0, -torch.inf, 0.0, 1.0]))
    checked(check, logits=torch.empty(4, 0))


@pytest.mark.parametrize("field", ["logits", "features", "odin_logits", "posterior_variance", "rotation_loss"])
def test_nan_is_told_with_image_and_count(field):
    message = (
        rf"^multi_label: the network resnet18 gives NaN for 1 of 4 images of odd \(c\.png; seed0/{field}\)\. Look at"
    )
    with pytest.raises(NetworkOutputError, match=message):
        checked(OutputCheck("multi_label", "the network resnet18"), **{field: filled(torch.nan)})


def test_several_images_and_fields_are_told_at_once():
    bad = {"logits": filled(torch.nan), "features": filled(torch.nan, row=0), "confidence": filled(torch.inf)[:, 1]}
    with pytest.raises(NetworkOutputError, match=r"NaN for 2 of 4 .*\(a\.png, c\.png; seed0/logits, seed0/features\)"):
        checked(OutputCheck("multi_class", "the network"), **bad)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf])
def test_infinite_features_are_refused(value):
    with pytest.raises(NetworkOutputError, match=r"gives infinite features for 1 of 4 images of odd \(c\.png"):
        checked(OutputCheck("multi_class", "the network"), features=filled(value))


def test_what_half_precision_cannot_hold_is_refused_with_the_parameter_that_helps():
    check = OutputCheck("segmentation", "the network", stored=torch.float16)
    with pytest.raises(
        NetworkOutputError, match=r"too large for .* --params segmentation\.extraction\.stored=float32$"
    ):
        checked(check, logits=filled(1e5))
    checked(check, logits=filled(torch.inf))
    checked(check, logits=filled(6e4))


def test_nan_of_mixed_precision_is_told_with_the_parameter_that_helps():
    check = OutputCheck("multi_class", "the network", precision="bf16")
    with pytest.raises(NetworkOutputError, match=re.escape("--params multi_class.extraction.precision=float32")):
        checked(check, logits=filled(torch.nan).bfloat16())
