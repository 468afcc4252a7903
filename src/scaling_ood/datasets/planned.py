"""Products that are made part by part, from a `Plan`: what exists is kept, what is missing is made."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset
from tqdm import tqdm

from scaling_ood import storage
from scaling_ood.models.chance import alone
from scaling_ood.products.kept_files import RECORD, is_intact, keep, read_record, remove, write_atomically
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import Part, Plan
from scaling_ood.products.stored import StoredParts

Content = TypeVar("Content")
PART_RECORDS = ".parts"
"""Folder of the parts' own records, one small file each."""


class PlannedDataset(AbstractDataset[Plan[Content], StoredParts], Generic[Content]):
    """A folder with one file or folder per part, and records of what they were made from.

    Saving a plan makes the parts that are not there whole, with the plan's key; the parts of another key are removed.
    Every part is written beside its place, then renamed, or in an object store put there by one upload, then vouched
    for by a small record of its own with its checksum: whatever kills the process, no record names a part that is not
    whole. The product is what the records of
    its parts add up to, so that several processes can make different parts of it at the same time.
    """

    unit = "image"

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Remember where it is.

        Args:
            filepath: The folder.
            credentials: Of an object store.
            fs_args: More for an object store.
            metadata: For Kedro-Viz; not used here.
        """
        self._folder = storage.place(filepath, credentials, fs_args)
        self.metadata = metadata

    @abstractmethod
    def _write(self, place: Path, content: Content) -> None:
        """Write one part."""

    @abstractmethod
    def _place(self, name: str) -> Path:
        """Where a part lies, relative to the folder."""

    @alone()
    def save(self, data: Plan[Content]) -> None:
        """Make and store what is missing."""
        missing = self.missing(data)
        if not missing:
            return
        total, left = (sum(part.items for part in parts) for parts in (data.parts, missing))
        with tqdm(
            total=total, initial=total - left, unit=self.unit, desc=self._folder.name, mininterval=1, smoothing=0.1
        ) as bar:
            for part in self.make(data, missing):
                bar.update(part.items)

    def missing(self, plan: Plan[Content]) -> list[Part]:
        """The parts that are still to be made; after this the folder holds nothing of another key."""
        record = read_record(self._folder / RECORD)
        present = {
            **plan.origin.record(),
            "about": json.loads(json.dumps(dict(plan.about))),
            "planned": {part.name: part.items for part in plan.parts},
        }
        self._clear_others(record, plan.key)
        there = storage.each(self._folder, partial(self._is_there, plan.key), plan.parts)
        missing = [part for part, is_there in zip(plan.parts, there, strict=True) if not is_there]
        if record != present and (missing or record.get("planned") != present["planned"]):
            write_atomically(self._folder / RECORD, json.dumps(present, indent=1))
        return missing

    def make(self, plan: Plan[Content], parts: Sequence[Part]) -> Iterator[Part]:
        """Make and store some parts of a plan, one after the other; a process that makes others does not mind."""
        items = {part.name: part.items for part in parts}
        started = time.perf_counter()
        for name, content in plan.make(parts):
            kept = self._keep(name, content)
            seconds = time.perf_counter() - started
            about = {"key": plan.key, "items": items[name], **kept, "seconds": seconds}
            write_atomically(self._part_record(name), json.dumps(about))
            yield Part(name, items[name])
            started = time.perf_counter()

    def _keep(self, name: str, content: Content) -> dict[str, str]:
        return keep(self._folder / self._place(name), lambda beside: self._write(beside, content))

    def load(self) -> StoredParts:
        """The finished product; nothing is read yet."""
        record = read_record(self._folder / RECORD)
        parts = self._parts(record)
        if parts is None:
            raise FileNotFoundError(f"{self._folder} is not there, or not finished")
        return self._stored(Origin.of_record(record), record["about"], parts)

    def peek(self) -> StoredParts:
        """What the record tells, without looking at any part."""
        return self.load()

    def _stored(self, origin: Origin, about: Mapping[str, Any], parts: Mapping[str, Any]) -> StoredParts:
        return StoredParts(origin, about, parts, self._folder)

    def _exists(self) -> bool:
        return self._parts(read_record(self._folder / RECORD)) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}

    def _parts(self, record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
        """The records of all planned parts, in the order of the plan; None if one is not there."""
        if not {"key", "about", "planned"} <= set(record):
            return None
        planned = record["planned"]
        parts = storage.each(self._folder, lambda name: read_record(self._part_record(name)), planned)
        if any(
            (part.get("key"), part.get("items")) != (record["key"], planned[name])
            for name, part in zip(planned, parts, strict=True)
        ):
            return None
        there = storage.each(self._folder, lambda name: (self._folder / self._place(name)).exists(), planned)
        return dict(zip(planned, parts, strict=True)) if all(there) else None

    def _is_there(self, key: str, part: Part) -> bool:
        found = read_record(self._part_record(part.name))
        same = (found.get("key"), found.get("items")) == (key, part.items)
        return same and is_intact(self._folder / self._place(part.name), found["sha256"], found.get("looks"))

    def _part_record(self, name: str) -> Path:
        return self._folder / PART_RECORDS / f"{name}.json"

    def _clear_others(self, record: Mapping[str, Any], key: str) -> None:
        """Remove the parts of other keys, made or not; files that no record names are a person's own and stay."""
        names = set(record.get("planned", ())) if record.get("key") != key else set()
        own = sorted((self._folder / PART_RECORDS).rglob("*.json"))
        for path, about in zip(own, storage.each(self._folder, read_record, own), strict=True):
            if about.get("key") != key:
                names.add(path.relative_to(self._folder / PART_RECORDS).as_posix().removesuffix(".json"))
        if names:
            remove(self._folder / RECORD)
        for name in sorted(names):
            place = self._folder / self._place(name)
            for path in (self._part_record(name), place, place.with_name(f".{place.name}.part")):
                remove(path)
