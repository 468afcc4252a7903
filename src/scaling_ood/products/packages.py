"""A network with a fitted detector and its threshold, to be taken elsewhere: tensors, tables and JSON, no code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import load, save

from scaling_ood.products.keys import NOT_MADE, Origin
from scaling_ood.products.stored import Tensors

FORMAT = 1
"""Of the files; raised where older code cannot read them."""

ABOUT, NETWORK, LEARNED, RESULTS = "package.json", "network.safetensors", "learned.safetensors", "results.csv"


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
        origin: What it was made from.
    """

    name: str
    about: Mapping[str, Any]
    network: Tensors
    learned: Tensors
    results: pd.DataFrame
    origin: Origin = field(default=NOT_MADE)


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
    record = {
        "format": FORMAT,
        "name": package.name,
        "about": package.about,
        "origin": package.origin.record(),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
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
    contents = {name: (folder / name).read_bytes() for name in record["sha256"]}
    wrong = [name for name, each in contents.items() if hashlib.sha256(each).hexdigest() != record["sha256"][name]]
    if wrong:
        raise PackageError(f"{', '.join(wrong)} in {folder} is not what was packaged")
    return Package(
        record["name"],
        record["about"],
        load(contents[NETWORK]),
        load(contents[LEARNED]),
        pd.read_csv(folder / RESULTS),
        Origin.of_record(record["origin"]),
    )
