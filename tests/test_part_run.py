"""What one of several processes runs: plans whose inputs are there, and nothing else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from scaling_ood import part_run, structure
from scaling_ood.datasets import RecordedDataset, ShardsDataset
from scaling_ood.engines import Split
from scaling_ood.part_run import PartRunner
from scaling_ood.products.keys import keyed
from scaling_ood.products.plans import Part, Plan, divided
from scaling_ood.products.scores import Quality
from scaling_ood.products.staleness import Graph

QUALITY, FIRST, SECOND, LAST = "s.quality", "s.first.outputs", "s.second.outputs", "s.last.outputs"
JUDGED = "s.judged"


def numbers(missing: Sequence[Part]) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    for part in missing:
        yield part.name, {"x": torch.ones(part.items)}


@keyed()
def measure() -> Quality:
    return Quality("top1", 0.5)


@keyed()
def extract(quality: Quality) -> Plan[Any]:
    return Plan([Part(f"part-{number}", 2) for number in range(4)], numbers)


@keyed()
def extend(outputs: Any) -> Plan[Any]:
    return Plan([Part("whole", 8)], numbers)


@divided()
def judge(outputs: Any) -> Plan[Any]:
    def again(make: Any, parts: Sequence[Part]) -> Plan[Any]:
        return Plan(parts, numbers, then=lambda *_: Quality("top1", 0.25))

    return Plan([Part("one", 1), Part("two", 1)], numbers, next_round=again)


PIPELINE = Pipeline(
    [
        Node(measure.bind(), {}, QUALITY, name="measure"),
        Node(extract.bind(), {"quality": QUALITY}, FIRST, name="first"),
        Node(extract.bind(), {"quality": QUALITY}, SECOND, name="second"),
        Node(extend.bind(), {"outputs": FIRST}, LAST, name="last"),
    ]
)


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataCatalog:
    """Products in a folder, of the second of two processes."""
    monkeypatch.setattr(structure, "_bound", {"parameters": {"runtime": {"part": "2/2"}}})
    producers = {name: (node.func.origin_of, node._inputs) for node in PIPELINE.nodes for name in node.outputs}  # type: ignore[attr-defined]
    found = DataCatalog(
        {
            QUALITY: RecordedDataset(filepath=str(tmp_path / QUALITY)),
            **{name: ShardsDataset(filepath=str(tmp_path / name)) for name in (FIRST, SECOND, LAST)},
        }
    )

    def peek(name: str) -> Any:
        return found[name].peek() if found[name].exists() else None  # type: ignore[attr-defined]

    monkeypatch.setattr(part_run, "graph_of", lambda _: Graph(producers, peek))
    return found


def as_process(catalog: DataCatalog, number: int, graph: Pipeline = PIPELINE, *more: str) -> str:
    """Run as one of two processes; what is told."""
    for name in (FIRST, SECOND, LAST, *more):
        catalog[name].engine = Split(number, 2)  # type: ignore[attr-defined]
    runner = PartRunner()
    runner.run(graph, catalog)
    return runner.told


def test_a_process_makes_its_share_of_every_plan_that_can_be_made(catalog: DataCatalog) -> None:
    catalog[QUALITY].save(measure())
    assert as_process(catalog, 2) == (
        f"Part 2/2 is made of {FIRST} (2 of 4 parts are there), {SECOND} (2 of 4 parts are there); the others are left "
        "to other processes. When they are done: kedro run"
    )
    assert not catalog[LAST].exists()


def test_what_is_complete_is_left_and_what_waited_is_made(catalog: DataCatalog) -> None:
    catalog[QUALITY].save(measure())
    as_process(catalog, 2)
    assert as_process(catalog, 1).endswith("(4 of 4 parts are there). To go on: kedro run")
    assert as_process(catalog, 1) == f"Part 2/2 is made of {LAST} (1 of 1 parts are there). To go on: kedro run"
    assert as_process(catalog, 1) == "Part 2/2: all parts are there already. To go on: kedro run"


def test_a_product_that_comes_of_parts_is_left_to_the_run_that_collects(catalog: DataCatalog) -> None:
    catalog[QUALITY].save(measure())
    for number in (1, 2):
        as_process(catalog, number)
    catalog[JUDGED] = RecordedDataset(filepath=f"{catalog[QUALITY]._describe()['filepath']}-judged")
    graph = Pipeline([Node(judge.bind(), {"outputs": FIRST}, JUDGED, name="judge")])
    told = [as_process(catalog, number, graph, JUDGED) for number in (1, 2, 1, 2, 1)]
    head = f"Part 2/2 is made of {JUDGED}"
    left, once_more = "the others are left to other processes. When they are done", "the same for all parts once more"
    assert told == [
        f"{head} (1 of 2 parts are there); {left}: {once_more}, for {JUDGED}; or kedro run",
        f"{head} (2 of 2 parts are there). To go on: {once_more}, for {JUDGED}; or kedro run",
        f"{head} (1 of 2 parts are there); {left}: kedro run",
        f"{head} (2 of 2 parts are there). To go on: kedro run",
        f"{head} (2 of 2 parts are there). To go on: kedro run",
    ]
    assert not catalog[JUDGED].exists()
    catalog[JUDGED].engine = Split(1, 1)  # type: ignore[attr-defined]
    (node,) = graph.nodes
    catalog[JUDGED].save(node.func(outputs=catalog[FIRST].load()))
    assert catalog[JUDGED].load().value == 0.25


def test_what_one_process_makes_alone_is_named_with_its_command(catalog: DataCatalog) -> None:
    with pytest.raises(click.ClickException) as refused:
        as_process(catalog, 2)
    assert refused.value.message == (
        f"Part 2/2 makes nothing yet: what is made by parts here needs {QUALITY}, which one process makes alone: "
        f"kedro run --to-outputs {QUALITY}"
    )
    assert not catalog[QUALITY].exists()


def test_without_a_part_everything_runs(catalog: DataCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "_bound", {"parameters": {}})
    runner = PartRunner()
    runner.run(PIPELINE, catalog)
    assert catalog[LAST].exists()
    assert runner.told == ""
