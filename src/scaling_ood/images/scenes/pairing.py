"""Which photograph belongs to which label image, and what has no partner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

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
        missing_images: Folder of photographs that is not there; empty if it is.
        missing_labels: Folder of label images that is not there; empty if it is.
        images: Key to path of the photograph.
        labels: Key to path of the label image.
        sequences: Key to sequence, for every label.
        problems: What is wrong with the folders themselves.
        only_labelled: Photographs without labels belong to the layout and are left out.
        left_out: Path of every file that is left out to the reason.
    """

    split: str
    missing_images: str = ""
    missing_labels: str = ""
    images: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    sequences: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    only_labelled: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    def by_key(
        self, root: Path, folder: str, suffix: str, what: str, endings: frozenset[str] | None = None
    ) -> dict[str, str]:
        """Files of a folder; their key is the path inside it without suffix and ending. `what` they are, for errors."""
        found: dict[str, str] = {}
        twice = set()
        for path in self.files(root, folder, endings):
            inside = PurePosixPath(path.relative_to(root / folder).as_posix())
            key = inside.with_name(inside.stem.removesuffix(suffix)).as_posix()
            if key in found:
                twice.add(key)
            found[key] = path.relative_to(root).as_posix()
        if twice:
            self.problems.append(f"several {what} in {folder} share a name: {listed(sorted(twice))}")
        return found

    def files(self, root: Path, folder: str, endings: frozenset[str] | None = None, deep: bool = True) -> list[Path]:
        """Files of a folder, at any depth, with these endings, by default those of images; the others are left out."""
        found = list(walk(root / folder, endings, deep))
        self.left_out |= {one.path.relative_to(root).as_posix(): one.left_out for one in found if one.left_out}
        return [one.path for one in found if not one.left_out]


def folder_split(root: Path, pairing: Pairing) -> SplitFiles:
    """Files of one split whose photographs and labels have a folder each."""
    images, labels = ("" if (root / folder).is_dir() else folder for folder in (pairing.images, pairing.labels))
    files = SplitFiles(pairing.split, missing_images=images, missing_labels=labels)
    files.images = files.by_key(root, pairing.images, pairing.image_suffix, "photographs")
    files.labels = files.by_key(root, pairing.labels, pairing.label_suffix, "label images", LABEL_SUFFIXES)
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
