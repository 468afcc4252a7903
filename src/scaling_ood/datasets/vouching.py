"""A record beside files of other people's formats: what they were made from, and that they are what was written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from scaling_ood import storage
from scaling_ood.products.kept_files import is_intact, read_record, remove, write_atomically
from scaling_ood.products.keys import NOT_MADE, Origin
from scaling_ood.products.plans import Plan

Content = TypeVar("Content")

RECORDS = ".records"
"""Folder of the records, beside the files."""


class Voucher:
    """The record of one product that is one or more files, or folders, in one folder."""

    def __init__(self, folder: Path, name: str) -> None:
        """Remember where it is.

        Args:
            folder: Of the files.
            name: Of the product, which no other in the folder has.
        """
        self._folder = folder
        self._path = folder / RECORDS / f"{name}.json"

    def vouches_for(self, origin: Origin) -> bool:
        """Whether the product is there, whole, and was made from this."""
        record = read_record(self._path)
        if not record or Origin.of_record(record) != origin:
            return False
        looks = record.get("looks", {})
        return all(
            storage.each(
                self._folder,
                lambda file: is_intact(self._folder / file[0], file[1], looks.get(file[0])),
                record["files"].items(),
            )
        )

    @property
    def is_there(self) -> bool:
        """Whether anything is vouched for."""
        return self._path.is_file()

    def renew(self, data: Content | Plan[Content], write: Callable[[Content], Mapping[str, Mapping[str, str]]]) -> None:
        """Have a product written, and vouch for it; a plan is made where it would make something else.

        Args:
            data: The product, or its plan.
            write: Writes it; gives the name of each file or folder to what `keep` said.
        """
        origin = data.origin if isinstance(data, Plan) else NOT_MADE
        if isinstance(data, Plan) and self.vouches_for(origin):
            return
        content = data.whole() if isinstance(data, Plan) else data
        self.withdraw()
        self.write(origin, write(content))

    def withdraw(self) -> None:
        """Vouch for nothing, before a file is changed."""
        remove(self._path)

    def write(self, origin: Origin, kept: Mapping[str, Mapping[str, str]]) -> None:
        """Vouch for files and folders that are written.

        Args:
            origin: What they were made from.
            kept: Name in the folder to what `keep` said.
        """
        about = {"files": {name: each["sha256"] for name, each in kept.items()}}
        if looks := {name: each["looks"] for name, each in kept.items() if "looks" in each}:
            about["looks"] = looks
        write_atomically(self._path, json.dumps({**origin.record(), **about}, indent=1))
