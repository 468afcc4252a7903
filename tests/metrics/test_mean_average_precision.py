"""Average precision by hand, against loops over thresholds, and the classes that it is averaged over."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from scaling_ood.metrics import AVERAGING_RULES, average_precision, mean_average_precision

# Thresholds from the top: hit, miss, hit, hit, miss. Precision 1, 1/2, 2/3, 3/4, 3/5 at recall 1/3, 1/3, 2/3, 1, 1.
SCORE = [0.9, 0.8, 0.7, 0.6, 0.5]
PRESENT = [True, False, True, True, False]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # One third of recall each: 1, then 2/3, then 3/4.
        ("step", (1 + 2 / 3 + 3 / 4) / 3),
        # From (0, 1) to (1/3, 1), down to (1/3, 1/2), to (2/3, 2/3), to (1, 3/4).
        ("trapezoid", (1 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3),
        # Recalls 0 to 0.3 reach precision 1, the other seven 3/4.
        ("voc_2007", (4 * 1 + 7 * 3 / 4) / 11),
    ],
)
def test_each_rule_by_hand(rule: str, expected: float) -> None:
    assert average_precision(SCORE, PRESENT, rule) == pytest.approx(expected, rel=1e-12)


def by_thresholds(score: np.ndarray, present: np.ndarray) -> list[tuple[float, float]]:
    points = []
    for threshold in sorted(set(score.tolist()), reverse=True):
        called = score >= threshold
        points.append(((called & present).sum() / present.sum(), (called & present).sum() / called.sum()))
    return points


def reference(score: np.ndarray, present: np.ndarray, rule: str) -> float:
    points = by_thresholds(score, present)
    if rule == "voc_2007":
        total = sum(max(p for r, p in points if r >= tenth / 10 - 1e-9) for tenth in range(11))
        return total / 11
    area, before = 0.0, (0.0, 1.0)
    for recall, precision in points:
        height = precision if rule == "step" else (precision + before[1]) / 2
        area += (recall - before[0]) * height
        before = (recall, precision)
    return area


@pytest.mark.parametrize("rule", AVERAGING_RULES)
@pytest.mark.parametrize("levels", [3, 1000])
def test_random_and_tied_scores_equal_a_loop_over_thresholds(rule: str, levels: int) -> None:
    for seed in range(30):
        random = np.random.default_rng([seed, levels])
        score, present = random.integers(0, levels, 40).astype(float), random.random(40) < 0.3
        present[0] = True
        assert average_precision(score, present, rule) == pytest.approx(reference(score, present, rule), rel=1e-12)


@pytest.mark.parametrize("images", range(1, 41))
def test_a_recall_that_is_a_tenth_reaches_its_level_whatever_the_rounding(images: int) -> None:
    """All hits come first and only the last one is called late: every level but the last has precision 1."""
    score = np.r_[np.arange(images, 0, -1), np.zeros(images)]
    present = np.r_[np.ones(images, bool), np.zeros(images, bool)]
    score[images - 1] = -1
    reached = sum(10 * (images - 1) >= level * images for level in range(11)) if images > 1 else 0
    expected = (reached + (11 - reached) / 2) / 11
    assert average_precision(score, present, "voc_2007") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rule", AVERAGING_RULES)
def test_a_perfect_ranking_is_1(rule: str) -> None:
    assert average_precision([3.0, 2.0, -1.0], [True, True, False], rule) == 1.0


def test_the_mean_is_over_the_classes_with_an_image_and_equals_scikit_learns_macro_of_these() -> None:
    random = np.random.default_rng(0)
    scores, present = random.normal(size=(50, 6)), random.random((50, 6)) < 0.2
    present[:, [1, 4]] = False
    found = mean_average_precision(scores, present)
    kept = [0, 2, 3, 5]
    assert found.mean == pytest.approx(average_precision_score(present[:, kept], scores[:, kept], average="macro"))
    assert found.classes == 4
    assert np.isnan(found.per_class).tolist() == [False, True, False, False, True, False]
    assert found.per_class[2] == average_precision(scores[:, 2], present[:, 2])


def test_the_mean_is_not_weighted_by_how_many_images_show_a_class() -> None:
    scores = np.array([[4.0, 1.0], [3.0, 2.0], [2.0, 3.0], [1.0, 4.0]])
    present = np.array([[1, 1], [1, 0], [1, 0], [0, 0]])
    assert mean_average_precision(scores, present).mean == pytest.approx((1 + 1 / 4) / 2)


@pytest.mark.parametrize(
    ("scores", "present", "message"),
    [
        ([[1.0]], [[1, 0]], r"must both be \(N, C\), got \(1, 1\) and \(1, 2\)"),
        ([1.0], [1], r"must both be \(N, C\)"),
        ([[1.0, 2.0]], [[1, -1]], r"must be 0 or 1, got also \[-1\]"),
        ([[np.nan, 2.0], [1.0, 1.0]], [[1, 0], [0, 1]], "of 1 of 2 images are not finite"),
        ([[1.0, 2.0]], [[0, 0]], "no image shows any class"),
    ],
)
def test_what_has_no_average_precision_is_refused(scores: list, present: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_average_precision(scores, present)


def test_a_class_without_an_image_and_an_unknown_rule_are_refused() -> None:
    with pytest.raises(ValueError, match="no image shows the class"):
        average_precision([1.0], [False])
    with pytest.raises(ValueError, match="must be 'step' or 'trapezoid' or 'voc_2007', not 'macro'"):
        average_precision([1.0], [True], "macro")
