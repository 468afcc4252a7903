"""Products that come of parts in rounds: the same whoever makes the parts, and nothing of these is left."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from kedro.io import DatasetError
from object_store import Bucket

from scaling_ood.datasets import RecordedDataset
from scaling_ood.datasets.rounds import FOLDER
from scaling_ood.engines import Engine, Local, Split
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Make, Part, Plan
from scaling_ood.products.scores import Measured
from scaling_ood.products.stored import Tensors

ALL = Split(1, 1)
"""The engine of the process that collects."""


class KilledError(BaseException):
    """In place of a signal."""


@dataclass
class Numbers:
    """First round: the numbers of each part. Says what it made; dies, as a process does, before it makes one."""

    dies_at: str = ""
    made: list[str] = field(default_factory=list)

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        for part in missing:
            if part.name == self.dies_at:
                raise KilledError
            self.made.append(part.name)
            yield part.name, {"x": torch.arange(part.items) * float(part.name[-1])}


@dataclass
class Above(Numbers):
    """Second round: how many numbers of each part are above the mean of all, which the first round has."""

    first: Numbers = field(default_factory=Numbers)
    make: Any = None
    parts: Sequence[Part] = ()

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        numbers = {name: tensors["x"] for name, tensors in self.make(self.parts)}
        mean = torch.cat([*numbers.values()]).mean()
        for name, _ in super().__call__(missing):
            yield name, {"above": (numbers[name] > mean).sum()[None]}


@dataclass
class Counting:
    """A plan of two rounds, and what its makers did."""

    first: Numbers = field(default_factory=Numbers)
    second: Above = field(default_factory=Above)
    wrong: str = ""

    def plan(self, key: str = "key") -> Plan[Tensors]:
        return Plan([Part(f"n/{k}", 3 + k) for k in range(7)], self.first, {}, Origin(key), next_round=self._again)

    def _again(self, make: Make[Tensors], parts: Sequence[Part]) -> Plan[Tensors]:
        self.second.make, self.second.parts = make, parts
        return Plan(parts, self.second, then=self._product)

    def _product(self, make: Make[Tensors], parts: Sequence[Part]) -> Measured:
        if self.wrong:
            raise ValueError(self.wrong)
        counts = [int(tensors["above"]) for _, tensors in make(parts)]
        return Measured(pd.DataFrame({"above": counts}), pd.DataFrame({"all": [sum(counts)]}))


def expected() -> list[int]:
    """Without any of this."""
    rows = [[i * float(k) for i in range(3 + k)] for k in range(7)]
    mean = sum(map(sum, rows)) / sum(map(len, rows))
    return [sum(x > mean for x in row) for row in rows]


def dataset(folder: Path, engine: Engine) -> RecordedDataset:
    found = RecordedDataset(filepath=str(folder / "product"))
    found.engine = engine
    return found


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder / "product").as_posix() for path in (folder / "product").rglob("*.*")}


def whole(folder: Path) -> list[int]:
    """What is stored of the product, which must be all that there is."""
    product = dataset(folder, ALL).load()
    assert files(folder) == {"record.json", "results.parquet", "metrics.parquet"}
    assert product.origin == Origin("key")
    assert product.metrics["all"].tolist() == [sum(expected())]
    found: list[int] = product.results["above"].tolist()
    return found


@pytest.mark.parametrize("engine", [Local(), ALL])
def test_the_product_is_that_of_one_process_and_its_parts_are_gone(tmp_path: Path, engine: Engine) -> None:
    given = Counting()
    dataset(tmp_path, engine).save(given.plan())
    assert whole(tmp_path) == expected() == given.plan().whole().results["above"].tolist()


def test_one_process_alone_stores_no_part(tmp_path: Path) -> None:
    given = Counting(second=Above(dies_at="n/3"))
    with pytest.raises(KilledError):
        dataset(tmp_path, Local()).save(given.plan())
    assert not (tmp_path / "product").exists()


def test_one_process_alone_may_make_the_same_in_fewer_parts(tmp_path: Path) -> None:
    def product(_: Make[Tensors], parts: Sequence[Part]) -> Measured:
        return Measured(pd.DataFrame({"part": [part.name for part in parts]}), pd.DataFrame())

    for engine, asked in ((Local(), ["all"]), (ALL, ["n/0", "n/1"])):
        parts = [Part("n/0", 1), Part("n/1", 1)]
        plan = Plan(parts, Numbers(), {}, Origin(str(asked)), product, at_once=[Part("all", 2)])
        own = dataset(tmp_path, engine)
        own.save(plan)
        assert own.load().results["part"].tolist() == asked


def test_each_process_makes_its_share_of_the_first_round_that_is_not_complete(tmp_path: Path) -> None:
    made: dict[tuple[int, int], tuple[list[str], list[str]]] = {}
    told = []
    for turn in (1, 2, 3):
        for number in (1, 2, 3):
            given, own = Counting(), dataset(tmp_path, Split(number, 3))
            own.save(given.plan())
            made[turn, number] = given.first.made, given.second.made
            told.append(own.progress())
    shares = {1: ["n/0", "n/3", "n/6"], 2: ["n/1", "n/4"], 3: ["n/2", "n/5"]}
    assert made == {
        **{(1, number): (share, []) for number, share in shares.items()},
        **{(2, number): ([], share) for number, share in shares.items()},
        **{(3, number): ([], []) for number in shares},
    }
    assert told == [
        *((there, 7, True) for there in (3, 5, 7)),
        *((there, 7, False) for there in (3, 5, 7)),
        *[(7, 7, False)] * 3,
    ]
    assert not dataset(tmp_path, ALL).exists()
    collecting = Counting()
    dataset(tmp_path, ALL).save(collecting.plan())
    assert (collecting.first.made, collecting.second.made) == ([], [])
    assert whole(tmp_path) == expected()


def test_the_process_that_collects_makes_what_is_missing(tmp_path: Path) -> None:
    dataset(tmp_path, Split(2, 3)).save(Counting().plan())
    given = Counting()
    dataset(tmp_path, ALL).save(given.plan())
    assert given.first.made == ["n/0", "n/2", "n/3", "n/5", "n/6"]
    assert whole(tmp_path) == expected()


@pytest.mark.parametrize("number", [1, 2])
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path, number: int) -> None:
    dying = Counting(Numbers("n/4" if number == 1 else ""), Above("n/4" if number == 2 else ""))
    with pytest.raises(KilledError):
        dataset(tmp_path, ALL).save(dying.plan())
    given = Counting()
    dataset(tmp_path, ALL).save(given.plan())
    rest = ["n/4", "n/5", "n/6"]
    every = [part.name for part in given.plan().parts]
    assert (given.first.made, given.second.made) == ((rest, every) if number == 1 else ([], rest))
    assert whole(tmp_path) == expected()


def test_parts_of_another_key_are_not_taken(tmp_path: Path) -> None:
    for number in (1, 2):
        dataset(tmp_path, Split(number, 2)).save(Counting().plan("another"))
    given = Counting()
    dataset(tmp_path, ALL).save(given.plan())
    assert len(given.first.made) == len(given.second.made) == 7
    assert whole(tmp_path) == expected()


def test_a_round_is_made_again_where_that_before_it_was(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        dataset(tmp_path, ALL).save(Counting(second=Above("n/4")).plan())
    (place,) = (tmp_path / "product" / FOLDER).glob("*-1/n/2.safetensors")
    place.unlink()

    class Otherwise(Numbers):
        def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
            return ((name, {"x": tensors["x"] + 0.5}) for name, tensors in super().__call__(missing))

    given = Counting(Otherwise())
    dataset(tmp_path, ALL).save(given.plan())
    assert given.first.made == ["n/2"]
    assert len(given.second.made) == 7


def test_parts_that_nothing_can_come_of_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="scores are NaN"):
        dataset(tmp_path, ALL).save(Counting(wrong="scores are NaN").plan())
    assert not files(tmp_path)
    given = Counting()
    dataset(tmp_path, ALL).save(given.plan())
    assert len(given.first.made) == 7


def test_rounds_go_through_an_object_store(bucket: Bucket) -> None:
    def own(engine: Engine) -> RecordedDataset:
        found = RecordedDataset(filepath=f"{bucket.address}/product", credentials=bucket.credentials)
        found.engine = engine
        return found

    for number in (1, 2):
        own(Split(number, 2)).save(Counting().plan())
    given = Counting()
    with pytest.raises(KilledError):
        own(ALL).save(Counting(second=Above("n/4")).plan())
    own(ALL).save(given.plan())
    assert (given.first.made, given.second.made) == ([], ["n/4", "n/5", "n/6"])
    assert own(ALL).load().results["above"].tolist() == expected()
    assert bucket.names("product") == {"record.json", "results.parquet", "metrics.parquet"}


def test_what_one_process_makes_is_left_to_it(tmp_path: Path) -> None:
    def product() -> Measured:
        made.append(1)
        return Measured(pd.DataFrame({"a": [1]}), pd.DataFrame())

    made: list[int] = []
    own = dataset(tmp_path, Split(1, 2))
    own.save(Plan.undivided(product))
    assert (made, own.progress(), own.exists()) == ([], (0, 0, False), False)
    dataset(tmp_path, ALL).save(Plan.undivided(product))
    assert own.load().results["a"].tolist() == made == [1]
