"""Anybody's own images: a table with one row per image and one column per class."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from scaling_ood.images.listing import UNLISTED
from scaling_ood.images.multi_label.listing import Listing, MultiLabelImage, Problems, wanted_splits
from scaling_ood.images.multi_label.sources import LAYOUTS, MultiLabelSource
from scaling_ood.images.walking import walk
from scaling_ood.storage import local_copy
from scaling_ood.wording import refuse_unknown

_USUAL = ("manifest.csv", "manifest.parquet")
_UNKNOWN = -1
# Numbers that a column with gaps makes of 0 and 1 are fractions, and truth values are as good.
_VALUES = {"": _UNKNOWN, "0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


@LAYOUTS.reader(
    "table",
    f"{' or '.join(_USUAL)}: columns path, perhaps split, and one of 0 and 1 for each class",
    _USUAL,
    ("manifest", "classes"),
)
def _table(root: Path, source: MultiLabelSource, problems: Problems) -> Listing:
    """`manifest.csv` or `manifest.parquet`: columns `path` and, if there are splits, `split`; the others are classes.

    A class column holds 0 or 1. A row in which all of them are empty is an unlabelled image. Paths are relative to the
    data set's folder. Without `split`, all images are of the split `all`.
    """
    path = _place(root, source.manifest)
    rows = _read(path, problems)
    if rows is None:
        return Listing((), [])
    classes = _classes(rows, source.classes, path.name)
    missing = [*([] if "path" in rows else ["path"]), *([] if classes else ["one column per class"])]
    for column in missing:
        problems.add("columns that are missing", f"{column} in {path.name}")
    if missing:
        return Listing(classes, [])
    split = rows["split"] if "split" in rows else pd.Series("all", index=rows.index)
    keys, splits = _text(rows["path"]), _text(split)
    values = pd.concat([_column(rows[name], keys, problems) for name in classes], axis=1)
    kept = wanted_splits(source.splits, sorted(set(splits)))
    images = []
    named = zip(keys, splits, values.itertuples(index=False, name=None), strict=True)
    for number, (key, its_split, row) in enumerate(named, start=1):
        if not key or not its_split:
            problems.add("rows without a path or a split", str(number))
        elif its_split in kept:
            _check_path(root, key, problems)
            images.append(MultiLabelImage(key, key, its_split, _labels(row, key, problems)))
    return Listing(classes, images, _others(root, [*keys, path.name, *_USUAL]))


def _place(root: Path, manifest: str) -> Path:
    names = [manifest] if manifest else [name for name in _USUAL if (root / name).is_file()]
    if len(names) != 1 or not (root / names[0]).is_file():
        wanted = manifest or f"{' or '.join(_USUAL)}, one of them; `manifest` names another file"
        raise ValueError(f"table in {root}: no {wanted}")
    return root / names[0]


def _read(path: Path, problems: Problems) -> pd.DataFrame | None:
    """All columns, those of a CSV file as text; None if there is no reading it."""
    try:
        if path.suffix.lower() == ".parquet":
            with local_copy(path) as copy:
                return pd.read_parquet(copy)
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [*csv.reader(file, strict=True)] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        problems.add("malformed tables", f"{path.name}: {str(error).splitlines()[0]}")
        return None
    for name in sorted({name for name in header if header.count(name) > 1}):
        problems.add("columns that are there twice", f"'{name}' in {path.name}")
    for number, row in enumerate(rows, start=1):
        if row and len(row) != len(header):
            problems.add("malformed tables", f"{path.name}: row {number} has {len(row)} fields, not {len(header)}")
    whole = [row for row in rows if len(row) == len(header)]
    table = pd.DataFrame(whole, columns=header)
    return table.loc[:, ~table.columns.duplicated()]


def _classes(rows: pd.DataFrame, wanted: Sequence[str] | None, name: str) -> tuple[str, ...]:
    there = [str(column) for column in rows.columns if column not in ("path", "split")]
    refuse_unknown("class column", wanted or [], there, name)
    return tuple(there if wanted is None else wanted)


def _text(column: pd.Series) -> list[str]:
    return ["" if gap else str(value).strip() for value, gap in zip(column, column.isna(), strict=True)]


def _column(column: pd.Series, keys: list[str], problems: Problems) -> pd.Series:
    """0, 1 or `_UNKNOWN` for each row."""
    text = pd.Series(_text(column), index=column.index, dtype=object)
    values = text.str.lower().map(_VALUES)
    for position in values.isna().to_numpy().nonzero()[0]:
        problems.add("values other than 0 and 1", f"{keys[position]}: {column.name} = '{text.iloc[position]}'")
    return values.fillna(0).astype(int)


def _labels(row: tuple[int, ...], key: str, problems: Problems) -> tuple[int, ...] | None:
    unknown_classes = row.count(_UNKNOWN)
    if unknown_classes == len(row):
        return None
    if unknown_classes:
        problems.add("rows with labels for a part of the classes", key)
    return tuple(index for index, value in enumerate(row) if value == 1)


def _others(root: Path, keys: Sequence[str]) -> dict[str, str]:
    """What lies in the folders of images beside those that the table names."""
    named = {PurePosixPath(key) for key in keys if key}
    folders = {path.parent for path in named if not path.is_absolute() and ".." not in path.parts}
    found = [one for folder in sorted(folders) for one in walk(root / folder, deep=False)]
    beside = {one.path.relative_to(root).as_posix(): one.left_out or UNLISTED for one in found}
    return {path: reason for path, reason in beside.items() if PurePosixPath(path) not in named}


def _check_path(root: Path, key: str, problems: Problems) -> None:
    path = PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts:
        problems.add("paths that lead out of the folder", key)
    elif not (root / key).is_file():
        problems.add("images listed but absent", key)
