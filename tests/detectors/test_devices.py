"""A detector works on the device where its chunks are: it makes no tensor that does not say where."""

import pytest
import torch
from torch.overrides import TorchFunctionMode

from scaling_ood.detectors import build_detector, detector_class, detector_names

FACTORIES = {
    *(torch.empty, torch.zeros, torch.ones, torch.full, torch.arange, torch.eye, torch.tensor, torch.as_tensor),
    *(torch.scalar_tensor, torch.linspace, torch.rand, torch.randn, torch.randperm),
}


class Placed(TorchFunctionMode):
    """Refuses tensors that are made without a device, which would be on the processor wherever the others are."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Look at what makes a tensor, and do it."""
        kwargs = kwargs or {}
        if func in FACTORIES and kwargs.get("device") is None:
            raise AssertionError(f"torch.{func.__name__} makes a tensor, and does not say where")
        return func(*args, **kwargs)


def test_a_tensor_without_a_place_is_found():
    with pytest.raises(AssertionError, match="does not say where"), Placed():
        torch.arange(3)
    with pytest.raises(AssertionError, match="does not say where"), Placed():
        torch.tensor([1.0])


@pytest.mark.parametrize("name", [name for name in detector_names() if not detector_class(name).on_processor])
def test_no_tensor_is_made_without_a_place(name, view, chunk, monkeypatch):
    detector = build_detector(name)
    # What is quicker on a processor alone is not looked for on other devices.
    monkeypatch.setattr("scaling_ood.detectors.nearest._multiplies_integers", lambda device: False)
    with Placed():
        scores = detector.fit(view).score(chunk)
    assert scores.device == chunk.device


def test_only_scikit_learns_detectors_stay_on_the_processor():
    assert {name for name in detector_names() if detector_class(name).on_processor} == {
        "isolation_forest",
        "local_outlier_factor",
    }
