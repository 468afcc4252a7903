"""Autoencoder: the score is the stored loss, also of a network without classes."""

import pytest
import torch

from scaling_ood.detectors import MissingOutputError, Outputs, build_detector


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_the_score_is_the_loss_and_no_classes_are_needed(shape):
    error = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    outputs = Outputs(reconstruction_error=error)
    assert len(outputs) == 3
    assert torch.equal(build_detector("autoencoder").score(outputs), error)


def test_outputs_of_another_network_are_an_error():
    message = r"^detector 'autoencoder' reads 'reconstruction_error', which these outputs lack \(they have: logits\)$"
    with pytest.raises(MissingOutputError, match=message):
        build_detector("autoencoder").score(Outputs(torch.zeros(3, 2)))
