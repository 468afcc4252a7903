"""From Python, without Kedro: all post-hoc detectors on outputs of your own, with table, intervals, marks and report.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> known, fit, odd = (rng.normal(size=(200, 10)) for _ in range(3))
>>> known[:, 0] += 8
>>> fit[:, 0] += 8
>>> found = evaluate_outputs(known, {"odd": odd}, fit=fit, detectors=["msp", "max_logit", "knn"])
>>> found.results.loc[found.results["ood_set"] == "mean", ["detector", "auroc"]].round(3).to_numpy().tolist()
[['msp', 1.0], ['max_logit', 1.0], ['knn', nan]]
>>> found.gaps
{'knn': 'not applicable: there are no features (there are: logits)'}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from scaling_ood.detectors import Need, build_detector, detector_names
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.outputs import OutputsDataSpec
from scaling_ood.products.keys import NOT_MADE
from scaling_ood.products.scores import Measured, Scores
from scaling_ood.products.stored import HeldShards, StoredModel
from scaling_ood.provided import Provided, ProvidedError, ProvidedSet, Rows, head_of, rows_of
from scaling_ood.report import results_text
from scaling_ood.tasks import tasks
from scaling_ood.tasks.own_outputs import plan_given, prepare_outputs
from scaling_ood.tasks.whole_images import WholeImages
from scaling_ood.wording import did_you_mean, refuse_unknown

Brought = ArrayLike | Mapping[str, Any]
"""Of one image set: logits (N, C), or named arrays, `logits` and perhaps `features`, `targets`, `ids`."""


@dataclass(frozen=True)
class Evaluation:
    """What the detectors found.

    Attributes:
        results: A row per detector, OOD set and positive class, with the columns of `results.csv`.
        metrics: The same without intervals and means.
        scores: Detector to a row per image: `id`, `image_set`, `score`, higher for what is more anomalous.
        gaps: Detector that has no meaning here to the reason.
        report: All of it as one HTML page.
    """

    results: pd.DataFrame
    metrics: pd.DataFrame
    scores: Mapping[str, pd.DataFrame]
    gaps: Mapping[str, str]
    report: str

    def __str__(self) -> str:
        """The table as text."""
        return results_text(self.results)

    def save(self, folder: str | Path) -> None:
        """Write `report.html`, `results.csv` and `results.txt` into a folder, which is made where it is missing."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / "report.html").write_text(self.report, encoding="utf-8")
        (place / "results.txt").write_text(str(self), encoding="utf-8")
        self.results.to_csv(place / "results.csv", index=False)


def evaluate_outputs(
    test: Brought,
    ood: Mapping[str, Brought],
    *,
    fit: Brought | None = None,
    head: Mapping[str, Any] | tuple[ArrayLike, ArrayLike] | None = None,
    class_names: Sequence[str] = (),
    detectors: Iterable[str] | Mapping[str, Mapping[str, Any]] | None = None,
    setting: str = "multi_class",
    least_quality: float | None = None,
    reporting: Mapping[str, Any] | None = None,
    name: str = "own_outputs",
) -> Evaluation:
    """Fit and measure detectors on outputs of your own network.

    Args:
        test: Of in-distribution images, none of which is in `fit`.
        ood: OOD set to its outputs.
        fit: Of further in-distribution images, which detectors are fitted on; those that learn are gaps without them.
        head: The last layer: weight (C, D) and bias (C,).
        class_names: C names.
        detectors: Names, or name to options; by default all that read logits and features alone.
        setting: `multi_class` (a softmax follows the logits) or `multi_label` (a sigmoid for each class).
        least_quality: Top-1 accuracy or mAP under which the network is wrong, a fraction; by default it must be better
            than chance, where targets tell.
        reporting: Fields of `scaling_ood.parameters.common.ReportingSpec`, such as `positive_class`.
        name: What tables call the benchmark, and its in-distribution images.

    Raises:
        ProvidedError: Anything that is wrong with the outputs, a line each.
        WrongNetworkError: The network is worse than `least_quality`, or no better than chance.
        ValueError: Unknown detectors, options or settings.
    """
    settings = {task.name: task for task in tasks() if isinstance(task, WholeImages)}
    if setting not in settings:
        raise ValueError(f"unknown setting '{setting}'{did_you_mean(setting, settings)}")
    task = settings[setting]
    provided = _provided({"test": test, "fit": fit, **ood}, head, class_names)
    spec = task.spec.model_validate(
        {
            "data": {"outputs": ".", "in_dist": name},
            "networks": {task.spec.shared: {"weights": "outputs", "least_quality": least_quality}},
            "detectors": _switches(detectors),
            "reporting": reporting or {},
        }
    )
    data, network = spec.data, spec.networks[spec.shared]
    assert isinstance(data, OutputsDataSpec)
    manifest, _ = prepare_outputs(provided, data, (task.name, name), {}, task.sigmoid, task.targets_of)
    model = StoredModel(NOT_MADE, task.about(network, manifest), [], Path(), "")
    sets = task.passed_sets(network, manifest.preparation)
    outputs = HeldShards.of(plan_given(model, manifest, sets, lambda: provided, spec.extraction, task.name))
    quality = task.check(network, outputs, manifest)
    here = RuntimeSpec()
    plans = {each: task.score(method, outputs, quality, manifest, here) for each, method in spec.methods.items()}
    scores: dict[str, Scores] = {each: plan.whole() for each, plan in plans.items()}
    measured: dict[str, Measured] = {
        each: task.measure(one, manifest, spec.reporting, here, None, None).whole() for each, one in scores.items()
    }
    rows = pd.concat([one.results for one in measured.values()], ignore_index=True)
    results = task.mark(rows, scores, measured, manifest, spec.reporting)
    metrics = pd.concat([one.metrics.assign(detector=each) for each, one in measured.items()], ignore_index=True)
    page, _ = task.report(
        spec.methods, results, metrics, manifest, spec.reporting, scores, {spec.shared: outputs}, quality, None
    )
    return Evaluation(results, metrics, _frames(scores), {k: one.gap for k, one in scores.items() if one.gap}, page)


def _provided(sets: Mapping[str, Brought | None], head: Any, class_names: Sequence[str]) -> Provided:
    problems, found = [], dict[str, ProvidedSet]()
    for name, given in sets.items():
        if given is None:
            continue
        try:
            fields = given if isinstance(given, Mapping) else {"logits": given}
            found[name] = ProvidedSet(name, [_held(rows_of(name, fields))])
        except ProvidedError as error:
            problems.append(str(error))
    if problems:
        raise ProvidedError("\n".join(problems))
    layer = None
    if head is not None:
        layer = head_of(head if isinstance(head, Mapping) else dict(zip(("weight", "bias"), head, strict=True)))
    return Provided(found, layer, tuple(class_names))


def _held(rows: Rows) -> Any:
    return lambda: rows


def _switches(detectors: Iterable[str] | Mapping[str, Mapping[str, Any]] | None) -> dict[str, Mapping[str, Any]]:
    if isinstance(detectors, Mapping):
        return dict(detectors)
    if detectors is not None:
        names = list(detectors)
        refuse_unknown("detector", names, detector_names())
        return {name: {} for name in names}
    built = {name: build_detector(name) for name in detector_names()}
    plain = {"logits", "features"}
    return {
        name: {}
        for name, each in built.items()
        if each.requires <= plain and not any(isinstance(need, Need) for need in each.needs)
    }


def _frames(scores: Mapping[str, Scores]) -> dict[str, pd.DataFrame]:
    return {name: one.frame[["id", "image_set", "score"]] for name, one in scores.items() if not one.gap}
