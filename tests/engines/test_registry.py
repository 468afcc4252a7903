"""The engines are those that the parameters may name."""

from typing import get_args

import pytest

from scaling_ood.engines import ENGINES, Local, Ray, Split, engine_of
from scaling_ood.parameters.common import RuntimeSpec


def test_every_engine_that_may_be_named_is_there() -> None:
    assert set(ENGINES) == set(get_args(RuntimeSpec.model_fields["engine"].annotation))


@pytest.mark.parametrize(
    ("given", "engine"),
    [
        ({}, Local()),
        ({"part": "3/16"}, Split(3, 16)),
        ({"engine": "split", "part": "1/2"}, Split(1, 2)),
        ({"engine": "split"}, Split(1, 1)),
        ({"engine": "ray", "address": "auto", "cores_each": 2, "device": "cpu"}, Ray("cpu", "auto", 2)),
    ],
)
def test_parameters_name_an_engine(given: dict[str, object], engine: object) -> None:
    assert engine_of(RuntimeSpec.model_validate(given)) == engine


@pytest.mark.parametrize("part", ["0/16", "17/16", "x", "3", "3/0", "-1/2", "1/2/3", "1.5/2", ""])
def test_a_part_that_no_process_can_be_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match=r"must be K/N, the K-th of N processes .*, such as 3/16"):
        RuntimeSpec(part=part)


@pytest.mark.parametrize("given", [{"part": "1/2", "engine": "ray"}, {"address": "auto"}, {"cores_each": 2}])
def test_what_belongs_to_another_engine_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"belongs to engine (split|ray) \(given: engine"):
        RuntimeSpec.model_validate(given)


@pytest.mark.parametrize("address", ["head", "ray://head:10001", "head:port", "local", ""])
def test_an_address_that_no_cluster_has_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be auto, or HOST:PORT"):
        RuntimeSpec(engine="ray", address=address)


@pytest.mark.parametrize("address", ["auto", "head:6379", "10.0.0.1:6379", "[::1]:6379"])
def test_an_address_of_a_cluster_is_taken(address: str) -> None:
    assert RuntimeSpec(engine="ray", address=address).address == address


def test_no_engine_changes_a_key() -> None:
    assert RuntimeSpec(part="3/16").what_matters() == RuntimeSpec(engine="ray", address="auto").what_matters() == {}
