"""Confidence branch: the score. Its losses, coins and budget are tested beside the training."""

import torch

from scaling_ood.detectors import Outputs, build_detector


def score(confidence):
    return build_detector("confidence_branch").score(Outputs(torch.zeros(len(confidence), 2), confidence=confidence))


def test_ranks_as_doubt_does_and_does_not_saturate():
    confidence = torch.linspace(-4, 4, 200, dtype=torch.float64)
    doubt = 1 - confidence.sigmoid()
    torch.testing.assert_close(score(confidence), (doubt / (1 - doubt)).log())
    sure = torch.linspace(20, 300, 200)
    assert len((1 - sure.sigmoid()).unique()) == 1
    assert (score(sure).diff() < 0).all()
    assert (score(-sure).diff() > 0).all()
