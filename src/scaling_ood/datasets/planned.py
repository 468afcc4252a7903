"""Products that are made part by part, from a `Plan`: what exists is kept, what is missing is made."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from tqdm import tqdm

from scaling_ood import storage
from scaling_ood.datasets.placed import PlacedDataset
from scaling_ood.datasets.storing import stored_beside
from scaling_ood.engines import Engine, Local
from scaling_ood.models.chance import alone
from scaling_ood.products.kept_files import (
    RECORD,
    is_intact,
    keep,
    read_record,
    remove,
    remove_unfinished,
    write_atomically,
)
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.stored import StoredParts

Content = TypeVar("Content")
PART_RECORDS = ".parts"
"""Folder of the parts' own records, one small file each."""


class PlannedDataset(PlacedDataset[Plan[Content], StoredParts], Generic[Content]):
    """A folder with one file or folder per part, and records of what they were made from.

    Saving a plan makes the parts that are not there whole, with the plan's key; the parts of another key are removed.
    Every part is written beside its place, then renamed, or in an object store put there by one upload, then vouched
    for by a small record of its own with its checksum: whatever kills the process, no record names a part that is not
    whole. The product is what the records of its parts add up to, so that several processes can make different parts
    of it at the same time.

    Attributes:
        engine: Who makes the parts.
    """

    unit = "image"
    engine: Engine = Local()

    @abstractmethod
    def _write(self, place: Path, content: Content) -> None:
        """Write one part."""

    @abstractmethod
    def _place(self, name: str) -> Path:
        """Where a part lies, relative to the folder."""

    @alone()
    def save(self, data: Plan[Content]) -> None:
        """Have made and stored what is missing of those parts that are this process's."""
        mine = self.engine.mine(data.parts)
        missing = self.missing(data, mine)
        if not missing:
            return
        total, left = (sum(part.items for part in parts) for parts in (mine, missing))
        with tqdm(
            total=total, initial=total - left, unit=self.unit, desc=self._at.name, mininterval=1, smoothing=0.1
        ) as bar:
            for part in self.engine.make(self, data, missing):
                bar.update(part.items)

    def missing(self, plan: Plan[Content], mine: Sequence[Part] | None = None) -> list[Part]:
        """The parts that are still to be made.

        Args:
            plan: All parts. After this the folder says that they are its own, and where all of them are made here it
                holds nothing of another key. Otherwise other processes write beside this one: nothing is removed.
            mine: Of these parts, where that is not all.
        """
        record = read_record(self._at / RECORD)
        present = {
            **plan.origin.record(),
            "about": json.loads(json.dumps(dict(plan.about))),
            "planned": {part.name: part.items for part in plan.parts},
        }
        if mine is None or len(mine) == len(plan.parts):
            self._clear_others(record, plan)
        wanted = plan.parts if mine is None else mine
        there = storage.each(self._at, partial(self._is_there, plan.key), wanted)
        missing = [part for part, is_there in zip(wanted, there, strict=True) if not is_there]
        if record != present and (missing or record.get("planned") != present["planned"]):
            write_atomically(self._at / RECORD, json.dumps(present, indent=1))
        return missing

    def absent(self, plan: Plan[Content]) -> list[Part]:
        """The parts that no record vouches for; no part is read."""
        there = self._recorded(plan.key, {part.name: part.items for part in plan.parts})
        return [part for part in plan.parts if part.name not in there]

    def progress(self) -> tuple[int, int, bool]:
        """How many parts are recorded, of how many, and that no round of others follows; no part is read."""
        record = read_record(self._at / RECORD)
        planned = record.get("planned", {})
        return len(self._recorded(record.get("key"), planned)), len(planned), False

    def make(self, plan: Plan[Content], parts: Sequence[Part]) -> Iterator[Part]:
        """Make parts of a plan, and store each while the next is made; a process that makes others does not mind."""
        items = {part.name: part.items for part in parts}

        def store(made: tuple[str, Content, float]) -> Part:
            name, content, seconds = made
            kept = self._keep(name, content)
            about = {"key": plan.key, "items": items[name], **kept, "seconds": seconds}
            write_atomically(self._part_record(name), json.dumps(about))
            return Part(name, items[name])

        return stored_beside(_timed(plan.make(parts)), store)

    def _keep(self, name: str, content: Content) -> dict[str, str]:
        place = self._at / self._place(name)
        # A worker that counts as lost may still be at it.
        return keep(place, lambda beside: self._write(beside, content), shared=True)

    def load(self) -> StoredParts:
        """The finished product; nothing is read yet."""
        record = read_record(self._at / RECORD)
        parts = self._parts(record)
        if parts is None:
            raise FileNotFoundError(f"{self._at} is not there, or not finished")
        return self._stored(Origin.of_record(record), record["about"], parts)

    def peek(self) -> StoredParts:
        """What the record tells, without looking at any part."""
        return self.load()

    def _stored(self, origin: Origin, about: Mapping[str, Any], parts: Mapping[str, Any]) -> StoredParts:
        return StoredParts(origin, about, parts, self._at)

    def _exists(self) -> bool:
        return self._parts(read_record(self._at / RECORD)) is not None

    def _parts(self, record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
        """The records of all planned parts, in the order of the plan; None if one is not there."""
        if not {"key", "about", "planned"} <= set(record):
            return None
        parts = self._recorded(record["key"], record["planned"])
        return parts if len(parts) == len(record["planned"]) else None

    def _recorded(self, key: object, planned: Mapping[str, int]) -> dict[str, Mapping[str, Any]]:
        """The records of those planned parts that are there, in order; no part is read."""

        def recorded(part: tuple[str, int]) -> dict[str, Any]:
            found = self._record_of(key, *part)
            return found if found and (self._at / self._place(part[0])).exists() else {}

        records = storage.each(self._at, recorded, planned.items())
        return {name: found for name, found in zip(planned, records, strict=True) if found}

    def _is_there(self, key: str, part: Part) -> bool:
        found = self._record_of(key, part.name, part.items)
        return bool(found) and is_intact(self._at / self._place(part.name), found["sha256"], found.get("looks"))

    def _record_of(self, key: object, name: str, items: int) -> dict[str, Any]:
        """What vouches for a part of that key; empty without any."""
        found = read_record(self._part_record(name))
        return found if (found.get("key"), found.get("items")) == (key, items) else {}

    def _part_record(self, name: str) -> Path:
        return self._at / PART_RECORDS / f"{name}.json"

    def _clear_others(self, record: Mapping[str, Any], plan: Plan[Content]) -> None:
        """Remove the parts of other keys, made or not; files that no record names are a person's own and stay."""
        names = set(record.get("planned", ())) if record.get("key") != plan.key else set()
        own = sorted((self._at / PART_RECORDS).rglob("*.json"))
        for path, about in zip(own, storage.each(self._at, read_record, own), strict=True):
            if about.get("key") != plan.key:
                names.add(path.relative_to(self._at / PART_RECORDS).as_posix().removesuffix(".json"))
        if names:
            remove(self._at / RECORD)
        for name in sorted(names):
            remove(self._part_record(name))
            remove(self._at / self._place(name))
        everything = names | {part.name for part in plan.parts}
        for folder in {p.parent for n in everything for p in (self._at / self._place(n), self._part_record(n))}:
            remove_unfinished(folder)


def _timed(made: Iterable[tuple[str, Content]]) -> Iterator[tuple[str, Content, float]]:
    """With the seconds that each part took."""
    started = time.perf_counter()
    for name, content in made:
        yield name, content, time.perf_counter() - started
        del content
        started = time.perf_counter()
