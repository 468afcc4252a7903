"""Fixtures that several folders of tests share."""

from collections.abc import Callable, Iterator

import pytest

from helpers.bench import Bench, bench
from helpers.toys import registered


@pytest.fixture(scope="session")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    """One benchmark per setting, with every detector; each of its products is made when a test first asks for it."""
    made: dict[str, Bench] = {}

    def one(setting: str) -> Bench:
        if setting not in made:
            made[setting] = bench(setting, tmp_path_factory.mktemp(setting))
        return made[setting]

    return one


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    """Have the toys' networks in the registries."""
    with registered():
        yield
