"""Manifests: which image plays which role in a benchmark.

A manifest is a table with one row per image: `id`, `image_set` (`train`, `fit`, `test` or the name of an OOD set),
`path` (relative to the data set's folder; empty for noise), `number` (of a noise image), `label` (index of the class;
-1 where there is none), `class_name`, `split` (the data set's own), `data_set`, `content` (fingerprint of the bytes),
`orientation` (EXIF's, 2 to 8, of an image that is stored turned or mirrored; else 1), `bits` (16 of grey that was
scaled to 8), `bytes` and `modified_ns` (size and time of the last change of the file, or of the container that it is
in; -1 for noise), `look` (perceptual hash; empty where none was asked for). Where an image may be of several classes at
once there is a column `labels` as well, see `images/multi_label/labels.py`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scaling_ood.images.checks import Check, check_images
from scaling_ood.images.exif import Orientation, pixel_marks
from scaling_ood.images.files import printable
from scaling_ood.images.listing import list_files
from scaling_ood.images.recorded import NO_STAMP, stamps
from scaling_ood.images.tables import class_table
from scaling_ood.images.walking import HIDDEN
from scaling_ood.storage import place
from scaling_ood.wording import listed, unknown

COLUMNS = (
    *("id", "image_set", "path", "number", "label", "class_name", "split", "data_set", "content"),
    *("orientation", "bits", "bytes", "modified_ns", "look"),
)
LEFT_OUT = ("id", "data_set", "path", "problem")
"""Columns of tables of files that are not used, with the reason."""


@dataclass(frozen=True)
class Claim:
    """A role's claim on one split: so many images per class, or a share of the split, or what is left."""

    split: str
    per_class: int | None = None
    share: float | None = None

    @property
    def takes_all(self) -> bool:
        """Whether it claims whatever is left."""
        return self.per_class is None and self.share is None


class PartitionError(ValueError):
    """The data set does not hold what the benchmark wants to draw from it."""


class TooManyUnreadableError(ValueError):
    """More images are unreadable than the benchmark tolerates."""


def read_folder(
    name: str,
    folder: str,
    layout: str,
    splits: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All images of a data set on disk, by id, and the files of it that are left out.

    Args:
        name: The data set's name, which starts every id.
        folder: Its folder.
        layout: A registered layout.
        splits: Which of its own splits to keep; None keeps all.
        class_names: Which classes to keep; None keeps all.
        titles: Class to the name that an error gives beside it.

    Returns:
        Rows of a manifest without a role; `LEFT_OUT`.

    Raises:
        PartitionError: Wanted splits or classes are not there, all of them in one message, or nothing is left.
        FileNotFoundError: The folder, or something that its layout needs, is missing.
        EmptyClassError: Class folders without images.
        LayoutError: Lists and images contradict each other.
        MissingLibraryError: The layout needs a package that is not installed.
    """
    files = list_files(layout, place(folder), splits, class_names)
    entries = [file for file in files if not file.left_out]
    others = left_out(name, {file.path: file.left_out for file in files if file.left_out})
    frame = pd.DataFrame(
        [(f"{name}/{entry.path}", entry.path, entry.class_name, entry.split) for entry in entries],
        columns=["id", "path", "class_name", "split"],
    ).assign(data_set=name, number=-1)
    selections = {"split": splits, "class_name": class_names}
    wanted = {column: list(values) for column, values in selections.items() if values is not None}
    missing = {column: sorted(set(values) - set(frame[column])) for column, values in wanted.items()}
    named = {column: [_titled(value, titles or {}) for value in values] for column, values in missing.items() if values}
    if named:
        said = "; ".join(f"no {column} {listed(values, most=20)} in {folder}" for column, values in named.items())
        raise PartitionError(f"{name}: {said}")
    for column, values in wanted.items():
        frame = frame[frame[column].isin(values)]
    if frame.empty:
        raise PartitionError(f"{name}: no image in {folder}")
    return frame.reset_index(drop=True), others


def left_out(data_set: str, files: Mapping[str, str]) -> pd.DataFrame:
    """Files of a data set that are left out, by path to the reason: `LEFT_OUT`."""
    named = [(printable(path), printable(reason)) for path, reason in files.items()]
    rows = [(f"{data_set}/{path}", data_set, path, reason) for path, reason in named]
    return pd.DataFrame(rows, columns=list(LEFT_OUT))


def count_left_out(others: pd.DataFrame) -> dict[str, dict[str, int]]:
    """How many files of each data set are left out, by reason, the most frequent first."""
    by_set = others.groupby("data_set", sort=False)["problem"]
    return {str(name): dict(Counter(problems).most_common()) for name, problems in by_set}


def quarantine_table(bad: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """One table of all that is not used: what cannot be read, then what is left out.

    Files that systems leave everywhere take one row for each data set.
    """
    hidden = others["problem"] == HIDDEN
    counts = others[hidden].groupby("data_set", sort=False).size()
    summary = [(f"{name}/", name, "", f"{count:,} files or folders: {HIDDEN}") for name, count in counts.items()]
    table = pd.concat([bad, others[~hidden], pd.DataFrame(summary, columns=list(LEFT_OUT))], ignore_index=True)
    return table.astype(str)


def _titled(name: str, titles: Mapping[str, str]) -> str:
    return f"{name} ({titles[name]})" if name in titles else name


def list_noise(name: str, images: int) -> pd.DataFrame:
    """The rows of a noise set; nothing is generated yet."""
    numbers = range(images)
    return pd.DataFrame(
        {"id": [f"{name}/{number:06d}" for number in numbers], "number": numbers, "path": "", "class_name": ""}
    ).assign(split="all", data_set=name, image_set=name, label=-1)


def classes_of_table(table: str, column: str, value: str | None) -> list[str]:
    """Class names (synsets) of a shipped table whose `column` has that value; of all its rows if that is None.

    Raises:
        PartitionError: The table has no such column or value.
    """
    frame = class_table(table)
    if value is None:
        return list(frame["wnid"])
    if column not in frame or value not in set(frame[column]):
        known = sorted(frame[column].dropna().unique()) if column in frame else list(frame.columns)
        raise PartitionError(f"class table {table}: no {column} = {value} (known: {', '.join(map(str, known))})")
    return list(frame.loc[frame[column] == value, "wnid"])


def sample(frame: pd.DataFrame, images: int | None, seed: int) -> pd.DataFrame:
    """At most so many rows, drawn by the seed, in their old order."""
    if images is None or images >= len(frame):
        return frame
    kept = np.sort(np.random.default_rng(seed).permutation(len(frame))[:images])
    return frame.iloc[kept].reset_index(drop=True)


def partition(frame: pd.DataFrame, claims: Mapping[str, Claim], seed: int) -> pd.DataFrame:
    """Give every image its role.

    Args:
        frame: Rows with `class_name` and `split`, of one data set.
        claims: Role to its claim, in the order in which roles draw. Roles that name the same split share it without
            overlap. Where `train` takes all of its split, `fit` may name that split too, and draws from the training
            images.
        seed: Of the draws: one permutation of each split.

    Returns:
        The rows that have a role, with `image_set`; ordered by role, then as before.

    Raises:
        PartitionError: A split is missing, or a role gets fewer images than it claims, or none.
    """
    taken: list[pd.DataFrame] = []
    left = {str(split): rows for split, rows in frame.groupby("split", sort=True)}
    sizes = {split: len(rows) for split, rows in left.items()}
    trained = claims.get("train")
    for number, (role, claim) in enumerate(claims.items()):
        if claim.split not in left:
            raise PartitionError(f"{role}: {unknown('split', claim.split, left)}")
        shared = role == "fit" and trained is not None and trained.takes_all and claim.split == trained.split
        rows = taken[0].drop(columns="image_set") if shared else left[claim.split]
        shuffled = rows.iloc[np.random.default_rng([seed, number]).permutation(len(rows))]
        if claim.per_class is not None:
            mine = shuffled.groupby("class_name", sort=False).head(claim.per_class)
            counts = mine.groupby("class_name").size().reindex(frame["class_name"].unique(), fill_value=0)
            short = counts[counts < claim.per_class]
            if len(short):
                raise PartitionError(
                    f"{role}: {len(short)} classes have fewer than {claim.per_class} images left in split "
                    f"{claim.split}, such as {short.index[0]} with {short.iloc[0]}"
                )
        elif claim.share is not None:
            wanted = round(claim.share * sizes[claim.split])
            if wanted > len(rows):
                raise PartitionError(
                    f"{role}: a share of {claim.share:g} of split {claim.split} is {wanted:,} images, "
                    f"but only {len(rows):,} are left"
                )
            mine = shuffled.head(wanted)
        else:
            mine = rows
        if mine.empty:
            raise PartitionError(f"{role}: nothing is left in split {claim.split}")
        left[claim.split] = left[claim.split].drop(mine.index, errors="ignore")
        taken.append(mine.sort_index().assign(image_set=role))
    return pd.concat(taken, ignore_index=True)


def quarantine(
    frame: pd.DataFrame, folders: Mapping[str, str], workers: int, most: float, looks: bool = False
) -> tuple[pd.DataFrame, ...]:
    """Open every image once, and set the unreadable ones apart.

    Args:
        frame: Rows with `data_set` and `path`; rows without a path (noise) are passed through.
        folders: Data set to its folder.
        workers: Images that are checked at a time.
        most: Largest tolerated share of unreadable images.
        looks: Whether pictures get a perceptual hash.

    Returns:
        The good rows with `content` and all columns after it, and the bad ones with `problem`.

    Raises:
        TooManyUnreadableError: The share of unreadable images is above `most`, or a data set has no other images.
    """
    named = zip(frame["data_set"], frame["path"], strict=True)
    paths = [f"{folders[data_set]}/{path}" if path else None for data_set, path in named]
    # Before anything is read: whatever changes from here on has another time.
    stamped = iter(stamps([path for path in paths if path], workers))
    when = [next(stamped) if path else NO_STAMP for path in paths]
    checks = check_images([path for path in paths if path], workers, looks)
    found = [next(checks) if path else Check() for path in paths]
    frame = frame.assign(
        content=[check.digest for check in found],
        orientation=[check.orientation for check in found],
        bits=[check.bits for check in found],
        bytes=np.array([size for size, _ in when], np.int64),
        modified_ns=np.array([modified for _, modified in when], np.int64),
        look=[check.look for check in found],
        problem=[check.problem for check in found],
    )
    bad = frame[frame["problem"] != ""]
    refuse_too_many(bad, sum(path is not None for path in paths), most, "images are unreadable")
    good = frame[frame["problem"] == ""].drop(columns="problem")
    lost = sorted(set(frame["data_set"]) - set(good["data_set"]))
    if lost:
        first = bad[bad["data_set"] == lost[0]].iloc[0]
        raise TooManyUnreadableError(
            f"{', '.join(lost)}: no image is readable, such as {first['id']}: {first['problem']}"
        )
    return good, bad[list(LEFT_OUT)]


def refuse_too_many(bad: pd.DataFrame, checked: int, most: float, what: str) -> None:
    """Make sure that few images are bad.

    Args:
        bad: Rows with `id` and `problem`.
        checked: How many were looked at.
        most: Largest tolerated share.
        what: Is wrong with them.

    Raises:
        TooManyUnreadableError: The share is larger; names the first ten.
    """
    if len(bad) > most * checked:
        told = "; ".join(f"{row.id}: {row.problem}" for row in bad.head(10).itertuples())
        raise TooManyUnreadableError(
            f"{len(bad):,} of {checked:,} {what}, more than the tolerated share of {most:g} (data.most_unreadable): "
            f"{told}"
        )


def set_digest(rows: pd.DataFrame, orientation: Orientation = "stored") -> str:
    """20 hexadecimal digits over ids, labels, contents and `pixel_marks` of one image set, in order; not over paths."""
    label = rows["labels"].fillna("unlabelled") if "labels" in rows else rows["label"]
    named = zip(rows["id"], label, rows["content"], pixel_marks(rows, orientation), strict=True)
    text = "\n".join(f"{image}|{of}|{content}{marks}" for image, of, content, marks in named)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
