"""Plans: what long work consists of, and makers that another process can be given."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from toy_graph import KeyedNode, keyed_nodes, toy

from scaling_ood.products.keys import NOT_MADE, Origin
from scaling_ood.products.plans import Part, Plan, TrainingPlan, planned


@dataclass(frozen=True)
class Told:
    """What counts in no key, and is told."""

    word: str

    def tells(self) -> str:
        return self.word


def planning() -> Iterator[KeyedNode]:
    """One node for each setting and function that returns a plan without reading anything."""
    seen = set()
    for each in keyed_nodes(toy()):
        kind = (each.setting.task.name, each.node.short_name, "features" in each.sources)
        if each.node.short_name in ("fabricate_images", "extract_features", "extract_outputs") and kind not in seen:
            seen.add(kind)
            yield each


@pytest.mark.parametrize("node", planning(), ids=lambda each: each.node.name)
def test_another_process_can_be_given_the_maker_of_every_plan(node: KeyedNode) -> None:
    (plan,) = node.node.run(named(node)).values()
    assert isinstance(plan, Plan)
    assert plan.origin == node.origin()
    assert plan.parts
    assert len({part.name for part in plan.parts}) == len(plan.parts)
    sent = pickle.loads(pickle.dumps((plan.make, plan.parts)))
    assert sent[1] == plan.parts
    assert type(sent[0]) is type(plan.make)


def named(node: KeyedNode) -> dict[str, Any]:
    return {name: node.value(name) for name in node.sources.values()}


@planned(silent=["silent"])
def make_table(told: Told, silent: Told, **others: Told) -> list[str]:
    """A product."""
    return [told.word, silent.word, *others]


def test_a_planned_node_does_nothing_before_its_product_is_asked_for() -> None:
    given = {"told": Told("cpu"), "silent": Told("x")}
    plan = make_table.bind()(**given)
    assert [(part.name, part.items) for part in plan.parts] == [("make_table", 1)]
    assert plan.whole() == make_table(**given) == ["cpu", "x"]
    sent = pickle.loads(pickle.dumps(plan))
    assert sent.origin == plan.origin
    assert sent.whole() == plan.whole()


@planned(products=2, unless=lambda given: given["told"].word == "unknown")
def make_two(told: Told, made: list[str]) -> tuple[str, str]:
    """Two products."""
    made.append(told.word)
    return f"{told.word} 1", f"{told.word} 2"


def test_products_that_are_made_together_are_made_once_and_only_where_one_is_asked_for() -> None:
    made: list[str] = []
    first, second = make_two.bind()(told=Told("cpu"), made=made)
    assert made == []
    assert first.origin == second.origin == make_two.origin({"told": Told("cpu"), "made": made})
    assert (second.whole(), first.whole()) == ("cpu 2", "cpu 1")
    assert made == ["cpu"]


def test_what_cannot_be_known_before_it_is_made_is_made_at_once() -> None:
    made: list[str] = []
    assert make_two.bind()(told=Told("unknown"), made=made) == ("unknown 1", "unknown 2")
    assert made == ["unknown"]


def test_what_is_told_is_beside_the_key_and_the_order_of_others_counts() -> None:
    given = {"told": Told("cpu"), "silent": Told("x"), "a": Told("a"), "b": Told("b")}
    origin = make_table.origin(given)
    cuda, silent = (make_table.origin(given | {name: Told("cuda")}) for name in ("told", "silent"))
    turned = make_table.origin({name: given[name] for name in ("told", "silent", "b", "a")})
    assert {each.key for each in (cuda, silent, turned)} == {origin.key}
    assert [each.told == origin.told for each in (cuda, silent, turned)] == [False, True, False]
    assert make_table.origin(dict(sorted(given.items(), reverse=True, key=lambda item: item[0] < "c"))) == origin


def test_what_is_told_of_a_product_is_no_part_of_its_key() -> None:
    parts = [Part("a", 1)]
    plans = [Plan(parts, lambda _: iter(()), {"device": device}, Origin("x")) for device in ("cpu", "cuda")]
    trainings = [TrainingPlan(3, lambda _: iter(()), {"device": device}, Origin("x")) for device in ("cpu", "cuda")]
    assert {plan.key for plan in [*plans, *trainings]} == {Origin("x").key}
    assert Plan(parts, lambda _: iter(())).origin is NOT_MADE
