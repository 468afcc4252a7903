"""Products that are made part by part, from a `Plan`: what exists is kept, what is missing is made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset
from tqdm import tqdm

from scaling_ood.plans import Plan

Product = TypeVar("Product")
RECORD = "record.json"


@dataclass(frozen=True)
class StoredParts(Generic[Product]):
    """A finished product, read part by part when asked.

    Attributes:
        key: What it was made from.
        about: What a reader should know.
        parts: Part to its `items`, `sha256` and `seconds`.
        folder: Where it is.
    """

    key: str
    about: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Any]]
    folder: Path

    @property
    def items(self) -> int:
        """Number of items (images) in all parts."""
        return sum(int(part["items"]) for part in self.parts.values())

    @property
    def items_per_second(self) -> float:
        """Throughput when the parts were made."""
        seconds = sum(float(part["seconds"]) for part in self.parts.values())
        return self.items / seconds if seconds else float("nan")


class PlannedDataset(AbstractDataset[Plan[Product], StoredParts[Product]]):
    """A folder with one file or folder per part, and a record of what they were made from.

    Saving a plan makes the parts that the stored record of the same key lacks; the parts of another key are removed.
    Every part is written beside its place, then renamed, then recorded with its checksum: whatever kills the process,
    the record never names a part that is not whole.
    """

    unit = "image"

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Remember where it is.

        Args:
            filepath: The folder.
            metadata: For Kedro-Viz; not used here.
        """
        self._folder = Path(filepath)
        self.metadata = metadata

    @abstractmethod
    def _write(self, place: Path, product: Product) -> str:
        """Write one part and return the SHA-256 of its content."""

    @abstractmethod
    def _place(self, name: str) -> Path:
        """Where a part lies, relative to the folder."""

    def save(self, data: Plan[Product]) -> None:
        """Make and store what is missing."""
        record = self._record()
        if record.get("key") != data.key:
            self._clear(record)
            record = {"key": data.key, "about": dict(data.about), "parts": {}, "complete": False}
        planned = {part.name: part.items for part in data.parts}
        there = {name: part for name, part in record["parts"].items() if (self._folder / self._place(name)).exists()}
        done = {name: part for name, part in there.items() if part["items"] == planned.get(name)}
        missing = [part for part in data.parts if part.name not in done]
        if record["complete"] and not missing:
            return
        total = sum(part.items for part in data.parts)
        # What is about to be made is recorded first, so that another key can clear a part that was never recorded.
        record.update(planned=list(planned), parts=done, complete=False)
        self._store(record)
        with tqdm(
            total=total,
            initial=total - sum(p.items for p in missing),
            unit=self.unit,
            desc=self._folder.name,
            mininterval=1,
            smoothing=0.1,
        ) as bar:
            items = {part.name: part.items for part in missing}
            started = time.perf_counter()
            for name, product in data.produce(missing) if missing else ():
                place = self._folder / self._place(name)
                place.parent.mkdir(parents=True, exist_ok=True)
                beside = place.with_name(f".{place.name}.part")
                _remove(beside)
                sha256 = self._write(beside, product)
                _replace(beside, place)
                done[name] = {"items": items[name], "sha256": sha256, "seconds": time.perf_counter() - started}
                self._store(record)
                bar.update(items[name])
                started = time.perf_counter()
        # In the order of the plan, which readers rely on, in whatever order the parts were made.
        ordered = {name: done[name] for name in planned if name in done}
        record.update(parts=ordered, complete=len(ordered) == len(planned), about=dict(data.about))
        self._store(record)

    def load(self) -> StoredParts[Product]:
        """The finished product; nothing is read yet."""
        record = self._record()
        if not record.get("complete"):
            raise FileNotFoundError(f"{self._folder} is not there, or not finished")
        return self._stored(record)

    def _stored(self, record: dict[str, Any]) -> StoredParts[Product]:
        return StoredParts(record["key"], record["about"], record["parts"], self._folder)

    def _exists(self) -> bool:
        record = self._record()
        return bool(record.get("complete")) and all(
            (self._folder / self._place(name)).exists() for name in record["parts"]
        )

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}

    def _record(self) -> dict[str, Any]:
        path = self._folder / RECORD
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def _store(self, record: dict[str, Any]) -> None:
        write_atomically(self._folder / RECORD, json.dumps(record, indent=1))

    def _clear(self, record: dict[str, Any]) -> None:
        (self._folder / RECORD).unlink(missing_ok=True)
        for name in {*record.get("parts", ()), *record.get("planned", ())}:
            place = self._folder / self._place(name)
            _remove(place)
            _remove(place.with_name(f".{place.name}.part"))


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old content or the new, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(beside: Path, place: Path) -> None:
    _remove(place)
    os.replace(beside, place)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
