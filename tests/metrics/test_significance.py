"""DeLong against the quadratic textbook formula, the bootstrap against a plain loop."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from scaling_ood.metrics import (
    NonFiniteScoreError,
    OneClassError,
    TooFewImagesError,
    bootstrap_replicates,
    delong_covariance,
    detection_estimates,
    detection_metrics,
    mean_over_scenes,
    tied_estimates,
    tied_with_best,
)

METRICS = ["auroc", "aupr", "fpr"]


def textbook_delong(scores, is_ood):
    """Compare all pairs of images, as in DeLong et al. (1988), equations 3 to 6."""
    ood, in_dist = scores[:, is_ood], scores[:, ~is_ood]
    n_ood, n_in = ood.shape[1], in_dist.shape[1]
    kernel = np.array(
        [
            [[1.0 if x > y else 0.5 if x == y else 0.0 for y in in_row] for x in ood_row]
            for ood_row, in_row in zip(ood, in_dist, strict=True)
        ]
    )
    of_ood, of_in = kernel.mean(axis=2), kernel.mean(axis=1)
    covariance = np.atleast_2d(np.cov(of_ood)) / n_ood + np.atleast_2d(np.cov(of_in)) / n_in
    return kernel.mean(axis=(1, 2)), covariance


def looped_bootstrap(scores, is_ood, metric, *, n_replicates, seed, fpr_rule="nearest"):
    """Resample the scores themselves and call the metric on each sample."""
    rng = np.random.default_rng(seed)
    ood, in_dist = scores[:, is_ood], scores[:, ~is_ood]
    replicates = []
    for _ in range(n_replicates):
        of_in = rng.integers(in_dist.shape[1], size=in_dist.shape[1])
        of_ood = rng.integers(ood.shape[1], size=ood.shape[1])
        drawn = np.concatenate([in_dist[:, of_in], ood[:, of_ood]], axis=1)
        label = np.arange(drawn.shape[1]) >= in_dist.shape[1]
        if metric == "auroc":
            replicates.append([roc_auc_score(label, row) for row in drawn])
        elif metric == "aupr":
            replicates.append([average_precision_score(label, row) for row in drawn])
        elif fpr_rule == "first":
            curves = [roc_curve(label, row, drop_intermediate=False) for row in drawn]
            replicates.append([fpr[np.argmax(tpr >= 0.95)] for fpr, tpr, _ in curves])
        else:
            replicates.append([detection_metrics(row, label).fpr for row in drawn])
    return np.array(replicates).T


def make_scores(n_in, n_ood, shifts, *, seed, decimals=1, noise=0.5):
    """Detectors that share what makes an image hard, rounded so that scores tie."""
    rng = np.random.default_rng(seed)
    is_ood = rng.permutation(np.arange(n_in + n_ood) >= n_in)
    common = rng.normal(size=n_in + n_ood)
    own = noise * rng.normal(size=(len(shifts), n_in + n_ood))
    return np.round(common + own + np.array(shifts)[:, None] * is_ood, decimals), is_ood


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize(("n_in", "n_ood"), [(2, 2), (40, 7), (7, 40), (60, 50)])
@pytest.mark.parametrize("shifts", [(1.0,), (0.5, 1.0, 2.0)])
def test_delong_equals_the_textbook(n_in, n_ood, shifts, decimals):
    """With and without ties, one detector or several."""
    scores, is_ood = make_scores(n_in, n_ood, shifts, seed=n_in, decimals=decimals)
    auroc, covariance = delong_covariance(scores, is_ood)
    expected_auroc, expected_covariance = textbook_delong(scores, is_ood)
    np.testing.assert_allclose(auroc, expected_auroc, rtol=0, atol=1e-12)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=0, atol=1e-12)


def test_delong_auroc_is_the_reported_auroc():
    """The test and the table speak of the same number."""
    scores, is_ood = make_scores(500, 80, (0.5, 1.0), seed=1)
    expected = [detection_metrics(row, is_ood).auroc for row in scores]
    np.testing.assert_allclose(delong_covariance(scores, is_ood)[0], expected, atol=1e-12)


def test_delong_standard_error_agrees_with_the_bootstrap():
    """Two ways to the same uncertainty."""
    scores, is_ood = make_scores(400, 200, (0.8,), seed=2)
    error = np.sqrt(delong_covariance(scores, is_ood)[1][0, 0])
    assert bootstrap_replicates(scores, is_ood, "auroc").std() == pytest.approx(error, rel=0.1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n_in", "n_ood", "decimals"), [(60, 12, 0), (60, 12, 9), (9, 30, 1), (30, 1, 1)])
def test_bootstrap_equals_the_plain_loop(metric, n_in, n_ood, decimals):
    """Reweighting sorted images gives the metric of the resampled scores, ties and vanished images included."""
    scores, is_ood = make_scores(n_in, n_ood, (0.5, 1.5), seed=3, decimals=decimals)
    replicates = bootstrap_replicates(scores, is_ood, metric, n_replicates=60, seed=4)
    np.testing.assert_allclose(
        replicates, looped_bootstrap(scores, is_ood, metric, n_replicates=60, seed=4), rtol=0, atol=1e-12
    )


def test_bootstrap_follows_the_fpr_rule():
    """The other rule is passed on."""
    scores, is_ood = make_scores(60, 10, (0.5, 1.5), seed=5)
    replicates = bootstrap_replicates(scores, is_ood, "fpr", n_replicates=60, seed=6, fpr_rule="first")
    np.testing.assert_allclose(
        replicates, looped_bootstrap(scores, is_ood, "fpr", n_replicates=60, seed=6, fpr_rule="first"), atol=1e-12
    )


def test_bootstrap_draws_do_not_depend_on_the_detectors_or_the_block_size(monkeypatch):
    """Adding a detector, or memory, changes no number."""
    scores, is_ood = make_scores(60, 12, (0.5, 1.5, 1.0), seed=7)
    together = bootstrap_replicates(scores, is_ood, "aupr", n_replicates=25)
    monkeypatch.setattr("scaling_ood.metrics.significance._BLOCK", 300)
    np.testing.assert_array_equal(bootstrap_replicates(scores[1:2], is_ood, "aupr", n_replicates=25), together[1:2])


@pytest.mark.parametrize("metric", METRICS)
def test_a_clear_winner_stands_alone(metric):
    """A large difference on many images is no tie; the lowest FPR wins."""
    scores, is_ood = make_scores(800, 400, (0.5, 3.0, 0.6), seed=8)
    assert tied_with_best(scores, is_ood, metric).tolist() == [False, True, False]


@pytest.mark.parametrize(("detectors", "seeds"), [(2, 1), (17, 1), (4, 3)])
def test_equally_good_detectors_keep_their_marks_however_many_there_are(detectors, seeds):
    """In at most 5 % of the columns, and what 25 columns leave to chance, does any of them lose its mark."""
    rng, columns = np.random.default_rng(detectors), 25
    is_ood = np.arange(150) >= 100
    lost = np.zeros(3)
    for _ in range(columns):
        common, own = rng.normal(size=is_ood.size), rng.normal(size=(detectors, 1, is_ood.size))
        trained = 0.2 * rng.normal(size=(detectors, seeds, 1)) * (seeds > 1)
        scores = common + 0.7 * own + 0.7 * rng.normal(size=(detectors, seeds, is_ood.size)) + (1.5 + trained) * is_ood
        found = [[detection_estimates(row, is_ood) for row in by_seed] for by_seed in scores]
        for index, metric in enumerate(METRICS):
            rows = [[getattr(one, metric) for one in by_seed] for by_seed in found]
            lost[index] += not tied_estimates(rows, lower_is_better=metric == "fpr").all()
    assert (lost <= 4).all()  # 5 % or fewer exceed 4 of 25 with a chance of 1 %


@pytest.mark.parametrize("metric", METRICS)
def test_equally_good_scenes_keep_their_marks(metric):
    """Means over scenes, of skew values."""
    rng, columns = np.random.default_rng(0), 25
    lost = 0
    for _ in range(columns):
        quality = rng.normal(size=30) + rng.normal(size=(8, 30)) + 2
        means = [[mean_over_scenes(1 / (1 + np.exp(-row)))] for row in (-quality if metric == "fpr" else quality)]
        lost += not tied_estimates(means, lower_is_better=metric == "fpr").all()
    assert lost <= 4


@pytest.mark.parametrize("metric", METRICS)
def test_a_worse_one_of_many_loses_its_mark(metric):
    """Sixteen equal detectors do not hide a seventeenth that is worse by half a standard deviation."""
    rng = np.random.default_rng(1)
    is_ood = np.arange(6000) >= 5000
    shift = np.append(np.full(16, 1.5), 1.0)[:, None]
    scores = 2 * rng.normal(size=is_ood.size) / np.sqrt(5) + rng.normal(size=(17, is_ood.size)) / np.sqrt(5)
    tied = tied_with_best(scores + shift * is_ood, is_ood, metric)
    assert tied.tolist() == [True] * 16 + [False]


def test_seeds_that_disagree_are_no_proof():
    """A lead that changes sides from seed to seed is training; the same lead in every seed is not."""
    rng = np.random.default_rng(2)
    is_ood = np.arange(2500) >= 2000
    base = rng.normal(size=is_ood.size) + 0.1 * rng.normal(size=(3, 2, is_ood.size))
    leads = {"steady": [0.4, 0.4, 0.4], "wavering": [1.2, -0.6, 0.6]}
    tied = {}
    for name, lead in leads.items():
        shift = np.stack([[1.5 + one, 1.5] for one in lead])[:, :, None]
        tied[name] = tied_with_best(base + shift * is_ood, is_ood).tolist()
    assert tied == {"steady": [True, False], "wavering": [True, True]}
    alone = tied_with_best((base + np.array([[2.7, 1.5], [0.9, 1.5], [2.1, 1.5]])[:, :, None] * is_ood)[0], is_ood)
    assert alone.tolist() == [True, False]


def test_many_more_detectors_need_a_larger_difference():
    """A difference that tells two detectors apart is not enough where it is the largest of many."""
    scores, is_ood = make_scores(400, 100, (1.0, 0.75), seed=21, decimals=9, noise=1.0)
    rng = np.random.default_rng(3)
    others = scores.mean(axis=0) + rng.normal(size=(30, is_ood.size))
    assert tied_with_best(scores, is_ood).tolist() == [True, False]
    assert tied_with_best(np.vstack([scores, others]), is_ood)[1]


def test_pairing_sees_what_separate_intervals_hide():
    """A small but constant lead over a correlated detector counts, although each AUROC alone is uncertain."""
    scores, is_ood = make_scores(300, 100, (0.8, 0.9), seed=10, decimals=9, noise=0.05)
    auroc, covariance = delong_covariance(scores, is_ood)
    assert auroc[1] - auroc[0] < 1.96 * np.sqrt(covariance[0, 0])
    assert tied_with_best(scores, is_ood).tolist() == [False, True]


@pytest.mark.parametrize("metric", METRICS)
def test_same_ranking_ties_exactly(metric):
    """Identical detectors, and a monotone transform of one, have differences without variance, all 0."""
    scores, is_ood = make_scores(50, 20, (1.0,), seed=11)
    assert tied_with_best(np.vstack([scores, scores, np.exp(scores)]), is_ood, metric).all()


@pytest.mark.parametrize("metric", METRICS)
def test_zero_variance_with_a_difference_is_no_tie(metric):
    """Perfect, perfect on another scale, inverted and constant: nothing varies, and only equal values tie."""
    is_ood = np.arange(40) >= 30
    scores = np.stack([np.arange(40.0), is_ood * 1.0, -np.arange(40.0), np.zeros(40)])
    assert tied_with_best(scores, is_ood, metric).tolist() == [True, True, False, False]


def test_perfect_and_constant_detectors_have_no_variance():
    """Defined, though no proof of certainty."""
    is_ood = np.arange(10) >= 6
    auroc, covariance = delong_covariance(np.stack([np.arange(10.0), np.zeros(10)]), is_ood)
    assert auroc.tolist() == [1.0, 0.5]
    assert not covariance.any()


@pytest.mark.parametrize("metric", METRICS)
def test_a_lone_detector_is_the_best(metric):
    """One row is a comparison with itself."""
    scores, is_ood = make_scores(50, 20, (1.0,), seed=12)
    assert tied_with_best(scores, is_ood, metric).tolist() == [True]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n_in", "n_ood"), [(30, 1), (1, 30)])
def test_a_class_of_one_image_tells_nothing(metric, n_in, n_ood):
    """Every metric is refused, with counts."""
    scores, is_ood = make_scores(n_in, n_ood, (1.0, 2.0), seed=13)
    with pytest.raises(TooFewImagesError, match=f"at least 2 .* {n_in} in-distribution and {n_ood} OOD"):
        tied_with_best(scores, is_ood, metric)
    with pytest.raises(TooFewImagesError, match="at least 2"):
        delong_covariance(scores, is_ood)


def test_replicates_are_at_least_one():
    """A bootstrap of nothing has no quantile."""
    with pytest.raises(ValueError, match="n_replicates must be at least 1, got 0"):
        bootstrap_replicates(np.zeros((2, 6)), np.arange(6) < 3, "fpr", n_replicates=0)
    estimates = [[mean_over_scenes(np.array(values))] for values in ([0.1, 0.2], [0.3, 0.5])]
    with pytest.raises(ValueError, match="n_replicates must be at least 1, got 0"):
        tied_estimates(estimates, n_replicates=0)


@pytest.mark.parametrize(
    ("error", "message", "changes"),
    [
        (OneClassError, "6 in-distribution and 0 OOD", {"is_ood": np.zeros(6, bool)}),
        (NonFiniteScoreError, "1 of 6 scores of detector 1 are NaN", {"scores": [[1.0] * 6, [1.0] * 5 + [np.nan]]}),
        (ValueError, r"got \(6,\) and \(6,\)", {"scores": np.zeros(6)}),
        (ValueError, r"got \(0, 6\) and \(6,\)", {"scores": np.zeros((0, 6))}),
        (TypeError, "boolean", {"is_ood": np.arange(6)}),
        (TypeError, "real numbers", {"scores": np.zeros((2, 6), complex)}),
        (ValueError, "did you mean 'auroc'", {"metric": "auc"}),
        (ValueError, r"level must lie in \(0, 1\), got 5", {"level": 5}),
        (ValueError, "at least one seed", {"scores": np.zeros((0, 2, 6))}),
        (ValueError, "did you mean 'first'", {"metric": "fpr", "fpr_rule": "frist"}),
        (ValueError, r"recall must lie in \(0, 1\], got 95", {"metric": "fpr", "recall": 95}),
    ],
)
def test_wrong_arguments_are_named(error, message, changes):
    """Each message says what was given and what is allowed."""
    with pytest.raises(error, match=message):
        tied_with_best(**({"scores": np.zeros((2, 6)), "is_ood": np.arange(6) < 3} | changes))


@pytest.mark.parametrize("seeds", [1, 5])
def test_a_detector_at_the_far_end_loses_its_mark(seeds: int) -> None:
    """On the logit scale its standard error alone is as large as the difference (Hauck and Donner 1977)."""
    rng = np.random.default_rng(3)
    is_ood = np.arange(264) >= 64
    scores = np.stack(
        [
            np.stack([rng.normal(size=264) + shift * is_ood for shift in (2.2, 2.1, 1.9, -0.2, -0.8, -1.0)])
            for _ in range(seeds)
        ]
    )
    values = [detection_metrics(row, is_ood).fpr for row in scores[0]]
    assert values[0] < 0.6
    assert min(values[3:]) > 0.95
    assert not tied_with_best(scores, is_ood, "fpr")[3:].any()
