"""Single precision keeps the ranks: metrics of every detector's scores are those of its formula in float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax, xlogy

from scaling_ood.detectors import (
    LinearHead,
    NotApplicableError,
    Outputs,
    OutputsList,
    build_detector,
    detector_class,
    detector_names,
    products,
)
from scaling_ood.metrics import detection_metrics

CLASSES, WIDTH, FIT, TESTS = 200, 96, 2000, 1500
LEAST = 1e-5  # 0.001 points

# Each gives the logits' and the features' offset and spread.
HARD = {
    "plain": (0.0, 1.0, 0.0, 1.0),
    "large offsets": (1e4, 1.0, 100.0, 1.0),
    "tiny variances": (0.0, 1e-3, 1.0, 1e-3),
    "nearly saturated": (0.0, 12.0, 0.0, 1.0),
}


def data(offset, spread, features_offset, features_spread):
    """Fit and test outputs in single precision, as they are stored; the second half of the tests is OOD."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    centres, mixing = normal(CLASSES, WIDTH).relu(), normal(WIDTH, WIDTH) / WIDTH**0.5
    weight = centres - 0.9 * centres.mean(dim=0)

    def outputs(classes, strength):
        raw = (strength[:, None] * centres[classes] + 0.5 * normal(len(classes), WIDTH) @ mixing).relu()
        logits = offset + spread * (raw @ weight.T / 4)
        return Outputs(logits.float(), (features_offset + features_spread * raw).float())

    fit = outputs(torch.arange(FIT) % CLASSES, torch.ones(FIT, dtype=torch.float64))
    strength = torch.ones(2 * TESTS, dtype=torch.float64)
    strength[TESTS:] = 0.85  # nearly tied with the others
    tests = outputs(torch.randint(CLASSES, (2 * TESTS,), generator=generator), strength)
    targets = torch.arange(FIT) % CLASSES
    targets[::9] = (targets[::9] + 1) % CLASSES
    head = LinearHead((weight / 4).float(), normal(CLASSES).float() / 10)
    groups = torch.arange(CLASSES) // 8
    names = ["background", *map(str, range(1, CLASSES))]
    return OutputsList([fit], groups, targets, head, names), tests


def wide(tensor):
    return tensor.double().numpy()


def rest(logits):
    """Mass of the other classes over the top one's."""
    ordered = np.sort(logits, axis=1)
    return logsumexp(ordered[:, :-1] - ordered[:, -1:], axis=1)


def msp(view, logits, features, detector):
    return rest(logits)


def grouped_msp(view, logits, features, detector):
    groups = wide(view.class_groups)
    return rest(np.stack([logsumexp(logits[:, groups == g], axis=1) for g in range(int(groups.max()) + 1)], axis=1))


def gen(view, logits, features, detector):
    ordered = np.sort(logits, axis=1)[:, ::-1]
    total = logsumexp(ordered, axis=1, keepdims=True)
    others = logsumexp(ordered[:, 1:], axis=1, keepdims=True) - total
    log_p = ordered - total
    log_rest = np.concatenate([others, np.log1p(-np.exp(log_p[:, 1:]))], axis=1)
    return np.exp(detector.gamma * (log_p + log_rest))[:, : detector.top].sum(axis=1)


def kl_matching(view, logits, features, detector):
    fit = softmax(wide(view[0].logits), axis=1)
    predicted = fit.argmax(axis=1)
    templates = np.stack([fit[predicted == k].mean(axis=0) for k in np.unique(predicted)])
    posterior = softmax(logits, axis=1)
    return (xlogy(posterior, posterior).sum(axis=1)[:, None] - posterior @ np.log(templates).T).min(axis=1)


def mahalanobis(view, logits, features, detector):
    fit, targets = wide(view[0].features), wide(view.targets)
    means = np.stack([fit[targets == k].mean(axis=0) for k in np.unique(targets)])
    residual = fit - means[np.searchsorted(np.unique(targets), targets)]
    values, vectors = np.linalg.eigh(residual.T @ residual / len(fit))
    shrinkage = detector.diagnostics()["shrinkage"]
    whitening = vectors / np.sqrt((1 - shrinkage) * values + shrinkage * values.mean())
    return np.min([(((features - mean) @ whitening) ** 2).sum(axis=1) for mean in means], axis=0)


def knn(view, logits, features, detector):
    fit, tests = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (wide(view[0].features), features))
    return np.array([np.sort(((fit - row) ** 2).sum(axis=1))[detector.neighbours - 1] for row in tests])


def vim(view, logits, features, detector):
    fit, (weight, bias) = wide(view[0].features), map(wide, view.head)
    origin = -np.linalg.pinv(weight) @ bias
    residual = np.linalg.eigh((fit - origin).T @ (fit - origin))[1][:, : WIDTH - WIDTH // 2]
    lengths = np.linalg.norm((fit - origin) @ residual, axis=1)
    scale = wide(view[0].logits).max(axis=1).mean() / lengths.mean()
    return scale * np.linalg.norm((features - origin) @ residual, axis=1) - logsumexp(logits, axis=1)


def react(view, logits, features, detector):
    weight, bias = map(wide, view.head)
    clipped = np.minimum(features, np.percentile(wide(view[0].features), 90))
    return -logsumexp(clipped @ weight.T + bias, axis=1)


def ash(view, logits, features, detector):
    weight, bias = map(wide, view.head)
    kept = np.argsort(-features, axis=1, kind="stable")[:, : WIDTH - round(0.9 * WIDTH)]
    largest = np.take_along_axis(features, kept, axis=1)
    grown = largest * np.exp(features.sum(axis=1) / largest.sum(axis=1))[:, None]
    shaped = np.zeros_like(features)
    np.put_along_axis(shaped, kept, grown, axis=1)
    return -logsumexp(shaped @ weight.T + bias, axis=1)


def temperature_scaling(view, logits, features, detector):
    return rest(logits / detector.temperature)


REFERENCES: dict[str, Callable[..., np.ndarray]] = {
    "ash": ash,
    "background": lambda view, logits, features, detector: logits[:, 0] - logsumexp(logits[:, 1:], axis=1),
    "energy": lambda view, logits, features, detector: -logsumexp(logits, axis=1),
    "gen": gen,
    "grouped_msp": grouped_msp,
    "joint_energy": lambda view, logits, features, detector: -np.logaddexp(logits, 0).sum(axis=1),
    "kl_matching": kl_matching,
    "knn": knn,
    "logit_avg": lambda view, logits, features, detector: -logits.mean(axis=1),
    "mahalanobis": mahalanobis,
    "max_logit": lambda view, logits, features, detector: -logits.max(axis=1),
    "msp": msp,
    "react": react,
    "temperature_scaling": temperature_scaling,
    "vim": vim,
}

POST_HOC = [name for name in detector_names() if detector_class(name).needs <= {"logits", "features"}]
ELSEWHERE = {"isolation_forest", "local_outlier_factor"}
"""scikit-learn's, which decides by itself in what it computes."""


@pytest.fixture(scope="module", params=HARD)
def hard(request):
    return data(*HARD[request.param])


def metrics(scores):
    return np.array(detection_metrics(np.asarray(scores, dtype=np.float64), np.arange(2 * TESTS) >= TESTS))


@pytest.fixture(autouse=True)
def _as_if_wide(monkeypatch):
    """What is in single precision of many features alone is so of these too."""
    monkeypatch.setattr(products, "_WIDE", 2)


@pytest.mark.parametrize("name", sorted({*POST_HOC} - ELSEWHERE))
def test_metrics_are_those_of_float64(name, hard):
    view, tests = hard
    try:
        detector = build_detector(name).fit(view)
    except NotApplicableError as reason:
        pytest.skip(str(reason))
    expected = REFERENCES[name](view, wide(tests.logits), wide(tests.features), detector)
    found = detector.score(tests)
    assert len(np.unique(expected)) > TESTS
    assert np.abs(metrics(found) - metrics(expected)).max() < LEAST


@pytest.mark.parametrize(("name", "options"), [("mahalanobis", {"shrinkage": 0}), ("vim", {})])
def test_variances_that_do_not_stand_out_are_learnt_in_float64(name, options):
    """Half of the directions vary a ten-thousandth as much, and OOD images differ in these."""
    view, tests = data(*HARD["plain"])
    generator = torch.Generator().manual_seed(1)
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64))[0]
    turn[: WIDTH // 2] *= 1e-4

    def squeezed(outputs, ood=1.0):
        noise = torch.randn(len(outputs), WIDTH, generator=generator, dtype=torch.float64)
        noise[TESTS:] *= ood
        return Outputs(outputs.logits, (noise @ turn).float())

    assert view.head is not None
    head = LinearHead(view.head.weight, torch.zeros(CLASSES))
    fit, tests = OutputsList([squeezed(view[0])], None, view.targets, head), squeezed(tests, 1.2)
    detector = build_detector(name, **options).fit(fit)
    expected = REFERENCES[name](fit, wide(tests.logits), wide(tests.features), detector)
    assert np.abs(metrics(detector.score(tests)) - metrics(expected)).max() < LEAST
