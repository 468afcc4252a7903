"""Which photograph belongs to which label image, and what has no partner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scaling_ood.images.files import printable
from scaling_ood.images.walking import HIDDEN, walk
from scaling_ood.wording import counted, listed

LABEL_SUFFIXES = frozenset({".png"})
"""A label image must be stored without loss."""


class UnpairedError(ValueError):
    """Photographs without labels, labels without photographs, missing folders."""


@dataclass(frozen=True)
class Scene:
    """One labelled image; paths are relative to the data set's folder, with forward slashes.

    Attributes:
        key: Unique within its split; does not depend on the photograph.
        path: Of the photograph; empty where it is not there and need not be.
        label_path: Of the label image.
        split: The data set's own split.
        sequence: Town, drive or scene whose images resemble one another; empty where none is known.
    """

    key: str
    path: str
    label_path: str
    split: str
    sequence: str


@dataclass(frozen=True)
class Pairing:
    """Where one split's photographs and labels are; sub-folders must agree.

    Attributes:
        split: What the split is called.
        images: Folder of photographs, relative to the data set's.
        labels: Folder of label PNGs, relative to the data set's.
        image_suffix: Text between the common stem and the ending of a photograph, such as `_leftImg8bit`.
        label_suffix: The same for label images, such as `_train_id`; a label without it is paired by its whole stem.
        sequence_until: The sequence is the stem's text before this; if empty, it is the first sub-folder.
    """

    split: str
    images: str
    labels: str
    image_suffix: str = ""
    label_suffix: str = ""
    sequence_until: str = ""


@dataclass
class SplitFiles:
    """One split's files by key, before they are paired.

    Attributes:
        split: What the split is called.
        images: Key to path of the photograph.
        labels: Key to path of the label image.
        sequences: Key to sequence, for every label.
        problems: What is wrong with the folders themselves.
        missing_images: Folder of photographs that is not there; empty if it is.
        missing_labels: Folder of label images that is not there; empty if it is.
        only_labelled: Photographs without labels belong to the layout and are left out.
        left_out: Path of every file that is left out to the reason.
    """

    split: str
    images: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    sequences: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    missing_images: str = ""
    missing_labels: str = ""
    only_labelled: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    def add_images(self, root: Path, folder: str, suffix: str = "") -> None:
        """Take in the photographs of a folder; their key is the path inside it without suffix and ending."""
        if not (root / folder).is_dir():
            self.missing_images = folder
            return
        self._add(self.images, root, folder, suffix, None, "photographs")

    def add_labels(self, root: Path, folder: str, suffix: str = "") -> None:
        """Take in the label images of a folder; their key is the path inside it without suffix and ending."""
        if not (root / folder).is_dir():
            self.missing_labels = folder
            return
        self._add(self.labels, root, folder, suffix, LABEL_SUFFIXES, "label images")

    def _add(
        self, files: dict[str, str], root: Path, folder: str, suffix: str, endings: frozenset[str] | None, what: str
    ) -> None:
        twice = set()
        for path in self.files(root, folder, endings):
            inside = path.relative_to(root / folder)
            key = inside.with_name(inside.stem.removesuffix(suffix) if suffix else inside.stem).as_posix()
            if key in files:
                twice.add(key)
            files[key] = path.relative_to(root).as_posix()
        if twice:
            self.problems.append(f"several {what} in {folder} share a name: {listed(sorted(twice))}")

    def files(self, root: Path, folder: str, endings: frozenset[str] | None = None, deep: bool = True) -> list[Path]:
        """Files of a folder, at any depth, with these endings, by default those of images; the others are left out."""
        found = list(walk(root / folder, endings, deep))
        self.left_out |= {one.path.relative_to(root).as_posix(): one.left_out for one in found if one.left_out}
        return [one.path for one in found if not one.left_out]


def folder_split(root: Path, pairing: Pairing) -> SplitFiles:
    """Files of one split whose photographs and labels have a folder each."""
    files = SplitFiles(pairing.split)
    files.add_images(root, pairing.images, pairing.image_suffix)
    files.add_labels(root, pairing.labels, pairing.label_suffix)
    files.sequences = {key: _sequence(key, pairing.sequence_until) for key in files.labels}
    return files


def pair(splits: Iterable[SplitFiles], where: str, photographs: bool) -> list[Scene]:
    """Scenes of all splits, sorted by split and key.

    Args:
        splits: The files.
        where: Data set, for the error.
        photographs: Whether every label must have its photograph.

    Raises:
        UnpairedError: Everything that has no partner, in one message.
    """
    scenes, problems = [], []
    for files in sorted(splits, key=lambda files: files.split):
        found = [
            (key, files.images.get(key, ""), files.labels[key], files.split, files.sequences[key])
            for key in sorted(files.labels)
        ]
        scenes += [Scene(*map(printable, names)) for names in found]
        problems += [f"{files.split}: {problem}" for problem in _problems(files, photographs)]
    if problems:
        raise UnpairedError(f"{where}: {'; '.join(problems)}")
    return scenes


def _problems(files: SplitFiles, photographs: bool) -> list[str]:
    missing = [files.missing_labels, files.missing_images if photographs else ""]
    problems = [*(f"no folder {folder}" for folder in missing if folder), *files.problems]
    # A missing folder is one problem, not one for each file that would belong to it.
    if photographs and not files.missing_images:
        problems += _lonely(files.labels, files.images, "label images have no photograph")
    if not files.missing_labels and not files.only_labelled:
        problems += _lonely(files.images, files.labels, "photographs have no label image")
    problems = problems or ([] if files.labels else ["no label image"])
    others = counted(Counter(reason for reason in files.left_out.values() if reason != HIDDEN))
    return [*problems, f"files that are left out there ({others})"] if problems and others else problems


def _lonely(these: Mapping[str, str], those: Mapping[str, str], what: str) -> list[str]:
    lonely = sorted(these[key] for key in these.keys() - those.keys())
    return [f"{len(lonely)} {what}: {listed(lonely)}"] if lonely else []


def _sequence(key: str, until: str) -> str:
    folder, _, stem = key.rpartition("/")
    return stem.partition(until)[0] if until else folder.partition("/")[0]
