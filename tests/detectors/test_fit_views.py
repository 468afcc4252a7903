"""What a fit view may know, the last layer, and exact percentiles in bounded memory."""

import numpy as np
import pytest
import torch
from torch import nn

from scaling_ood.detectors import LinearHead, NotApplicableError, Outputs, OutputsList, build_detector
from scaling_ood.detectors.fit_views import beside, head_of, targets_of
from scaling_ood.detectors.percentile import exact_percentile


def view_of(*sizes, **known):
    return OutputsList([Outputs(torch.zeros(size, 3)) for size in sizes], **known)


def test_targets_go_with_their_chunks():
    targets = torch.tensor([4, 0, 1, 1, 2], dtype=torch.int32)
    view = view_of(2, 0, 3, targets=targets)
    assert targets_of(view).dtype == torch.int64
    for _ in range(2):
        assert [mine.tolist() for _, mine in beside(view, targets_of(view))] == [[4, 0], [], [1, 1, 2]]


@pytest.mark.parametrize(
    ("targets", "message"), [(4, "4 targets, but 5 or more fit images"), (6, "6 targets, but 5 fit images")]
)
def test_targets_that_are_not_as_many_as_images(targets, message):
    view = view_of(2, 3, targets=torch.zeros(targets))
    with pytest.raises(ValueError, match=message):
        list(beside(view, targets_of(view)))


def test_what_is_not_known_is_a_gap():
    with pytest.raises(NotApplicableError, match=r"^the classes of the fit images are not known$"):
        targets_of(view_of(2))
    with pytest.raises(NotApplicableError, match=r"^the classifier's last linear layer is not known$"):
        head_of(view_of(2))


def test_a_negative_target_is_an_error():
    with pytest.raises(ValueError, match="must be at least 0, not -1"):
        targets_of(view_of(2, targets=torch.tensor([0, -1])))


@pytest.mark.parametrize("bias", [True, False])
def test_a_head_is_the_layer(bias):
    layer = nn.Linear(5, 3, bias=bias)
    features = torch.randn(4, 5)
    head = LinearHead.of(layer)
    with torch.no_grad():
        torch.testing.assert_close(head.logits(features).float(), layer(features))
        layer.weight.zero_()
    assert not head.weight.requires_grad
    assert head.weight.abs().sum() > 0
    assert head.logits(features.half()).dtype == torch.float32


@pytest.mark.parametrize("name", ["react", "ash", "vim"])
def test_features_of_another_width_than_the_last_layer(name):
    outputs = Outputs(torch.ones(20, 3), torch.rand(20, 4))
    view = OutputsList([outputs], head=LinearHead(torch.eye(3, 6), torch.zeros(3)))
    with pytest.raises(ValueError, match="the features have 4 dimensions, but the last layer takes 6"):
        build_detector(name).fit(view).score(outputs)


NUMBERS = {
    "normal": np.random.default_rng(0).standard_normal(1001),
    "sparse": np.maximum(np.random.default_rng(1).standard_normal(3000) - 1, 0),
    "constant": np.full(17, -2.5),
    "extreme": np.array([-3e38, -1.0, -1e-45, -0.0, 0.0, 1e-45, 1e-38, 2.0, 3e38]),
    "neighbours": np.array([1.0, np.nextafter(np.float32(1), np.float32(2))]),
    "one": np.array([7.0]),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("percent", [0, 0.1, 50, 90, 99.9, 100])
def test_percentile_is_numpys(name, percent):
    numbers = NUMBERS[name].astype(np.float32)
    tensor = torch.from_numpy(np.random.default_rng(2).permutation(numbers))
    expected = np.percentile(numbers.astype(np.float64), percent)
    for size in (1, 4, len(numbers)):
        actual = exact_percentile(lambda size=size: tensor.split(size), percent)
        assert actual == pytest.approx(expected, rel=1e-12, abs=0)


def test_percentile_of_half_precision_and_of_matrices():
    tensor = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).half()
    actual = exact_percentile(lambda: [tensor[:2], tensor[2:].T], 30)
    assert actual == pytest.approx(np.percentile(tensor.double().numpy(), 30), rel=1e-12)


def test_percentile_of_nothing():
    with pytest.raises(ValueError, match="no percentile of no numbers"):
        exact_percentile(lambda: [torch.zeros(0)], 50)
