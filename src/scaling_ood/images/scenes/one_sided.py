"""Labels of scenes with which no result would mean anything: hidden ones, or ones that only one side has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from scaling_ood.images.one_sided import REMEDY, OneSidedLabelsError
from scaling_ood.images.scenes.labels import LabelMap
from scaling_ood.wording import listed


def refuse_one_sided_scenes(manifest: pd.DataFrame, label_map: LabelMap) -> None:
    """Make sure that anomalies can be told from something, and that what is known can be learned.

    Args:
        manifest: Of `prepare_scenes`.
        label_map: By which it was made.

    Raises:
        OneSidedLabelsError: No test scene, or none of a subset, has anomalous and known pixels; a single class to
            train or validate on where there are several; test classes without a training pixel. All at once.
    """
    test = manifest[manifest["image_set"] == "test"]
    subsets = test["subsets"].str.split(";").explode() if "subsets" in test else pd.Series(dtype=str)
    problems = list(_sides("test", test, label_map))
    if not problems:
        for name in (name for name in subsets.unique() if name):
            problems += _sides(f"subset {name} of test", test.loc[subsets.index[subsets == name]], label_map)
    if len(label_map.classes) > 1:
        problems += _classes(manifest, label_map)
    if problems:
        raise OneSidedLabelsError("\n".join(problems))


def _sides(name: str, scenes: pd.DataFrame, label_map: LabelMap) -> Iterator[str]:
    known = scenes["height"] * scenes["width"] - scenes["anomalous"] - scenes["void"]
    if not (scenes["anomalous"] > 0).any():
        ids = ", ".join(map(str, label_map.ids("anomaly"))) or "none"
        there = sorted({each for names in scenes["classes"] for each in names.split(";")})
        yield (
            f"{name}: none of {len(scenes):,} scenes has an anomalous pixel (ids of anomalies in the label map "
            f"{label_map.name}: {ids}; what these labels hold: {listed(there)}). {REMEDY}"
        )
    elif not (known > 0).any():
        yield f"{name}: every pixel of all {len(scenes):,} scenes is anomalous or void. {REMEDY}"
    elif not ((scenes["anomalous"] > 0) & (known > 0)).any():
        yield (
            f"{name}: none of {len(scenes):,} scenes has anomalous and known pixels, so that no mean over scenes is "
            f"defined. {REMEDY}"
        )


def _classes(manifest: pd.DataFrame, label_map: LabelMap) -> Iterator[str]:
    train_ids = {row.name: row.train_id for row in label_map.rows if row.train_id is not None}
    shown: dict[str, pd.Series] = {}
    for role, scenes in manifest.groupby("image_set", sort=False):
        names = scenes["classes"].str.split(";").explode().map(train_ids).dropna().astype(int)
        # Several ids of one scene may mean the same class.
        shown[str(role)] = names.reset_index().drop_duplicates()["classes"]
    learned = set(shown.get("train", ()))
    if not learned:
        return
    for role in ("train", "validation"):
        own = set(shown.get(role, ()))
        if len(own) == 1:
            count = int((manifest["image_set"] == role).sum())
            yield (
                f"{role}: all known pixels of {count:,} scenes are of one class, {label_map.classes[own.pop()]}, of "
                f"{len(label_map.classes)}. {REMEDY}"
            )
    for role in ("validation", "test"):
        counts = Counter(shown.get(role, ()))
        lone = [f"{label_map.classes[each]} in {counts[each]:,}" for each in sorted(set(counts) - learned)]
        if lone:
            yield (
                f"{role}: {len(lone)} classes are in no training scene, so that the network cannot know their pixels: "
                f"{listed(lone)}. Add scenes to train on, or call them void or anomaly in the label map"
            )
