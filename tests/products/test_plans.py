"""Plans: what long work consists of, and makers that another process can be given."""

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from toy_graph import KeyedNode, keyed_nodes, toy

from scaling_ood.products.keys import NOT_MADE, Origin
from scaling_ood.products.plans import Part, Plan, TrainingPlan


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


def test_what_is_told_of_a_product_is_no_part_of_its_key() -> None:
    parts = [Part("a", 1)]
    plans = [Plan(parts, lambda _: iter(()), {"device": device}, Origin("x")) for device in ("cpu", "cuda")]
    trainings = [TrainingPlan(3, lambda _: iter(()), {"device": device}, Origin("x")) for device in ("cpu", "cuda")]
    assert {plan.key for plan in [*plans, *trainings]} == {Origin("x").key}
    assert Plan(parts, lambda _: iter(())).origin is NOT_MADE
