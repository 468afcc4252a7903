"""Published sizes of the data sets (`expected.csv`), and in what a copy of one differs from them.

A row is a part of a data set as it was published: a split, a supercategory of Species, or the whole. An empty number is
not known, or has no meaning: classes are counted where an image has one. Nothing is known of LSUN. A difference is told
in words; whether it is an error is the caller's to say.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import pandas as pd

from scaling_ood.wording import refuse_unknown, unknown


@cache
def expected_counts() -> pd.DataFrame:
    """The table: `data_set`, `release`, `by`, `part`, `classes`, `images`, `source`.

    `by` says what the parts are: `split`, `supercategory` or `whole`.

    >>> species = expected_counts().query("data_set == 'species'")
    >>> species[["classes", "images"]].sum().tolist()
    [1316, 714379]
    """
    with resources.files(__name__).joinpath("expected.csv").open(encoding="utf-8") as file:
        return pd.read_csv(
            file,
            dtype={"classes": "Int64", "images": "Int64"},
            keep_default_na=False,
            na_values={"classes": [""], "images": [""]},
        )


def known_part(data_set: str, part: str | None = None) -> None:
    """Make sure that a data set, and a part of it, are in the table.

    Raises:
        ValueError: They are not; says the nearest match and all known ones.
    """
    known = expected_counts()
    refuse_unknown("data set", [data_set], set(known["data_set"]))
    if part is not None:
        refuse_unknown(f"part of {data_set}", [part], set(known.loc[known["data_set"] == data_set, "part"]))


def count_differences(data_set: str, images: pd.DataFrame, part: str | None = None) -> list[str]:
    """In what a copy of a data set differs from what was published.

    Args:
        data_set: One of those in `expected_counts()`.
        images: A row per image with `class_name` and `split`, before anything is drawn from it.
        part: The part that these images are, such as one supercategory read alone. By default the images tell: the
            splits that are there are compared; of supercategories all must be there.

    Returns:
        A sentence per difference, empty for a complete copy. Where there are several releases, one of them must agree;
        otherwise the differences are those from the nearest.

    Raises:
        ValueError: The data set or the part is unknown.
    """
    known = expected_counts()
    known_part(data_set, part)
    rows = known[known["data_set"] == data_set]
    by = str(rows["by"].iloc[0])
    parts = _parts(by, images) if part is None else {part: images}
    if by == "supercategory" and part is None:
        parts |= {each: images.head(0) for each in rows["part"] if each not in parts}
    releases = [_differences(release, parts) for _, release in rows.groupby("release", sort=False)]
    return min(releases, key=lambda release: release[0])[1]


def _parts(by: str, images: pd.DataFrame) -> dict[str, pd.DataFrame]:
    if by == "whole":
        return {"": images}
    names = images["split"] if by == "split" else images["class_name"].str.split("/", n=1).str[0]
    return {str(name): rows for name, rows in images.groupby(names, sort=True)}


def _differences(release: pd.DataFrame, parts: dict[str, pd.DataFrame]) -> tuple[int, list[str]]:
    """How many images too many or too few, and all differences in words."""
    name = f"{release['data_set'].iloc[0]} ({release['release'].iloc[0]})"
    by_part = {str(row["part"]): row for _, row in release.iterrows()}
    distance, told = 0, []
    for part, images in parts.items():
        if part not in by_part:
            told.append(f"{name}: {unknown('part', part, by_part)}")
            distance += len(images)
            continue
        expected = by_part[part]
        classes = images["class_name"].nunique() - int((images["class_name"] == "").any())
        for what, found in (("classes", classes), ("images", len(images))):
            if not pd.isna(expected[what]) and found != expected[what]:
                where = f"{name}, {part}" if part else name
                told.append(f"{where}: {found:,} {what}, expected {expected[what]:,} ({expected['source']})")
        distance += abs(len(images) - int(expected["images"]))
    return distance, told
