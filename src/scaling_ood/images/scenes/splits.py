"""Which role an image plays, by what its labels show.

Roles are `train`, `validation` (the best checkpoint is chosen on it) and `test`. An image with an anomaly is never
trained on and never chosen by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from scaling_ood.wording import listed, refuse_unknown, unknown

ROLES = ("train", "validation", "test")


class SplitError(ValueError):
    """The data set does not split as the benchmark wants."""


@dataclass(frozen=True)
class SplitRule:
    """Roles by split and content.

    Attributes:
        clean: The data set's own split to the role of its images; of those without an anomaly, if `anomalous` is given.
        anomalous: Role of every image with an anomaly, whatever its split; empty: the split alone decides.
    """

    clean: Mapping[str, str]
    anomalous: str = ""

    def __post_init__(self) -> None:
        """Check the roles.

        Raises:
            ValueError: A role that does not exist.
        """
        refuse_unknown("role", [*self.clean.values(), self.anomalous or "test"], ROLES)


@dataclass(frozen=True)
class Subset:
    """Some of the test images, which get rows of their own in the results.

    Attributes:
        splits: The data set's own splits to keep; empty keeps all.
        unseen_sequences: Keep only images of sequences without a training image: video frames leak to their
            neighbours. Validation images of such a sequence may still have helped to choose the checkpoint.
    """

    splits: Sequence[str] = field(default=())
    unseen_sequences: bool = False


def split_by_content(table: pd.DataFrame, rule: SplitRule) -> pd.DataFrame:
    """The manifest: the table with each image's role as `image_set`, ordered by role, then as before.

    Raises:
        SplitError: A split without a role, a role without an image, or an anomaly in an image to train or validate
            on; all of it at once.
    """
    problems = []
    strange = sorted(set(table["split"]) - set(rule.clean))
    if strange:
        problems.append(f"no role for split {listed(strange)} (roles are given for: {', '.join(rule.clean)})")
    roles = table["split"].map(dict(rule.clean))
    if rule.anomalous:
        roles = roles.where(table["anomalous"] == 0, rule.anomalous)
    leaks = table[(roles != "test") & (table["anomalous"] > 0)]
    if len(leaks):
        problems.append(f"{len(leaks):,} images to train or validate on hold anomalies: {listed(list(leaks['id']))}")
    wanted = {role for split, role in rule.clean.items() if split in set(table["split"])} | {rule.anomalous} - {""}
    problems += [f"no image is left for the role {role}" for role in ROLES if role in wanted - set(roles)]
    if problems:
        raise SplitError("; ".join(problems))
    manifest = table.copy()
    manifest.insert(1, "image_set", roles)
    order = manifest["image_set"].map(ROLES.index)
    return manifest.loc[order.sort_values(kind="stable").index].reset_index(drop=True)


def mark_subsets(manifest: pd.DataFrame, subsets: Mapping[str, Subset]) -> pd.DataFrame:
    """The manifest with a column `subsets`: names, joined by `;`, of the subsets that a test image belongs to.

    Raises:
        SplitError: A subset names a split that is not there, or holds no test image; all such subsets are named.
    """
    test = manifest["image_set"] == "test"
    seen = set(manifest.loc[manifest["image_set"] == "train", "sequence"])
    problems, names = [], pd.Series([[] for _ in range(len(manifest))], index=manifest.index)
    for name, subset in subsets.items():
        problems += [
            f"subset {name}: " + unknown("split", split, set(manifest["split"]))
            for split in subset.splits
            if split not in set(manifest["split"])
        ]
        mine = test & manifest["split"].isin(list(subset.splits) or list(manifest["split"].unique()))
        if subset.unseen_sequences:
            mine &= ~manifest["sequence"].isin(seen | {""})
        if not mine.any():
            problems.append(f"subset {name}: no test image belongs to it")
        names[mine] = names[mine].map(lambda before, name=name: [*before, name])
    if problems:
        raise SplitError("; ".join(problems))
    return manifest.assign(subsets=names.map(";".join))


def in_subset(manifest: pd.DataFrame, name: str) -> pd.Series:
    """Whether each image belongs to that subset."""
    return manifest["subsets"].map(lambda names: name in names.split(";"))
