"""Labels that one side of a benchmark lacks: hidden test labels, classes that nothing is learned of."""

from __future__ import annotations

from difflib import get_close_matches
from unicodedata import normalize

import pandas as pd

from scaling_ood.images.multi_label.labels import images_per_class
from scaling_ood.wording import listed

REMEDY = "If the labels of these images are hidden or numbered otherwise, take a split whose labels are public"


class OneSidedLabelsError(ValueError):
    """Labels with which no result would mean anything."""


def refuse_one_sided_classes(manifest: pd.DataFrame) -> None:
    """Make sure that the classes of the in-distribution images can be learned and tested.

    Args:
        manifest: With `image_set` (`train` may be missing), `class_name` and `data_set`.

    Raises:
        OneSidedLabelsError: Images without a class, classes without a training image, a single class; all at once.
    """
    names = {role: manifest.loc[manifest["image_set"] == role, "class_name"] for role in ("train", "fit", "test")}
    problems = [
        f"{role}: {int((mine == '').sum()):,} of {len(mine):,} images have no class. {REMEDY}, or a layout with classes"
        for role, mine in names.items()
        if (mine == "").any()
    ]
    if not problems and len(names["train"]):
        learned = set(names["train"])
        for role in ("fit", "test"):
            counts = names[role][~names[role].isin(learned)].value_counts().sort_index()
            if len(counts):
                told = [f"{name} with {count:,}{_meant(str(name), learned)}" for name, count in counts.items()]
                problems.append(
                    f"{role}: {len(counts)} classes have no training image, so that the network cannot know their "
                    f"images: {listed(told)}. Give each class images to train on, or remove it"
                )
        if len(learned) == 1:
            problems.append(
                f"train: all {len(names['train']):,} images are of one class, {learned.pop()}: a classifier needs two"
            )
    reference = names["train"] if len(names["train"]) else names["fit"]
    if not problems and names["test"].nunique() == 1 and reference.nunique() > 1:
        problems.append(
            f"test: all {len(names['test']):,} images are of one class, {names['test'].iloc[0]}, of "
            f"{reference.nunique():,}. {REMEDY}"
        )
    _refuse(problems)


def untested_classes(manifest: pd.DataFrame) -> list[str]:
    """Classes that are learned and have no test image, in words: a sentence, or none."""
    names = {role: set(manifest.loc[manifest["image_set"] == role, "class_name"]) for role in ("train", "fit", "test")}
    lone = sorted((names["train"] or names["fit"]) - names["test"])
    return [f"Classes without a test image ({len(lone)}): {listed(lone)}"] if lone else []


def refuse_one_sided_labels(manifest: pd.DataFrame) -> None:
    """The same for images of several classes.

    Test images may be unlabelled: the benchmark then has no mAP on them.

    Args:
        manifest: With `image_set` and `labels`, see `multi_label/labels.py`.

    Raises:
        OneSidedLabelsError: Images to train or choose on without labels, or a set that shows no class; all at once.
    """
    problems = []
    for role in ("train", "fit", "test"):
        mine = manifest.loc[manifest["image_set"] == role, ["id", "labels"]]
        labels = mine["labels"].dropna()
        absent = mine.loc[mine["labels"].isna(), "id"]
        if len(absent) and role != "test":
            problems.append(f"{role}: {len(absent):,} of {len(mine):,} images have no labels: {listed(list(absent))}")
        elif len(labels) and not (labels != "").any():
            problems.append(f"{role}: none of {len(labels):,} labelled images shows any class. {REMEDY}")
    _refuse(problems)


def unlearned_labels(manifest: pd.DataFrame, classes: tuple[str, ...]) -> list[str]:
    """Classes of several that fit or test images show and no training image does, in words: a sentence, or none."""
    counts = images_per_class(manifest, classes).reindex(columns=["name", "train", "fit", "test"], fill_value=0)
    counts["others"] = counts["fit"] + counts["test"]
    lone = counts[(counts["train"] == 0) & (counts["others"] > 0)]
    told = [f"{name} in {images:,}" for name, images in zip(lone["name"], lone["others"], strict=True)]
    return [f"{len(told)} classes are in fit or test images and in no training image: {listed(told)}"] if told else []


def _meant(name: str, known: set[str]) -> str:
    spelled = {_spelled(each): each for each in known}
    near = get_close_matches(_spelled(name), spelled, 1, cutoff=0.9)
    if not near:
        return ""
    meant = spelled[near[0]]
    if normalize("NFC", name) == normalize("NFC", meant):
        return " (a training class has the same letters in another Unicode form)"
    return f" (did you mean {meant}?)"


def _spelled(name: str) -> str:
    return normalize("NFKC", name).casefold()


def _refuse(problems: list[str]) -> None:
    if problems:
        raise OneSidedLabelsError("\n".join(problems))
