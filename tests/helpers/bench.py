"""A toy benchmark in a folder, whose stages run as Kedro runs them."""

import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from helpers.toys import LIBRARY, TOYS, WRITERS, registered
from scaling_ood import structure
from scaling_ood.datasets import (
    CheckpointDataset,
    FabricatedImagesDataset,
    ProvidedFileDataset,
    RecordedDataset,
    ShardsDataset,
)
from scaling_ood.detectors import detector_names
from scaling_ood.parameters.setting import SettingSpec
from scaling_ood.pipeline_registry import whole_graph
from scaling_ood.products.plans import Plan
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.staleness import Graph
from scaling_ood.products.stored import StoredModel, StoredShards
from scaling_ood.tasks import Task

RUNTIME = {"device": "cpu", "batch_images": 7, "workers": 0, "channels_last": False}


class Kept(MemoryDataset):
    """Stays in the catalog after the run; what is planned as a whole is made."""

    def __init__(self, data: Any = None) -> None:
        """Hold a value as it is."""
        super().__init__(*(() if data is None else (data,)), copy_mode="assign")

    def save(self, data: Any) -> None:
        """Make what is planned."""
        super().save(data.whole() if isinstance(data, Plan) else data)

    def release(self) -> None:
        """Keep it."""


class Logged(Kept):
    """What a tracker gives back for the records of runs: their ids. `records` are what was saved."""

    def load(self) -> Any:
        """Name to the id of its run."""
        return {name: {"run_id": f"run of {record.name}"} for name, record in self.records.items()}

    @property
    def records(self) -> dict[str, Any]:
        """What was saved."""
        found: dict[str, Any] = super().load()
        return found


@contextmanager
def bound(parameters: Mapping[str, Any]) -> Iterator[None]:
    """Have these as the parameters of the running session, and the toys' networks in the registries."""
    before = dict(structure._bound)
    structure._bound.clear()
    structure._bound["parameters"] = parameters
    try:
        with registered():
            yield
    finally:
        structure._bound.clear()
        structure._bound.update(before)


@dataclass
class Bench:
    """One setting's benchmark.

    Attributes:
        setting: Its name.
        photographs: Folder of the photographs.
        products: Folder of all that is made.
        parameters: All of them, as merged YAML.
        task: The setting's code.
        spec: Its parameters, typed.
        graph: All stages.
        catalog: Where their products are.
    """

    setting: str
    photographs: Path
    products: Path
    parameters: dict[str, Any]
    task: Task = field(init=False)
    spec: SettingSpec = field(init=False)
    graph: Pipeline = field(init=False)
    catalog: DataCatalog = field(init=False)

    def __post_init__(self) -> None:
        """Read the parameters, and wire the graph."""
        with bound(self.parameters):
            self.task, self.spec = structure.setting_specs()[self.setting]
            self.graph = whole_graph()
            typed = {f"params:{name}": value for name, value in structure.typed_parameters().items()}
        given = {**typed, "params:benchmark": "toy", "data_root": str(self.photographs)}
        self.catalog = DataCatalog({name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()})
        for name in (self.graph.datasets() - given.keys()) | {self.full("checkpoint")}:
            self.catalog[name] = self._dataset(name)

    def _dataset(self, name: str) -> Any:
        place, kind = str(self.products / name), name.rsplit(".", 1)[1]
        roots = {"photographs": str(self.photographs), "fabricated": str(self.products / "rendered")}
        makers: dict[str, Callable[[], Any]] = {
            **dict.fromkeys(("features", "outputs", "scored", "score_maps"), lambda: ShardsDataset(filepath=place)),
            **dict.fromkeys(("quality", "scores", "measured"), lambda: RecordedDataset(filepath=place)),
            **dict.fromkeys(("trainings", "runs"), Logged),
            "manifest": lambda: RecordedDataset(filepath=place, roots=roots),
            "model": lambda: CheckpointDataset(filepath=place),
            "checkpoint": lambda: ProvidedFileDataset(filepath=f"{place}.pth"),
            "fabricated_images": lambda: FabricatedImagesDataset(filepath=roots["fabricated"]),
        }
        return makers.get(kind, Kept)()

    def full(self, name: str) -> str:
        """The name in the catalog of what the setting calls so."""
        return f"{self.setting}.{name}"

    def run(self, *products: str) -> "Bench":
        """Make products, and whatever they are made of; what is there already with the same key is kept."""
        wanted = [self.full(name) for name in products]
        self._make(self.graph.to_outputs(*wanted) if wanted else self.graph)
        return self

    def _make(self, graph: Pipeline) -> None:
        """Run a part of the graph; what is wrong is told as it is, and not as Kedro's trouble with saving it."""
        with bound(self.parameters):
            try:
                SequentialRunner().run(graph, self.catalog)
            except DatasetError as error:
                reason: BaseException = error
                while isinstance(reason, DatasetError) and reason.__cause__:
                    reason = reason.__cause__
                raise reason from None

    def load(self, name: str) -> Any:
        """A product, which is made if it is not there."""
        return self._value(self.full(name))

    def _value(self, name: str) -> Any:
        if needed := self._missing(name):
            self._make(Pipeline(needed))
        return self.catalog[name].load()

    def _missing(self, name: str) -> set[Node]:
        """Nodes that have to run for a product, where nothing is made again that is there."""
        if name.startswith("params:") or self.catalog[name].exists():
            return set()
        (node,) = (node for node in self.graph.nodes if name in node.outputs)
        return {node}.union(*(self._missing(given) for given in node.inputs))

    def records(self, name: str) -> dict[str, Any]:
        """The records of `runs` or `trainings`."""
        self.load(name)
        logged: Logged = self.catalog[self.full(name)]
        return logged.records

    def node(self, product: str) -> Node:
        """The node that makes a product."""
        (node,) = (node for node in self.graph.nodes if self.full(product) in node.outputs)
        return node

    def made(self, product: str) -> Any:
        """What the node of a product returns for what is there: for long work a plan, and nothing is made yet."""
        node = self.node(product)
        inputs: dict[str, str] = node._inputs  # type: ignore[assignment]
        given = {argument: self._value(name) for argument, name in inputs.items()}
        with bound(self.parameters):
            return node.func(**given)

    def same_elsewhere(self, product: str) -> bool:
        """Whether what another process is given makes the last part of a plan as it is stored, bit by bit."""
        plan, stored = self.made(product), self.load(product)
        ((name, tensors),) = pickle.loads(pickle.dumps(plan.make))(plan.parts[-1:])
        kept = stored.read(name)
        return tensors.keys() == kept.keys() and all(kept[field].equal(tensor) for field, tensor in tensors.items())

    def stale(self) -> set[str]:
        """Products whose own inputs have changed since they were made; not those that only follow from them."""
        producers = {
            name: (node.func.origin_of, node._inputs)  # type: ignore[attr-defined]
            for node in self.graph.nodes
            if hasattr(node.func, "origin_of")
            for name in node.outputs
        }

        def peek(name: str) -> Any:
            dataset = self.catalog[name]
            if not hasattr(dataset, "peek"):
                return dataset.load() if name.startswith("params:") else None
            return dataset.peek() if dataset.exists() else None

        with bound(self.parameters):
            graph = Graph(producers, peek)
            found = {name for name in producers if graph.reasons(name)}
            first = {name for name in found if not found & set(producers[name][1].values())}
        return {name.removeprefix(f"{self.setting}.") for name in first}

    # What tests look at

    @property
    def manifest(self) -> Manifest:
        """All images."""
        found: Manifest = self.load("manifest")
        return found

    @property
    def shared(self) -> str:
        """The network that all detectors read."""
        return self.spec.shared

    def outputs(self, network: str = "") -> StoredShards:
        """Of a network, by default the shared one."""
        found: StoredShards = self.load(f"{network or self.shared}.outputs")
        return found

    def model(self, network: str = "") -> StoredModel:
        """Of a network, by default the shared one."""
        found: StoredModel = self.load(f"{network or self.shared}.model")
        return found

    def output(self, image_set: str, field: str = "logits", network: str = "", seed: int = 0) -> torch.Tensor:
        """A field of all images of a set, (N, ...); whole images only."""
        outputs = self.outputs(network)
        shards = [name for name in outputs.parts if name.startswith(f"{image_set}-")]
        return torch.cat([outputs.read(name)[f"seed{seed}/{field}"] for name in shards])


def bench(setting: str, folder: Path, photographs: Path | None = None, **changes: Any) -> Bench:
    """A benchmark in an empty folder.

    Args:
        setting: Its name.
        folder: Of photographs and products.
        photographs: Where they are, if they are there already.
        changes: Dotted names with `__` for the dots, such as `networks__classifier__epochs=9`; `DELETE` removes.
    """
    own = photographs or folder / "photographs"
    if photographs is None:
        WRITERS[setting](own)
    return Bench(setting, own, folder / "products", changed(_whole(setting), setting, changes))


def variant(of: Bench, folder: Path, **changes: Any) -> Bench:
    """The same benchmark with other parameters; what is there of it is copied, and made anew where it is stale."""
    if of.products.is_dir():
        shutil.copytree(of.products, folder / "products", dirs_exist_ok=True)
    return Bench(of.setting, of.photographs, folder / "products", changed(of.parameters, of.setting, changes))


DELETE = object()


def changed(parameters: Mapping[str, Any], setting: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with some of the setting's replaced; `data_sets__` and `runtime__` begin at the top."""
    found = deepcopy(dict(parameters))
    for name, value in changes.items():
        steps = name.split("__")
        place = found if steps[0] in ("data_sets", "runtime") else found[setting]
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        if value is DELETE:
            del place[steps[-1]]
        else:
            place[steps[-1]] = value
    return found


def _whole(setting: str) -> dict[str, Any]:
    """The toy's parameters with every detector that there is."""
    own = deepcopy(TOYS[setting].parameters)
    own["detectors"] = {**{name: {} for name in detector_names()}, **own["detectors"]}
    return {"runtime": dict(RUNTIME), "data_sets": deepcopy(LIBRARY), "benchmark": "toy", setting: own}


def only(*detectors: str) -> dict[str, Any]:
    """Detectors with their defaults, and no others: a value for `detectors`."""
    return {name: {} for name in detectors}


def sets_of(stored: StoredShards) -> Sequence[str]:
    """Image sets of some shards."""
    return list(dict.fromkeys(name.rsplit("-", 1)[0] for name in stored.parts if name != "heads"))
