"""Every keyed node of the three settings, with values for all that it is given; nothing is read or made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from environments import bound
from kedro.pipeline import Node
from toy_parameters import Parameters, change, changed

from scaling_ood import structure
from scaling_ood.pipeline_registry import whole_graph
from scaling_ood.products.keys import Origin
from scaling_ood.products.preparation import Manifest, Place, Preparation
from scaling_ood.products.scores import Measured, Quality, Scores
from scaling_ood.products.stored import ProvidedFile, StoredModel, StoredParts, StoredShards

Inputs = dict[str, Any]
UNKEYED = {"record_trainings"}
"""Its tracked runs are made anew where a network was trained."""

ROWS = pd.DataFrame({"id": [], "path": [], "image_set": [], "data_set": [], "height": [], "width": []})

TABLE = pd.DataFrame({"id": ["a", "b"], "reason": ["dark", "small"]})


def toy(*changes: Callable[[Parameters], None]) -> Parameters:
    """Parameters of every kind of node: renderings, curation, features, heads on outputs, weights from a file, maps."""
    lite0 = {"architecture": "efficientnet_lite0", "weights": "trained_head"}
    return changed(
        change("multi_class.networks.classifier", lite0),
        change("segmentation.networks.segmenter.weights", "checkpoint"),
        change("segmentation.networks.segmenter.seeds", [0]),
        change("segmentation.networks.autoencoder.weights", "trained"),
        change("segmentation.fabrication", {"seed": 0}),
        *changes,
    )


@dataclass(frozen=True)
class KeyedNode:
    """One node of the graph, and values for all that it is given."""

    node: Node
    setting: structure.Setting
    typed: Inputs

    @property
    def sources(self) -> dict[str, str]:
        """Argument to the name of what it is."""
        return dict(self.node._inputs)  # type: ignore[arg-type]

    def inputs(self) -> Inputs:
        """Argument to value."""
        return {argument: self.value(name) for argument, name in self.sources.items()}

    def value(self, name: str) -> Any:
        """Of a product or parameter."""
        if name.startswith("params:"):
            return self.typed.get(name.removeprefix("params:"), "toy")
        origin, kind = Origin(name), name.rsplit(".", 1)[-1]
        made: dict[str, Callable[[], Any]] = {
            "data_root": lambda: "/photographs",
            "manifest": lambda: manifest(self.setting),
            "curation": lambda: TABLE,
            "checkpoint": lambda: ProvidedFile("/weights.pth", "a" * 64),
            "fabricated_images": lambda: StoredParts(origin, {}, {}, Path("rendered")),
            "features": lambda: StoredShards(origin, {"seeds": [0]}, {}, Path("features")),
            "outputs": lambda: StoredShards(origin, {"seeds": [0]}, {}, Path("outputs")),
            "model": lambda: StoredModel(origin, {}, [], Path("model"), ""),
            "quality": lambda: Quality("top1", 0.5, origin=origin),
            "scores": lambda: Scores("msp", TABLE, origin=origin),
            "measured": lambda: Measured(TABLE, TABLE, origin=origin),
            "trainings": lambda: {"classifier": {"run_id": "run"}},
            "score_maps": lambda: StoredShards(origin, {}, {}, Path("maps")),
            **dict.fromkeys(("results", "metrics", "quarantine"), lambda: TABLE),
        }
        return made[kind]()

    def origin(self, **other: Any) -> Origin:
        """Of its products, with other values of some arguments."""
        origin: Origin = self.node.func.origin_of({**self.inputs(), **other})  # type: ignore[attr-defined]
        return origin

    def key(self, **other: Any) -> str:
        """The same, as a key."""
        return self.origin(**other).key


def manifest(setting: structure.Setting, **changes: Any) -> Manifest:
    """Of the setting's image sets, of which nothing but a digest is there."""
    data = setting.spec.data
    ood = tuple(getattr(data, "ood", ("whole",)))
    sets = dict.fromkeys(("train", "fit", "validation", "test", *ood))
    record = {
        "benchmark": "toy",
        "setting": setting.task.name,
        "in_dist": data.in_dist,  # type: ignore[attr-defined]
        "ood": ood,
        "places": {data.in_dist: Place(root="photographs", folder="x")},  # type: ignore[attr-defined]
        "classes": ("a", "b"),
        "sources": {},
        "images": dict.fromkeys(sets, 4),
        "digests": {name: f"digest of {name}" for name in sets},
    }
    return Manifest(ROWS, Preparation.model_validate(record | changes), {}, Origin("prepare_manifest"))


def keyed_nodes(parameters: Parameters) -> Iterator[KeyedNode]:
    """All of them."""
    with bound(parameters):
        settings, typed = structure.setting_specs(), structure.typed_parameters()
        for node in sorted(whole_graph().nodes, key=lambda each: each.name):
            if node.short_name not in UNKEYED:
                yield KeyedNode(node, settings[str(node.namespace).split(".")[0]], typed)
