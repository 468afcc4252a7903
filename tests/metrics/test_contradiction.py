"""Test labels that contradict the network are told; what chance or harder images explain is not."""

import pytest

from scaling_ood.metrics.contradiction import contradiction


@pytest.mark.parametrize(
    ("test", "held_out", "images", "warned"),
    [
        (0.006, 0.327, None, True),
        (0.163, 0.327, None, True),
        (0.164, 0.327, None, False),
        (0.9, 0.3, None, False),
        (0.0, 0.0, None, False),
        (0.1, 0.9, (400, 100), True),
        (0.0, 0.3, (4, 10), False),
        (0.0, 0.3, (400, 1000), True),
        (0.0, 0.0, (4, 10), False),
    ],
)
def test_under_half_and_beyond_chance_is_a_contradiction(test, held_out, images, warned):
    assert bool(contradiction("top-1 accuracy", test, held_out, "the fit images", images)) == warned


def test_both_numbers_are_told():
    told = contradiction("mIoU", 0.006, 0.327, "the validation scenes")
    assert "mIoU 0.6% on test, 32.7% on the validation scenes, which is more than twice as much" in told
