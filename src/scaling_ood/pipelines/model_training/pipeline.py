"""The graph of model training; which of the three it is, the model's `training` says.

    head:     manifest -> plan_training_features -> training_features -> train_heads -> model
    network:  manifest -> train_networks -> model
    none:     preparation -> verify_published -> model

and in each: model -> record_training -> training_run.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.parameters import SettingSpec
from scaling_ood.pipelines.model_training import nodes
from scaling_ood.structure import setting_specs

_IMAGES = ["manifest", "preparation", "params:model", "params:runtime"]


def create_pipeline() -> Pipeline:
    """Model training of every setting."""
    return sum((_setting(name, spec) for name, spec in setting_specs().items()), Pipeline([]))


def _setting(name: str, spec: SettingSpec) -> Pipeline:
    training = {
        "head": [
            Node(nodes.plan_training_features, _IMAGES, "training_features", name="extract_training_features"),
            Node(nodes.train_heads, ["training_features", *_IMAGES, "params:identity"], "model", name="train_heads"),
        ],
        "network": [Node(nodes.train_networks, _IMAGES, "model", name="train_networks")],
        "none": [Node(nodes.verify_published, ["preparation", "params:model"], "model", name="verify_published")],
    }[spec.model.training]
    record = Node(
        nodes.record_training,
        ["model", "preparation", "params:model", "params:identity"],
        "training_run",
        name="record_training",
    )
    stage = Pipeline([*training, record])
    return Pipeline(stage, namespace=name, parameters=stage.inputs() & {"params:runtime"}, tags=name)
