"""Places365 and Places-Extra69: flat folders or folders by letter, and lists that say which image is of which class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling_ood.images.layouts import LayoutError
from scaling_ood.images.listing import LAYOUTS, UNLISTED, Entry, Wanted
from scaling_ood.images.walking import walk
from scaling_ood.wording import listed


@dataclass(frozen=True)
class ListedSplit:
    """A split: the folder that holds its images, and the list that names them.

    Attributes:
        split: Its name.
        folder: Below the data set's folder.
        listing: A line per image: its path below the folder, and the class index unless the split is unlabelled.
        labelled: Whether the list says classes.
    """

    split: str
    folder: str
    listing: str
    labelled: bool = True


_CATEGORIES = "categories_places365.txt"
_EXTRA_CATEGORIES = "categories_extra69.txt"
_PLACES365 = (
    # data_256 is what the archives hold, data_256_standard what torchvision renames it to.
    *(
        ListedSplit("train", folder, "places365_train_standard.txt")
        for folder in ("data_256_standard", "data_256", "data_large_standard", "data_large")
    ),
    *(ListedSplit("val", folder, "places365_val.txt") for folder in ("val_256", "val_large")),
    *(ListedSplit("test", folder, "places365_test.txt", labelled=False) for folder in ("test_256", "test_large")),
)
_PLACES69 = tuple(
    ListedSplit(split, folder, listing.format(split))
    for split in ("train", "test")
    for folder, listing in (("data_256_extra", "extra69_{}.txt"), ("data_large_extra", "extra69_large_{}.txt"))
)


@LAYOUTS.reader(
    "places365",
    f"{{val,test}}_256/<image>, data_256/<image>, their lists and {_CATEGORIES}",
    [_CATEGORIES, f"filelist*/{_CATEGORIES}"],
)
def _places365(root: Path, wanted: Wanted) -> list[Entry]:
    """Places365-Standard: `val_256/Places365_val_<number>.jpg` with `places365_val.txt`, and so on.

    Of the small (`_256`) and the large images of a split the small ones are taken where both are there. Lists and
    `categories_places365.txt` lie beside them, or in a folder `filelist…`. The test split has no classes. The sorted
    class names are in the order of the published heads.
    """
    return _listed(root, wanted, _PLACES365, _CATEGORIES)


@LAYOUTS.reader(
    "places69",
    f"data_256_extra/<letter>/<class>/<image>, extra69_{{train,test}}.txt and {_EXTRA_CATEGORIES}",
    [_EXTRA_CATEGORIES, f"filelist*/{_EXTRA_CATEGORIES}"],
)
def _places69(root: Path, wanted: Wanted) -> list[Entry]:
    """Places-Extra69: `data_256_extra/<letter>/<class>/*` with `extra69_{train,test}.txt`.

    Or `data_large_extra` with `extra69_large_{train,test}.txt`; and `categories_extra69.txt`.
    """
    return _listed(root, wanted, _PLACES69, _EXTRA_CATEGORIES)


def places365_classes(root: Path) -> tuple[str, ...]:
    """The 365 classes in the order of the published heads, which is alphabetical.

    Raises:
        FileNotFoundError: There is no `categories_places365.txt`.
        LayoutError: It is not in that order.
    """
    if _find(root, _CATEGORIES) is None:
        raise FileNotFoundError(f"{_CATEGORIES} not in {root}: it says which classes there are")
    return tuple(_classes(_lines(root, _CATEGORIES), _CATEGORIES))


def _listed(root: Path, wanted: Wanted, known: Sequence[ListedSplit], categories: str) -> list[Entry]:
    there: dict[str, ListedSplit] = {}
    for each in known:
        if (root / each.folder).is_dir():
            there.setdefault(each.split, each)
    if not there:
        raise FileNotFoundError(f"no folder of images in {root}; looked for {listed([each.folder for each in known])}")
    chosen = [each for each in there.values() if wanted.split(each.split)]
    labelled = any(each.labelled for each in chosen)
    missing = [
        name for name in [*(each.listing for each in chosen), *([categories] * labelled)] if not _find(root, name)
    ]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)} not in {root}: they say which images there are, of which class")
    classes = _classes(_lines(root, categories), categories) if labelled else []
    return [entry for each in chosen for entry in _entries(root, each, classes)]


def _entries(root: Path, split: ListedSplit, classes: Sequence[str]) -> list[Entry]:
    folder = root / split.folder
    there = {found.path.relative_to(folder).as_posix(): found.left_out for found in walk(folder)}
    entries, absent, wrong, named = [], [], [], set()
    for line in _lines(root, split.listing):
        path, _, index = line.partition(" ")
        path = path.lstrip("/")
        named.add(path)
        if path not in there:
            absent.append(path)
        elif there[path]:
            entries.append(Entry(f"{split.folder}/{path}", split.split, "", there[path]))
        elif not split.labelled:
            entries.append(Entry(f"{split.folder}/{path}", split.split, ""))
        elif index.strip().isdecimal() and int(index) < len(classes):
            entries.append(Entry(f"{split.folder}/{path}", split.split, classes[int(index)]))
        else:
            wrong.append(line)
    problems = []
    if absent:
        problems.append(f"{len(absent):,} of its images are not in {split.folder}: {listed(absent)}")
    if wrong:
        problems.append(f"{len(wrong):,} lines have no class index below {len(classes)}: {listed(wrong)}")
    if problems:
        raise LayoutError(f"{split.listing} of {root}: {'; '.join(problems)}")
    others = [(path, reason or UNLISTED) for path, reason in there.items() if path not in named]
    return entries + [Entry(f"{split.folder}/{path}", split.split, "", reason) for path, reason in others]


def _classes(lines: Sequence[str], name: str) -> list[str]:
    """Lines such as `/b/bow_window/indoor 63`; the class is what follows the letter."""
    pairs = [line.rsplit(" ", 1) for line in lines]
    problems = [line for line, pair in zip(lines, pairs, strict=True) if len(pair) != 2 or not line.startswith("/")]  # noqa: PLR2004
    if problems or not lines:
        raise LayoutError(f"{name}: no `/<letter>/<class> <index>`: {listed(problems) or 'an empty file'}")
    names = [label.split("/", 2)[2] for label, _ in pairs]
    # A label is an index into the sorted names, and a published head knows the file's order: they must agree.
    if [index for _, index in pairs] != [str(number) for number in range(len(pairs))] or names != sorted(names):
        raise LayoutError(f"{name}: the classes are not in alphabetical order, numbered from 0")
    return names


def _lines(root: Path, name: str) -> list[str]:
    path = _find(root, name)
    assert path is not None
    return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


def _find(root: Path, name: str) -> Path | None:
    return next((path for path in (root / name, *sorted(root.glob(f"filelist*/{name}"))) if path.is_file()), None)
