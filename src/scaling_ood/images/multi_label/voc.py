"""PASCAL VOC 2007 and 2012: an XML file for each image, and lists of images for each split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from xml.etree import ElementTree

from scaling_ood.images.listing import UNLISTED
from scaling_ood.images.multi_label.listing import Listing, MultiLabelImage, Problems, wanted_splits
from scaling_ood.images.multi_label.sources import LAYOUTS, HardObjects, MultiLabelSource
from scaling_ood.images.walking import Found, walk
from scaling_ood.wording import refuse_unknown

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The 20 classes in the order of VOC's own tools, which is alphabetical."""

_LISTS = "ImageSets/Main"
_EDITION = re.compile(r"VOC\d{4}")
_MALFORMED = "malformed annotations"


@LAYOUTS.reader(
    "voc",
    f"JPEGImages/<id>.jpg, Annotations/<id>.xml, {_LISTS}/<split>.txt; there, or in VOC<year> or VOCdevkit/VOC<year>",
    [f"{place}{_LISTS}" for place in ("", "VOC*/", "VOCdevkit/VOC*/")],
    ("year", "hard_objects", "unlabelled"),
)
def _voc(root: Path, source: MultiLabelSource, problems: Problems) -> Listing:
    """`JPEGImages/<id>.jpg`, `Annotations/<id>.xml` and `ImageSets/Main/<split>.txt`, one id per line.

    The folder is the data set's own or one above it, with `VOC<year>` or `VOCdevkit/VOC<year>`. Splits are `train`,
    `val` and `test`; `trainval`, the union of the first two, is read only if it is named. Images that no list names
    belong to VOC's other competitions and are left out. A test split without any annotation is unlabelled.
    """
    base = _base(root, source.year)
    lists = {path.stem: path for path in _files(base / _LISTS, frozenset({".txt"})) if not _of_one_class(path.stem)}
    own = [split for split in ("train", "val", "test") if split in lists]
    splits = own if source.splits is None else wanted_splits(source.splits, lists)
    refuse_unknown("unlabelled split", source.unlabelled, lists)
    files = list(walk(base / "JPEGImages"))
    photographs = _photographs(base, files, problems)
    annotations = {path.stem: path for path in _files(base / "Annotations", frozenset({".xml"}))}
    images = []
    for split in splits:
        names = list(_names(lists[split], problems))
        labelled = split not in source.unlabelled and _labelled(split, names, annotations, problems)
        for name in names:
            if name not in photographs:
                problems.add("images listed but absent", f"JPEGImages/{name}.jpg ({split})")
            labels = _labels(annotations.get(name), name, source.hard_objects, problems) if labelled else None
            path = photographs.get(name, base / f"JPEGImages/{name}.jpg")
            images.append(MultiLabelImage(name, path.relative_to(root).as_posix(), split, labels))
    listed = {name for path in lists.values() for name in _names(path, Problems())}
    used = {path for name, path in photographs.items() if name in listed}
    others = {one.path.relative_to(root).as_posix(): one.left_out or UNLISTED for one in files if one.path not in used}
    return Listing(CLASSES, images, others)


def _photographs(base: Path, files: Sequence[Found], problems: Problems) -> dict[str, Path]:
    """Id to image; those in sub-folders have none."""
    found: dict[str, Path] = {}
    for path in (one.path for one in files if not one.left_out and one.path.parent == base / "JPEGImages"):
        if path.stem in found:
            problems.add("images of one id", f"JPEGImages: {found[path.stem].name} and {path.name}")
        found[path.stem] = path
    return found


def _base(root: Path, year: int | None) -> Path:
    """The folder with the lists: `root` or one below it."""
    places = [root, *sorted(root.glob("VOC*")), *sorted(root.glob("VOCdevkit/VOC*"))]
    there = [path for path in places if (path / _LISTS).is_dir()]
    # A data set's own folder may have any name; where it says a year, that counts.
    named = [path for path in there if year is None or not _EDITION.fullmatch(path.name) or path.name == f"VOC{year}"]
    if len(named) == 1:
        return named[0]
    if not there:
        raise ValueError(f"voc in {root}: no {_LISTS}, neither there nor below VOC<year> or VOCdevkit/VOC<year>")
    found = ", ".join(path.relative_to(root.parent).as_posix() for path in there)
    given = "is not given" if year is None else f"is {year}"
    raise ValueError(f"voc in {root}: `year` says which edition to read, and {given} (there: {found})")


def _of_one_class(name: str) -> bool:
    # Beside `train.txt` there is a `dog_train.txt` for each class.
    return name.rpartition("_")[0] in CLASSES


def _names(path: Path, problems: Problems) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        name = line.strip()
        if name and name.split() == [name]:
            yield name
        elif name:
            problems.add("malformed lines of lists", f"{_LISTS}/{path.name}, line {number}: '{name[:40]}'")


def _labelled(split: str, names: list[str], annotations: Mapping[str, Path], problems: Problems) -> bool:
    """Whether the split has labels; only a test split may have none."""
    missing = [name for name in names if name not in annotations]
    if split == "test" and missing:
        if len(missing) < len(names):
            problems.add(
                "splits of which only a part is annotated",
                f"{split}: {len(names) - len(missing):,} of {len(names):,} images "
                f"(unlabelled: [{split}] leaves these annotations alone)",
            )
        return False
    for name in missing:
        problems.add("annotations that are absent", f"Annotations/{name}.xml ({split})")
    return True


def _labels(path: Path | None, name: str, hard_objects: HardObjects, problems: Problems) -> tuple[int, ...] | None:
    """Indices of the classes of one annotation; None where it is absent or cannot be read."""
    if path is None:
        return None
    where = f"Annotations/{path.name}"
    try:
        document = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        problems.add(_MALFORMED, f"{where}: {error}")
        return None
    if document.tag != "annotation":
        problems.add(_MALFORMED, f"{where}: its root is <{document.tag}>, not <annotation>")
        return None
    named = document.findtext("filename", name).strip()
    if Path(named).stem != name:
        problems.add("annotations of another image", f"{where} names {named}")
    present = set()
    # Parts of a person (head, hand, foot) have names too; only children of <annotation> are objects.
    for thing in document.findall("object"):
        class_name = (thing.findtext("name") or "").strip()
        difficult = (thing.findtext("difficult") or "0").strip()
        if class_name not in CLASSES:
            problems.add("unknown categories", f"{where}: {_near(class_name)}")
        elif difficult not in ("0", "1"):
            problems.add(_MALFORMED, f"{where}: difficult is '{difficult}', not 0 or 1")
        elif difficult == "0" or hard_objects == "counted":
            present.add(CLASSES.index(class_name))
    return tuple(sorted(present))


def _near(name: str) -> str:
    near = get_close_matches(name, CLASSES, 1)
    return f"'{name}'" + (f" (did you mean '{near[0]}'?)" if near else "")


def _files(folder: Path, endings: frozenset[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        path for path in sorted(folder.iterdir()) if path.suffix.lower() in endings and not path.name.startswith(".")
    ]
