"""MSP over groups: hand values, summed softmaxes of scipy, 60 digits, and its place beside MSP."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy.special import softmax

from scaling_ood.detectors import NotApplicableError, Outputs, build_detector


def score(make_view, logits, groups):
    groups = torch.tensor(groups)
    return build_detector("grouped_msp").fit(make_view(logits, groups)).score(Outputs(logits))


def test_hand_values(make_view):
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(2), math.log(5), math.log(3)]], dtype=torch.float64)
    # Group 0 holds the first and the last class: masses 2/3 and (2 + 3) / 10, as large as that of the middle one.
    expected = [-math.log(2 / 3), -math.log(1 / 2)]
    assert score(make_view, logits, [0, 1, 0]).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("groups", [[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], [2, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 2]])
def test_equals_sums_of_probabilities(make_view, chunk, groups):
    logits = chunk.logits.double()
    probabilities = softmax(logits.numpy(), axis=1)
    masses = np.stack([probabilities[:, np.equal(groups, g)].sum(axis=1) for g in range(max(groups) + 1)])
    np.testing.assert_allclose(score(make_view, logits, groups), -np.log(masses.max(axis=0)), rtol=1e-9, atol=1e-14)


def test_groups_of_one_class_give_msp(make_view, chunk):
    alone = score(make_view, chunk.logits, list(range(12)))
    torch.testing.assert_close(alone, build_detector("msp").score(chunk))


def test_one_group_is_always_certain(make_view, chunk):
    assert score(make_view, chunk.logits, [0] * 12).tolist() == [0.0] * 48


def test_a_family_never_has_less_mass_than_its_top_species(make_view, chunk):
    """The dispersal of Figure 3 is this difference of masses; it is never negative."""
    grouped = score(make_view, chunk.logits.double(), [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    assert (grouped <= build_detector("msp").score(Outputs(chunk.logits.double())) + 1e-12).all()


def test_hesitation_within_a_family_is_confidence(make_view):
    within, between = torch.tensor([[9.0, 9.0, 0.0, 0.0], [9.0, 0.0, 9.0, 0.0]])
    scores = score(make_view, torch.stack([within, between]), [0, 0, 1, 1])
    assert scores[0] < 0.001
    assert scores[1].item() == pytest.approx(math.log(2), abs=0.001)


def test_confident_images_do_not_tie(make_view):
    margins = torch.linspace(20, 80, 300, dtype=torch.float64)
    logits = torch.stack([margins, margins - 1, torch.zeros(300), torch.ones(300)], dim=1)
    with mpmath.workdps(60):
        exp = mpmath.exp
        exact = [float(mpmath.log1p((1 + exp(1)) / (exp(m) + exp(mpmath.mpf(m) - 1)))) for m in margins.tolist()]
    np.testing.assert_allclose(score(make_view, logits, [0, 0, 1, 1]), exact, rtol=1e-11)
    single = score(make_view, logits.float(), [0, 0, 1, 1])
    np.testing.assert_allclose(single, exact, rtol=1e-4)
    assert len(single.unique()) == 300


def test_classes_without_groups_are_a_gap(make_view, chunk):
    with pytest.raises(NotApplicableError, match=r"^the classes have no groups$"):
        build_detector("grouped_msp").fit(make_view(chunk.logits, None))
