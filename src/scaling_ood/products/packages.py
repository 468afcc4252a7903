"""A network with a fitted detector and its threshold, to be taken elsewhere: tensors, tables and JSON, no code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import load_file, save

from scaling_ood.products.kept_files import content_sum
from scaling_ood.products.keys import NOT_MADE, Origin
from scaling_ood.products.stored import Tensors

FORMAT = 2
"""Of the files; raised where older code cannot read them."""

ABOUT, NETWORK, LEARNED, RESULTS = "package.json", "network.safetensors", "learned.safetensors", "results.csv"
FILES = "network_files"
"""Folder of the files that a network is read from, where a person brought it."""


class PackageError(ValueError):
    """A package that is damaged, or of another format than this code reads."""


@dataclass(frozen=True)
class Package:
    """What images of one's own are scored with.

    Attributes:
        name: Under which it is registered.
        about: All that is neither a tensor nor a table, as JSON holds it: setting, network, detector, data, threshold,
            limits, and the requirement that brings the code.
        network: State of the network, of the first seed.
        learned: What the detector learns from, when the package is opened; empty where it learns nothing.
        results: The detector's rows of the results table.
        files: Files that the network is read from beside its state, where a person brought it: their names in the
            package, with folders, and where they are.
        origin: What it was made from.
    """

    name: str
    about: Mapping[str, Any]
    network: Tensors
    learned: Tensors
    results: pd.DataFrame
    files: Mapping[str, Path] = field(default_factory=dict)
    origin: Origin = field(default=NOT_MADE)

    def network_files(self) -> Path | None:
        """Folder of the network's files; None where it has none."""
        for name, place in self.files.items():
            return place.parents[name.count("/")]
        return None


def write_package(package: Package, folder: Path) -> None:
    """Write its files into a new folder; the JSON file vouches for the others."""
    contents = {
        NETWORK: save({name: each.contiguous() for name, each in package.network.items()}),
        LEARNED: save({name: each.contiguous() for name, each in package.learned.items()}),
        RESULTS: package.results.to_csv(index=False).encode(),
    }
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    for name, place in package.files.items():
        (folder / FILES / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place, folder / FILES / name)
    record = {
        "format": FORMAT,
        "name": package.name,
        "about": package.about,
        "origin": package.origin.record(),
        "files": sorted(package.files),
        "sha256": {name: content_sum(folder / name) for name in [*contents, *_places(package.files)]},
    }
    (folder / ABOUT).write_text(json.dumps(record, indent=1), encoding="utf-8")


def read_package(folder: Path) -> Package:
    """The package of a folder.

    Raises:
        PackageError: It is of another format, or a file is not the one that was written.
        OSError: It is not there.
    """
    record = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    if record.get("format") != FORMAT:
        raise PackageError(
            f"{folder} has format {record.get('format')}, and this version of scaling_ood reads {FORMAT}"
        )
    if wrong := [name for name, expected in record["sha256"].items() if content_sum(folder / name) != expected]:
        raise PackageError(f"{', '.join(wrong)} in {folder} is not what was packaged")
    return Package(
        record["name"],
        record["about"],
        load_file(folder / NETWORK),
        load_file(folder / LEARNED),
        pd.read_csv(folder / RESULTS),
        {name: folder / place for name, place in zip(record["files"], _places(record["files"]), strict=True)},
        Origin.of_record(record["origin"]),
    )


def _places(files: Iterable[str]) -> list[str]:
    return [f"{FILES}/{name}" for name in sorted(files)]
