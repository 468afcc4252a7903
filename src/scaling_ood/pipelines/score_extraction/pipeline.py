"""The graph of score extraction.

    model, manifest -> plan_outputs -> outputs -> check_accuracy -> accuracy
    outputs, accuracy -> <detector>.fit_and_score -> <detector>.scores          once per detector

The forward pass is the setting's; a detector's namespace only reads what it left.
"""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from scaling_ood.parameters import SettingSpec
from scaling_ood.pipelines.score_extraction import nodes
from scaling_ood.structure import detectors_of, setting_specs

_SHARED = ["outputs", "accuracy", "manifest", "preparation"]
_PARAMETERS = ["params:model", "params:extraction", "params:detectors", "params:identity"]


def create_pipeline() -> Pipeline:
    """Score extraction of every setting."""
    return sum((_setting(name, spec) for name, spec in setting_specs().items()), Pipeline([]))


def _setting(name: str, spec: SettingSpec) -> Pipeline:
    forward = [
        Node(
            nodes.plan_outputs,
            [
                "model",
                "manifest",
                "preparation",
                "params:model",
                "params:extraction",
                "params:detectors",
                "params:runtime",
                "params:identity",
            ],
            "outputs",
            name="extract_outputs",
        ),
        Node(
            nodes.check_accuracy,
            ["outputs", "manifest", "preparation", "params:model", "params:identity"],
            "accuracy",
            name="check_accuracy",
        ),
    ]
    detectors = sum((_detector(detector) for detector in detectors_of(spec)), Pipeline([]))
    return Pipeline([Pipeline(forward), detectors], namespace=name, parameters={"params:runtime"}, tags=name)


def _detector(name: str) -> Pipeline:
    score = update_wrapper(partial(nodes.fit_and_score, detector=name), nodes.fit_and_score)
    node = Node(score, [*_SHARED, *_PARAMETERS, "params:options"], "scores", name="fit_and_score")
    return Pipeline(
        [node],
        namespace=name,
        inputs=set(_SHARED),
        parameters={**{p: p for p in _PARAMETERS}, "params:options": f"params:detectors.{name}"},
    )
