"""Isolation forest and local outlier factor: scikit-learn, what they read, seeds, too few images, known weaknesses."""

import re

import numpy as np
import pytest
import torch
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from scaling_ood.detectors import (
    MissingOutputError,
    NotApplicableError,
    Outputs,
    OutputsList,
    build_detector,
    detector_class,
)

ESTIMATORS = {
    "isolation_forest": lambda: IsolationForest(random_state=0),
    "local_outlier_factor": lambda: LocalOutlierFactor(n_neighbors=20, novelty=True),
}

both = pytest.mark.parametrize("name", ESTIMATORS)


@both
@pytest.mark.parametrize("on", ["features", "logits"])
def test_equals_scikit_learn(name, on, view, chunk):
    rows = np.concatenate([getattr(part, on) for part in view])
    expected = -ESTIMATORS[name]().fit(rows).score_samples(getattr(chunk, on).numpy())
    actual = build_detector(name, on=on).fit(view).score(chunk)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@both
def test_the_option_says_what_is_needed(name, view, chunk):
    assert detector_class(name).needs == {"features"}
    detector = build_detector(name, on="logits")
    assert detector.needs == {"logits"}
    assert detector_class(name).needs == build_detector(name).needs == {"features"}
    lean = OutputsList(Outputs(part.logits) for part in view)
    scores = detector.fit(lean).score(Outputs(chunk.logits))
    assert torch.equal(scores, build_detector(name, on="logits").fit(view).score(chunk))
    with pytest.raises(MissingOutputError, match=rf"detector '{name}' reads 'features', .*\(they have: logits\)"):
        build_detector(name).fit(lean)


def test_another_seed_is_another_forest(view, chunk):
    first, again, other = (build_detector("isolation_forest", seed=seed).fit(view).score(chunk) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@both
def test_the_global_generator_is_left_alone(name, view):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    build_detector(name).fit(view)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(("name", "fewest"), [("isolation_forest", 2), ("local_outlier_factor", 21)])
def test_too_few_images_are_a_named_gap(name, fewest):
    rows = torch.randn(fewest, 4, generator=torch.Generator().manual_seed(0))
    for short in ([], [Outputs(rows[:-1], rows[:-1])]):
        images = sum(map(len, short))
        with pytest.raises(NotApplicableError, match=rf"too few fit images \({images}; at least {fewest}\)"):
            build_detector(name).fit(OutputsList(short))
    assert build_detector(name).fit(OutputsList([Outputs(rows, rows)])).score(Outputs(rows, rows)).isfinite().all()


def test_other_neighbours_and_trees_are_used(view, chunk):
    for name, options in (("local_outlier_factor", {"neighbours": 3}), ("isolation_forest", {"trees": 7})):
        default, changed = (build_detector(name, **given).fit(view).score(chunk) for given in ({}, options))
        assert not torch.equal(default, changed)


def test_a_forest_calls_the_empty_middle_normal(classifier, view):
    """Its cuts are parallel to the axes; values under 50 % AUROC on real features are no mistake of sign."""
    forest, factor = (build_detector(name).fit(view) for name in ESTIMATORS)
    middle = classifier.outputs(torch.zeros(1, classifier.weight.shape[1], dtype=torch.float64))
    assert forest.score(middle) < forest.score(classifier.centres()).min()
    assert forest.score(classifier.foreign()) > forest.score(middle)
    assert factor.score(classifier.foreign()) > 1.5


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("isolation_forest", {"on": "pixels"}, "on must be 'features' or 'logits', not 'pixels'"),
        ("isolation_forest", {"trees": 0}, "trees must be an integer of at least 1, not 0"),
        ("isolation_forest", {"seed": None}, "seed must be an integer of at least 0, not None"),
        ("local_outlier_factor", {"neighbours": 0}, "neighbours must be an integer of at least 1, not 0"),
        ("local_outlier_factor", {"neighbours": 2.5}, "neighbours must be an integer of at least 1, not 2.5"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_detector(name, **options)


@both
def test_a_fit_says_what_it_is_about_to_do_and_how_long_it_took(name, view, caplog):
    images, width = (sum(map(len, view)), next(iter(view)).features.shape[1])
    with caplog.at_level("INFO", logger="scaling_ood"):
        build_detector(name).fit(view)
    begun, done = caplog.messages
    assert begun == f"{name}: fitting on {images:,} images x {width:,} features"
    assert re.fullmatch(rf"{name}: fitted in \d+\.\d s", done)
