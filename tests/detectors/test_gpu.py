"""Every detector fits and scores on a graphics processor as on the processor."""

from dataclasses import replace

import pytest
import torch

from scaling_ood.detectors import build_detector, detector_class, detector_names
from scaling_ood.metrics import detection_metrics

from .conftest import map_fields, with_fields

pytestmark = pytest.mark.gpu

POINTS = 1e-5


def moved(outputs, device):
    return map_fields(outputs, lambda tensor: tensor.to(device))


def moved_view(view, device):
    head = view.head and type(view.head)(*(tensor.to(device) for tensor in view.head))
    chunks = [moved(chunk, device) for chunk in view]
    return replace(view, chunks=chunks, targets=None if view.targets is None else view.targets.to(device), head=head)


@pytest.mark.parametrize("name", detector_names())
def test_scores_and_metrics_are_those_of_the_processor(name, view, chunk, gpu):
    expected = build_detector(name).fit(view).score(chunk).double()
    found = build_detector(name).fit(moved_view(view, gpu)).score(moved(chunk, gpu)).double().cpu()
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    is_ood = torch.arange(len(expected)) % 3 == 0
    same = [detection_metrics(score.numpy(), is_ood.numpy()) for score in (found, expected)]
    for metric in ("auroc", "aupr", "fpr"):
        assert getattr(same[0], metric) == pytest.approx(getattr(same[1], metric), abs=POINTS)


@pytest.mark.parametrize("name", [name for name in detector_names() if detector_class(name).dense])
def test_pixels_too(name, view, chunk, gpu):
    def as_pixels(tensor):
        maps = tensor.reshape(2, 4, 6, *tensor.shape[1:])
        return maps.movedim(-1, 1).contiguous() if maps.ndim > 3 else maps

    pixels = map_fields(with_fields(chunk, features=None), as_pixels)
    expected = build_detector(name).fit(view).score(pixels).double()
    found = build_detector(name).fit(moved_view(view, gpu)).score(moved(pixels, gpu)).double().cpu()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
