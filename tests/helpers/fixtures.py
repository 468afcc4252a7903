"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from helpers.bench import Bench


@pytest.fixture(scope="session")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    """One benchmark per setting, with every detector; each of its products is made when a test first asks for it."""
    from helpers.bench import bench  # tests of the library alone need not wait for Kedro

    made: dict[str, Bench] = {}

    def one(setting: str) -> Bench:
        if setting not in made:
            made[setting] = bench(setting, tmp_path_factory.mktemp(setting))
        return made[setting]

    return one


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    """Have the toys' networks in the registries."""
    from helpers.toys import registered

    with registered():
        yield
