"""The graph of model training, of each setting; a network is a namespace in it.

    manifest -> [extract_features] -> [<network>.features] -> train_networks -> <network>.model
    all models -> record_trainings -> trainings

Features are there for heads on a frozen backbone; networks that see the same share those of the first of them. Weights
of a file are read from `checkpoint`.
"""

from __future__ import annotations

from kedro.pipeline import Pipeline

from scaling_ood.pipelines.model_training.nodes import extract_features, record_trainings, train_networks
from scaling_ood.structure import Setting, setting_specs


def create_pipeline() -> Pipeline:
    """Model training of every setting."""
    return sum((_train(setting) for setting in setting_specs().values()), Pipeline([]))


def _train(setting: Setting) -> Pipeline:
    owners = setting.task.feature_owners(setting.spec)
    nodes = []
    for name, network in setting.spec.used_networks.items():
        inputs = {"manifest": "manifest", "network": f"params:networks.{name}"}
        if owners.get(name) == name:
            nodes.append(setting.node(extract_features, inputs, f"{name}.features", owner=name))
        if name in owners:
            inputs |= {"features": f"{owners[name]}.features"}
        if network.source.start == "checkpoint":
            inputs |= {"checkpoint": "checkpoint"}
        nodes.append(setting.node(train_networks, inputs, f"{name}.model", owner=name))
    models = {name: f"{name}.model" for name in setting.spec.used_networks}
    nodes.append(setting.node(record_trainings, {"benchmark": "params:benchmark", **models}, "trainings"))
    return Pipeline(nodes)
