"""The graph of model training; which of them it is, the model's `training` and `weights` say.

    head:     manifest -> plan_training_features -> training_features -> train_heads -> model
    network:  manifest -> train_networks -> model
    none:     preparation -> verify_published -> model, or checkpoint -> adopt_classifier -> model

    multi-label: as head or network, with the fit images to choose the best epoch on

    networks of single detectors (`networks`), of whole images, in their own namespaces:
              training_features -> train_confidence_heads -> confidence_branch.model
              manifest -> plan_turned_features -> rotation_network.turned_features
              both features -> train_rotation_heads -> rotation_network.model
              or, as whole networks, manifest -> train_confidence_networks -> confidence_branch.model
                                              -> train_rotation_networks -> rotation_network.model

    scenes:   manifest -> train_segmenter -> model, or checkpoint -> adopt_checkpoint -> model
              manifest -> train_confidence_branch | train_autoencoder -> <detector>.model

and in each: model -> record_training -> training_run.
"""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from scaling_ood.networks import AUTOENCODER, CONFIDENCE, ROTATION
from scaling_ood.parameters.multi_class import SettingSpec
from scaling_ood.parameters.multi_label import MultiLabelSpec
from scaling_ood.parameters.segmentation import SegmentationSpec
from scaling_ood.pipelines.model_training import label_nodes, network_nodes, nodes, scene_nodes
from scaling_ood.structure import image_settings, label_settings, own_networks, scene_settings

_IMAGES = ["manifest", "preparation", "params:model", "params:runtime"]


def create_pipeline() -> Pipeline:
    """Model training of every setting."""
    images = (_images(name, spec) for name, spec in image_settings().items())
    labels = (_labels(name, spec) for name, spec in label_settings().items())
    return sum((*images, *labels, *(_scenes(name, spec) for name, spec in scene_settings().items())), Pipeline([]))


def _images(name: str, spec: SettingSpec) -> Pipeline:
    none = Node(nodes.verify_published, ["preparation", "params:model"], "model", name="verify_published")
    if spec.model.weights == "checkpoint":
        provided = ["checkpoint", "preparation", "params:model"]
        none = Node(nodes.adopt_classifier, provided, "model", name="adopt_classifier")
    training = {
        "head": [
            Node(nodes.plan_training_features, _IMAGES, "training_features", name="extract_training_features"),
            Node(nodes.train_heads, ["training_features", *_IMAGES, "params:identity"], "model", name="train_heads"),
        ],
        "network": [Node(nodes.train_networks, _IMAGES, "model", name="train_networks")],
        "none": [none],
    }[spec.model.training]
    record = Node(
        nodes.record_training,
        ["model", "preparation", "params:model", "params:identity"],
        "training_run",
        name="record_training",
    )
    own = (_image_network(kind, spec.model.training) for kind in dict.fromkeys(own_networks(spec).values()))
    stage = Pipeline([Pipeline([*training, record]), *own])
    return Pipeline(stage, namespace=name, parameters=stage.inputs() & {"params:runtime"}, tags=name)


def _image_network(kind: str, training: str) -> Pipeline:
    settings = ["params:model", "params:networks"]
    from_manifest = ["manifest", "preparation", *settings, "params:runtime"]
    from_features = [*from_manifest, "params:identity"]
    turn = Node(network_nodes.plan_turned_features, _IMAGES, "turned_features", name="extract_turned_features")
    train = {
        (CONFIDENCE, "head"): [
            Node(
                network_nodes.train_confidence_heads, ["training_features", *from_features], "model", name="train_heads"
            )
        ],
        (CONFIDENCE, "network"): [
            Node(network_nodes.train_confidence_networks, from_manifest, "model", name="train_networks")
        ],
        (ROTATION, "head"): [
            turn,
            Node(
                network_nodes.train_rotation_heads,
                ["training_features", "turned_features", *from_features],
                "model",
                name="train_heads",
            ),
        ],
        (ROTATION, "network"): [
            Node(network_nodes.train_rotation_networks, from_manifest, "model", name="train_networks")
        ],
    }[kind, training]
    record = update_wrapper(partial(network_nodes.record_network, kind=kind), network_nodes.record_network)
    told = Node(record, ["model", "preparation", *settings, "params:identity"], "training_run", name="record_training")
    stage = Pipeline([*train, told])
    shared = {"manifest", "preparation", "training_features"} & stage.inputs()
    parameters = {p: p for p in (*settings, "params:runtime", "params:identity")}
    return Pipeline(stage, namespace=kind, inputs=shared, parameters=parameters)


def _labels(name: str, spec: MultiLabelSpec) -> Pipeline:
    training = {
        "head": [
            Node(label_nodes.plan_label_features, _IMAGES, "training_features", name="extract_training_features"),
            Node(
                label_nodes.train_label_heads,
                ["training_features", *_IMAGES, "params:identity"],
                "model",
                name="train_heads",
            ),
        ],
        "network": [Node(label_nodes.train_label_networks, _IMAGES, "model", name="train_networks")],
    }[spec.model.training]
    record = Node(
        label_nodes.record_label_training,
        ["model", "preparation", "params:model", "params:identity"],
        "training_run",
        name="record_training",
    )
    return Pipeline([*training, record], namespace=name, parameters={"params:runtime"}, tags=name)


def _scenes(name: str, spec: SegmentationSpec) -> Pipeline:
    train = Node(scene_nodes.train_segmenter, _IMAGES, "model", name="train_segmenter")
    adopt = Node(
        scene_nodes.adopt_checkpoint,
        ["checkpoint", "preparation", "params:model"],
        "model",
        name="adopt_checkpoint",
    )
    stage = [
        train if spec.model.training == "network" else adopt,
        Node(
            scene_nodes.record_segmenter,
            ["model", "preparation", "params:model", "params:identity"],
            "training_run",
            name="record_training",
        ),
    ]
    own = [_own_network(detector, kind) for detector, kind in own_networks(spec).items()]
    stage_and_own = Pipeline([Pipeline(stage), *own])
    parameters = stage_and_own.inputs() & {"params:runtime"}
    return Pipeline(stage_and_own, namespace=name, parameters=parameters, tags=name)


def _own_network(detector: str, kind: str) -> Pipeline:
    record = update_wrapper(
        partial(scene_nodes.record_network, kind=kind, detector=detector), scene_nodes.record_network
    )
    train = {CONFIDENCE: scene_nodes.train_confidence_branch, AUTOENCODER: scene_nodes.train_autoencoder}[kind]
    settings = ["params:model", "params:networks"]
    stage = [
        Node(train, ["manifest", "preparation", *settings, "params:runtime"], "model", name=train.__name__),
        Node(record, ["model", "preparation", *settings, "params:identity"], "training_run", name="record_training"),
    ]
    parameters = {p: p for p in (*settings, "params:runtime", "params:identity")}
    return Pipeline(stage, namespace=detector, inputs={"manifest", "preparation"}, parameters=parameters)
