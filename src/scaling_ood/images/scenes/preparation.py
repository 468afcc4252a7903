"""From a folder of labelled scenes to its manifest, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scaling_ood.images.exif import Orientation
from scaling_ood.images.manifest import left_out
from scaling_ood.images.scenes import tables
from scaling_ood.images.scenes.labels import LabelMap
from scaling_ood.images.scenes.listing import LAYOUTS, list_scenes
from scaling_ood.images.scenes.pairing import Pairing, Scene
from scaling_ood.images.scenes.reading import count_labels
from scaling_ood.images.scenes.splits import SplitRule, mark_subsets, split_by_content
from scaling_ood.images.scenes.survey import set_apart, survey
from scaling_ood.storage import place


class LabelKindError(ValueError):
    """A copy's label ids are of another kind than the label map that it is read with."""


@dataclass(frozen=True)
class SceneSource:
    """A data set of labelled scenes and how it is read.

    Attributes:
        name: Starts every id.
        folder: The data set's own folder.
        layout: One of `LAYOUTS`.
        label_map: A label map, or the name of one that ships; None is the layout's usual one.
        rule: Roles of the images; None is the layout's own.
        splits: Which of the data set's own splits to use; None uses all.
        pairings: Folders of each split, for `paired_folders`.
        photographs: Whether the photographs must be there.
        orientation: How photographs with an EXIF orientation lie under their labels; None refuses them.
        looks: Whether photographs get a perceptual hash, to find those that look alike.
    """

    name: str
    folder: str | Path
    layout: str
    label_map: LabelMap | str | None = None
    rule: SplitRule | None = None
    splits: Sequence[str] | None = None
    pairings: Sequence[Pairing] = ()
    photographs: bool = True
    orientation: Orientation | None = None
    looks: bool = False


def label_map_of(layout: str, label_map: LabelMap | str | None = None) -> LabelMap:
    """The label map to read a layout with.

    A shipped map must be one of the layout's: BDD100K's two kinds of label images differ by a shift that no error
    would show.

    Raises:
        ValueError: An unknown layout or map, a map that does not fit, or none where the layout has no usual one.
    """
    if isinstance(label_map, LabelMap):
        return label_map
    fitting = LAYOUTS[layout].label_maps
    if label_map is None and not fitting:
        raise ValueError(f"{layout} needs a label map: what each id of its label images means")
    name = fitting[0] if label_map is None else label_map
    found = tables.label_map(name)
    if fitting and name not in fitting:
        raise ValueError(f"label map {name} does not fit the layout {layout} (fitting: {', '.join(fitting)})")
    return found


def rule_of(layout: str, rule: SplitRule | None = None) -> SplitRule:
    """The split of a layout: the given one, or its own.

    Raises:
        ValueError: An unknown layout, or none is given where the layout has none.
    """
    own = rule or LAYOUTS[layout].rule
    if own is None:
        raise ValueError(f"{layout} needs a split rule: the role of each split")
    return own


def prepare_scenes(
    source: SceneSource, workers: int = 2, most: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The manifest of a data set, the images set apart, and the files that are left out.

    Args:
        source: What to read.
        workers: Files that are read at a time.
        most: Largest tolerated share of images that cannot be used.

    Returns:
        Columns of the manifest: `survey.COLUMNS`, `image_set` and, where the layout has subsets and all its splits are
        used, `subsets`; nothing is copied. The other two tables: `id`, `data_set`, `path`, `problem`.

    Raises:
        ValueError: What `list_scenes`, `set_apart`, `split_by_content` and `mark_subsets` raise.
        LabelKindError: The layout is found with several kinds of ids, and those of this copy do not fit the map.
        FileNotFoundError: The data set's folder is missing.
    """
    label_map, rule = label_map_of(source.layout, source.label_map), rule_of(source.layout, source.rule)
    folder = place(str(source.folder))
    scenes, others = list_scenes(source.layout, folder, source.splits, source.photographs, source.pairings)
    table = survey(source.name, scenes, folder, label_map, workers, source.orientation, source.looks)
    _refuse_other_ids(source.layout, label_map, table, scenes, folder, most)
    good, bad = set_apart(table, most)
    manifest = split_by_content(good, rule)
    subsets = LAYOUTS[source.layout].subsets
    if subsets and source.rule is None and source.splits is None:
        manifest = mark_subsets(manifest, subsets)
    return manifest, bad, left_out(source.name, others)


def _refuse_other_ids(
    layout: str, label_map: LabelMap, table: pd.DataFrame, scenes: Sequence[Scene], folder: Path, most: float
) -> None:
    """Stop where another map of the layout gives the ids another meaning, and the copy does not look like this one.

    It does not where more images than are tolerated hold unknown ids, or where nothing is anomalous.
    """
    fitting = [tables.label_map(name) for name in LAYOUTS[layout].label_maps]
    others = [each for each in fitting if _known(each) != _known(label_map)]
    if not others or label_map.name not in {each.name for each in fitting}:
        return
    if table["anomalous"].any() and table["problem"].str.startswith("label ids").mean() <= most:
        return
    held = np.stack([count_labels(folder / scene.label_path).pixels > 0 for scene in scenes]).sum(axis=0)  # (256,)
    found = np.flatnonzero(held).tolist()
    fits = [each.name for each in others if not each.unknown_ids(found) and any(held[each.ids("anomaly")])]
    advice = f"they are those of {' and '.join(fits)} (data.label_map)" if fits else "no map of this layout fits them"
    counts = ", ".join(f"{each} in {held[each]:,}" for each in found[:_MOST_IDS])
    anomalous = ", ".join(map(str, label_map.ids("anomaly")))
    raise LabelKindError(
        f"the label ids of {folder} do not fit {label_map.name} (anomalous: {anomalous}). "
        f"Found in {len(scenes):,} label images: {counts}{', …' if len(found) > _MOST_IDS else ''}; {advice}"
    )


def _known(label_map: LabelMap) -> frozenset[tuple[int, str]]:
    """Ids, and which of them are anomalous."""
    return frozenset((row.raw_id, row.role if row.role == "anomaly" else "") for row in label_map.rows)


_MOST_IDS = 20
