"""Checks before any work."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import click
import mlflow
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Node, Pipeline

from scaling_ood import storage, structure
from scaling_ood.datasets.checkpoints import CheckpointDataset
from scaling_ood.datasets.planned import PlannedDataset
from scaling_ood.datasets.recorded import RecordedDataset
from scaling_ood.downloads import BY_HAND, PAPER
from scaling_ood.engines import engine_of
from scaling_ood.locks import Locks
from scaling_ood.models.file_forms import CheckpointError, form_of
from scaling_ood.pipeline_registry import whole_graph
from scaling_ood.products.keys import Origin
from scaling_ood.products.staleness import Graph
from scaling_ood.report import in_encoding
from scaling_ood.tracking.underway import underway
from scaling_ood.wording import listed

_logger = logging.getLogger(__name__)

Producers = dict[str, tuple[Callable[[Mapping[str, Any]], Origin], Mapping[str, str]]]


class ProjectHooks:
    """Tells the graph which settings there are, and stops a run that cannot succeed before it starts."""

    def __init__(self) -> None:
        """Nothing is locked, nothing is prepared."""
        self.locks = Locks()
        self.unprepared: dict[str, Node] = {}

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Check all parameters at once, and bind them for the construction of the graph."""
        parameters = context.config_loader["parameters"]
        structure.bind(deepcopy(parameters))
        # Read once: whoever asks for them from now on in this session gets these.
        context.config_loader["parameters"] = parameters
        structure.setting_specs()

    @hook_impl
    def after_catalog_created(self, catalog: DataCatalog) -> None:
        """Hand over typed parameters, in place of what YAML said."""
        for name, value in structure.typed_parameters().items():
            place = f"params:{name}"
            if place in catalog:  # to replace it would be a warning each
                catalog[place].save(value)
            else:  # the YAML leaves all of it as by default
                catalog[place] = MemoryDataset(value)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """End with one message if any input is missing or stale: before any node, and before any tracked run.

        Raises:
            click.ClickException: Names everything that is wrong, and the command that mends each.
        """
        wrong = {
            "cannot be used": self._unreadable(pipeline, catalog),
            "are missing": [*self._missing_products(pipeline, catalog), *_missing_images(pipeline, catalog)],
            "are stale": self._stale(pipeline, catalog),
        }
        told = ["\n- ".join([f"Some inputs {how}; nothing was run.", *each]) for how, each in wrong.items() if each]
        if told:
            raise click.ClickException("\n".join(told))
        runtime = structure.runtime()
        for setting in structure.setting_specs():
            if any(name.startswith(f"{setting}.") for name in pipeline.all_outputs()):
                folder = storage.place(_place(catalog, f"{setting}.manifest")).parent
                self.locks.take(folder, setting, runtime.part)
        engine = engine_of(runtime)
        for name in pipeline.all_outputs():
            if isinstance(dataset := catalog.get(name), PlannedDataset | CheckpointDataset | RecordedDataset):
                dataset.engine = engine
        self.unprepared = {node.name: node for node in pipeline.nodes if f"{node.namespace}.manifest" in node.outputs}

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Remember what is prepared."""
        self.unprepared.pop(node.name, None)

    @hook_impl
    def on_node_error(self, error: Exception, node: Node, catalog: DataCatalog) -> None:
        """Say where it was, and tell what is wrong with the images of every setting at once.

        Raises:
            click.ClickException: In place of the error of the first setting, where another one has any too.
        """
        _logger.error("%s failed", node.name)
        if self.unprepared.pop(node.name, None) is None or not isinstance(error, ValueError | OSError):
            return
        told = {str(node.namespace): str(error)}
        for other in self.unprepared.values():
            if not all(catalog[name].exists() for name in other.inputs):
                continue  # its images are not rendered yet
            try:
                other.run({name: catalog.load(name) for name in other.inputs})
            except (ValueError, OSError) as problem:
                told[str(other.namespace)] = str(problem)
        if len(told) > 1:
            raise click.ClickException(
                "\n".join(f"{setting}: {problem}" for setting, problem in told.items())
            ) from error

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Print the results tables that were written, and where to look further."""
        self.locks.release()
        if structure.runtime().part:  # results are another process's matter
            return
        written = sorted(name for name in pipeline.outputs() if name.endswith(".report"))
        for name in written:
            files = catalog[name].load()
            summary = files["results.txt"].read_text(encoding="utf-8")
            click.echo(in_encoding(f"\n{summary}\n\nReport: {files['report.html']}", sys.stdout.encoding))
        if written and not underway.problem:
            click.echo(f"MLflow: {mlflow.get_tracking_uri()} (make ui)")

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Let other runs write."""
        self.locks.release()

    def _missing_products(self, pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
        return [
            f"{name} ({_place(catalog, name)}): {self._remedy(name, Path(_place(catalog, name)))}"
            for name in sorted(pipeline.inputs())
            if not name.startswith("params:") and name != "data_root" and not catalog[name].exists()
        ]

    def _stale(self, pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
        """What the run would read that the present parameters would make otherwise."""
        read = [name for name in sorted(pipeline.inputs()) if not name.startswith("params:")]
        graph = graph_of(catalog)
        by_reason: dict[tuple[str, ...], list[str]] = {}
        for name in read:
            if reasons := graph.reasons(name):
                by_reason.setdefault(reasons, []).append(name)
        if not by_reason:
            return []
        told = [f"{'; '.join(reasons)}. Stale: {listed(names, most=5)}" for reasons, names in by_reason.items()]
        every = ",".join(name for names in by_reason.values() for name in names)
        return [*told, f"Renew all of it: kedro run --to-outputs {every}"]

    def _unreadable(self, pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
        """Files of weights that are there, but that nothing can read."""
        return [
            f"{name} ({place}): {problem}"
            for name in sorted(pipeline.inputs())
            if name.endswith(".checkpoint") and os.path.exists(place := _place(catalog, name))
            if (problem := _why_unreadable(Path(place)))
        ]

    def _remedy(self, name: str, place: Path | None = None) -> str:
        if name.endswith(".checkpoint") and place is not None:
            told = "docs/data.md says what weights; name the file that holds them: --params checkpoint=FILE"
            here = [each.message(_root_of(place, each.name)) for each in BY_HAND if place.match(each.name)]
            return "\n".join([told, *here])
        return f"kedro run --to-outputs {name}"


def graph_of(catalog: DataCatalog) -> Graph:
    """All that can be made, and what is there of it."""
    return Graph(_producers(), partial(_peek, catalog))


def _producers() -> Producers:
    """Of every product of the whole graph, whatever part of it runs."""
    producers: Producers = {}
    for node in whole_graph().nodes:
        inputs = node._inputs
        if isinstance(inputs, dict) and hasattr(node.func, "origin_of"):
            for name in node.outputs:
                producers[name] = (node.func.origin_of, inputs)
    return producers


def _peek(catalog: DataCatalog, name: str) -> Any:
    """What is there under a name, without its content; None where nothing is, or nothing can be told of it."""
    if name.startswith("params:"):
        return catalog[name].load()
    try:
        dataset = catalog[name]
        return dataset.peek() if hasattr(dataset, "peek") and dataset.exists() else None
    except (OSError, RuntimeError, DatasetError):  # the node that reads it says more
        return None


def _missing_images(pipeline: Pipeline, catalog: DataCatalog) -> list[str]:
    """Folders of photographs that the run would read and that are not there."""
    if "data_root" not in pipeline.inputs():
        return []
    root = str(catalog["data_root"].load())
    held_by = storage.place(root)
    if held_by.is_file():
        return [f"data_root: {root} is a file; name the folder that holds the photographs: --params data_root=DIR"]
    wanted: dict[str, list[str]] = {}
    expected: dict[str, dict[str, None]] = {}
    for name, setting in structure.setting_specs().items():
        if f"{name}.manifest" not in pipeline.outputs() | pipeline.datasets():
            continue
        shapes = setting.spec.data.expected()
        for data_set, folder in setting.spec.data.photographs().items():
            where = storage.below(root, folder)
            wanted.setdefault(where, []).append(f"{name} {data_set}")
            known = expected.setdefault(where, {})
            if data_set in shapes:
                known[shapes[data_set]] = None
    missing = [
        "; ".join([f"no folder {folder}, for {', '.join(names)}", *expected[folder]])
        for folder, names in wanted.items()
        if not storage.place(folder).is_dir()
    ]
    if not missing:
        return []
    told = [message for place in wanted if not storage.place(place).is_dir() for message in _how_to_get(place, root)]
    held = sorted(place.name for place in held_by.iterdir() if place.is_dir()) if held_by.is_dir() else []
    there = f"data_root is {root}, and holds the folders {listed(held)}" if held else f"data_root is {root}"
    remedy = "get the photographs with `make samples`, or name the folder that holds them: --params data_root=DIR"
    return [*missing, *dict.fromkeys(told), there, f"docs/data.md says what is where; {remedy}"]


def _why_unreadable(path: Path) -> str:
    try:
        form_of(path)
    except CheckpointError as error:
        return str(error)
    except OSError as error:
        return f"it cannot be opened ({error.strerror})"
    return ""


def _root_of(place: Path, name: str) -> Path:
    """The folder that a place is below, by that name."""
    return place.parents[len(Path(name).parts) - 1]


def _how_to_get(place: str, root: str) -> list[str]:
    """From where, on what terms and how to lay out what a missing folder should hold; nothing for unknown sets."""
    below = os.path.relpath(place, root).replace(os.sep, "/").split("/")[0]
    terms = [source.terms for source in PAPER if source.name.split("/")[0] == below]
    fetched = [f"{below}: python -m scaling_ood.downloads paper --only {below}. Terms: {each}" for each in terms]
    return [*dict.fromkeys(fetched), *(each.message(storage.place(root)) for each in BY_HAND if each.name == below)]


def _place(catalog: DataCatalog, name: str) -> str:
    return str(catalog[name]._describe().get("filepath", "in memory"))
