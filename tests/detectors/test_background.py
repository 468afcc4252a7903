"""Background: hand values, scipy, both signs, no ties of sure pixels, and no number without a background class."""

import math
import re

import numpy as np
import pytest
import torch
from scipy.special import softmax

from scaling_ood.detectors import NotApplicableError, Outputs, OutputsList, build_detector


def score(logits, **options):
    return build_detector("background", **options).score(Outputs(torch.as_tensor(logits)))


def test_hand_values():
    logits = torch.tensor([[math.log(3), 0.0, 0.0], [0.0, math.log(6), 0.0]], dtype=torch.float64)
    assert score(logits).tolist() == pytest.approx([math.log(3 / 2), math.log(1 / 7)], rel=1e-12)
    assert score(logits, class_index=1).tolist() == pytest.approx([math.log(1 / 4), math.log(6 / 2)], rel=1e-12)


@pytest.mark.parametrize("class_index", [0, 5, 11])
def test_is_the_posterior_on_another_scale(chunk, class_index):
    logits = chunk.logits.double()
    posterior = softmax(logits.numpy(), axis=1)[:, class_index]
    np.testing.assert_allclose(score(logits, class_index=class_index).sigmoid(), posterior, rtol=1e-10)


def test_the_released_sign_is_the_other_one(chunk):
    assert torch.equal(score(chunk.logits, sign="released"), -score(chunk.logits, sign="paper"))


def test_sure_pixels_do_not_tie():
    margins = torch.linspace(20, 80, 500)
    logits = torch.stack([margins, torch.zeros(500)], dim=1)
    assert logits.softmax(1)[:, 0].unique().tolist() == [1.0]
    assert (score(logits).diff() > 0).all()
    assert (score(-logits).diff() < 0).all()


def test_pixels():
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert score(logits)[1, 2, 3] == score(logits[1:, :, 2, 3])[0]


def test_without_names_class_0_may_be_any():
    with pytest.raises(NotApplicableError, match="the classes have no names: class 0 may be any"):
        build_detector("background").fit(OutputsList([]))


def test_without_a_background_class_it_is_a_named_gap(view, chunk):
    detector = build_detector("background", class_index=None)
    for call in (lambda: detector.fit(view), lambda: detector.score(chunk)):
        with pytest.raises(NotApplicableError, match="the in-distribution set has no background class"):
            call()


@pytest.mark.parametrize("name", ["unlabeled", "other", "background"])
def test_a_class_that_is_called_so_is_the_background(name):
    for class_index in range(2):
        names = ["road", "sky"]
        names[class_index] = name
        build_detector("background", class_index=class_index).fit(OutputsList([], class_names=names))


@pytest.mark.parametrize(("class_index", "names"), [(0, ["sky", "background"]), (2, ["background", "sky"])])
def test_another_class_is_none(class_index, names):
    """Class 0 is the default, and of most sets that is a class like any other."""
    message = rf"^there is no background class \(the classes: {', '.join(names)}\)$"
    with pytest.raises(NotApplicableError, match=message):
        build_detector("background", class_index=class_index).fit(OutputsList([], class_names=names))


def test_many_classes_are_not_listed_in_full():
    with pytest.raises(NotApplicableError, match=r"class 29, …\)$"):
        build_detector("background").fit(OutputsList([], class_names=[f"class {k}" for k in range(1000)]))


@pytest.mark.parametrize(("class_index", "classes"), [(3, 3), (7, 3), (0, 1), (0, 0)])
def test_a_class_that_the_network_lacks_is_an_error(class_index, classes):
    message = f"class_index {class_index} needs that class and another one, but the network has {classes}"
    with pytest.raises(ValueError, match=message):
        score(torch.zeros(2, classes), class_index=class_index)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_index": -1}, "class_index must be an integer of at least 0, or none, not -1"),
        ({"class_index": "road"}, "or none, not 'road'"),
        ({"sign": "papr"}, "sign must be 'paper' or 'released', not 'papr'; did you mean 'paper'?"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build_detector("background", **options)
