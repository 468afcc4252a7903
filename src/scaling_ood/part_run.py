"""What one of several processes does: its share of every plan that can be made now, and nothing else."""

from __future__ import annotations

from typing import Any

import click
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

from scaling_ood import structure
from scaling_ood.datasets.planned import PlannedDataset
from scaling_ood.datasets.recorded import RecordedDataset
from scaling_ood.hooks import graph_of
from scaling_ood.wording import listed


class PartRunner(SequentialRunner):
    """Kedro's usual runner; where the parameters name a part, only nodes whose products are made by parts are run.

    What is not made by parts, such as a manifest or a training, is made by one process, so that no two write it.

    Attributes:
        told: What is there after a part has been made, in a sentence; empty after any other run.
    """

    def __init__(self) -> None:
        """As Kedro's."""
        super().__init__()
        self.told = ""

    def run(self, pipeline: Pipeline, catalog: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """As Kedro's.

        Raises:
            click.ClickException: No plan can be made yet; names what comes first.
        """
        part = structure.runtime().part
        if part is None:
            return dict(super().run(pipeline, catalog, *args, **options))
        nodes = plans_to_make(pipeline, catalog, part)
        made = dict(super().run(Pipeline(nodes), catalog, *args, **options)) if nodes else {}
        self.told = _what_is_there(catalog, part, [name for node in nodes for name in node.outputs])
        return made


def plans_to_make(pipeline: Pipeline, catalog: DataCatalog, part: str) -> list[Node]:
    """The nodes of products by parts that are not complete, and whose inputs are all there and not stale.

    Raises:
        click.ClickException: There are plans to make, but all of them wait; names what for, and its command.
    """
    graph = graph_of(catalog)

    def lacks(name: str) -> bool:
        return not name.startswith("params:") and bool(not catalog[name].exists() or graph.reasons(name))

    def by_parts(node: Node) -> bool:
        return getattr(node.func, "divides", False) or any(_is_planned(catalog, name) for name in node.outputs)

    waiting = [node for node in pipeline.nodes if by_parts(node) and any(map(lacks, node.outputs))]
    now = [node for node in waiting if not any(map(lacks, node.inputs))]

    def waits_too(name: str) -> bool:
        made_here = name in pipeline.all_outputs()
        return _is_planned(catalog, name) or (made_here and not {*waiting}.isdisjoint(pipeline.to_outputs(name).nodes))

    first = {name for node in waiting for name in node.inputs if lacks(name) and not waits_too(name)}
    if first and not now:
        raise click.ClickException(
            f"Part {part} makes nothing yet: what is made by parts here needs {listed(sorted(first), most=5)}, which "
            f"one process makes alone: kedro run --to-outputs {','.join(sorted(first))}"
        )
    return now


def _is_planned(catalog: DataCatalog, name: str) -> bool:
    return isinstance(catalog.get(name), PlannedDataset)


def _what_is_there(catalog: DataCatalog, part: str, names: list[str]) -> str:
    found = [(name, catalog.get(name)) for name in names]
    progress = {name: each.progress() for name, each in found if isinstance(each, PlannedDataset | RecordedDataset)}
    progress = {name: each for name, each in progress.items() if each[1]}
    if not progress:
        return f"Part {part}: all parts are there already. To go on: kedro run"
    least = sorted(progress.items(), key=lambda each: each[1][0] / each[1][1])
    counted = listed([f"{name} ({there} of {of} parts are there)" for name, (there, of, _) in least], most=5)
    left = any(there < of for there, of, _ in progress.values())
    told = "; the others are left to other processes. When they are done" if left else ". To go on"
    again = [name for name, (_, _, further) in progress.items() if further]
    once_more = f" the same for all parts once more, for {listed(again, most=5)}; or" if again else ""
    return f"Part {part} is made of {counted}{told}:{once_more} kedro run"
