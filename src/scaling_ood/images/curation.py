"""Curation of a scraped data set: which images are dropped, and why (the paper, appendix C, "Cleaning").

Two steps, as the paper took them: images whose no-reference quality is worse than a cutoff, and images that somebody
flagged by hand. Nothing is deleted: the report names what is left out.
"""

from __future__ import annotations

from difflib import get_close_matches

import pandas as pd

from scaling_ood.images.quality import QualityMeasure
from scaling_ood.storage import place
from scaling_ood.wording import listed

REPORT_COLUMNS = ("id", "path", "class_name", "quality", "reason")


class FlagError(ValueError):
    """A list of flags cannot be used; all that is wrong with it is told."""


def read_flags(path: str, images: pd.DataFrame) -> pd.Series:
    """Manual flags: a CSV with the columns `image` (an `id` or a `path` of the listing) and `reason`.

    Args:
        path: The file.
        images: The listing that is curated, with `id` and `path`.

    Returns:
        The reason of each flagged image, by its id.

    Raises:
        FileNotFoundError: No such file.
        FlagError: A column is missing, an image is not in the listing, is named twice, or has no reason.
    """
    with place(path).open(encoding="utf-8") as file:
        flags = pd.read_csv(file, dtype=str, keep_default_na=False)
    if missing := [column for column in ("image", "reason") if column not in flags]:
        raise FlagError(f"{path} has no column {', '.join(missing)} (it has: {', '.join(flags.columns)})")
    ids = dict(zip(images["path"], images["id"], strict=True)) | dict(zip(images["id"], images["id"], strict=True))
    flags["id"] = flags["image"].map(ids)
    strangers = flags.loc[flags["id"].isna(), "image"]
    twice = flags.loc[flags["id"].duplicated() & flags["id"].notna(), "image"]
    bare = flags.loc[flags["reason"].str.strip() == "", "image"]
    problems = [
        f"{len(names):,} {what}: {listed(list(names))}{hint}"
        for names, what, hint in (
            (strangers, "images are not in the listing", _nearest(strangers, ids)),
            (twice, "images are named more than once", ""),
            (bare, "images have no reason", ""),
        )
        if len(names)
    ]
    if problems:
        raise FlagError(f"{path}: {'; '.join(problems)}")
    return flags.set_index("id")["reason"]


def curate(
    images: pd.DataFrame,
    measure: QualityMeasure | None = None,
    quality: pd.Series | None = None,
    cutoff: float | None = None,
    flags: pd.Series | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide a listing into what stays and what is dropped.

    Args:
        images: Rows with `id`, `path` and `class_name`.
        measure: What `quality` was measured with; None leaves quality out.
        quality: Value of every image, by id.
        cutoff: The worst value that stays.
        flags: Reason of every image that was flagged by hand, by id.

    Returns:
        The rows that stay, and the report: `REPORT_COLUMNS`, a row per dropped image, in the order of the listing.

    Raises:
        ValueError: Measure, quality and cutoff are not given together, or an image has no value.
    """
    given = [measure is not None, quality is not None, cutoff is not None]
    if any(given) and not all(given):
        raise ValueError("measure, quality and cutoff belong together: give all of them or none")
    reasons = {name: [f"flagged: {reason}"] for name, reason in (flags.items() if flags is not None else ())}
    values = pd.Series(float("nan"), index=images["id"])
    if measure is not None and quality is not None and cutoff is not None:
        if missing := sorted(set(images["id"]) - set(quality.index)):
            raise ValueError(f"{len(missing):,} images have no value of {measure.name}, such as {missing[0]}")
        values = quality.loc[images["id"]]
        for name, value in values.items():
            if measure.rejects(value, cutoff):
                reasons.setdefault(name, []).insert(0, _too_bad(measure, value, cutoff))
    report = images.assign(
        quality=values.to_numpy(), reason=[" and ".join(reasons.get(name, ())) for name in images["id"]]
    )
    dropped = report["reason"] != ""
    return images[~dropped].reset_index(drop=True), report.loc[dropped, list(REPORT_COLUMNS)].reset_index(drop=True)


def _too_bad(measure: QualityMeasure, value: float, cutoff: float) -> str:
    if value != value:  # noqa: PLR0124
        return f"{measure.name} is not defined"
    return f"{measure.name} {value:.1f}, {measure.worse} than {cutoff:g}"


def _nearest(strangers: pd.Series, known: dict[str, str]) -> str:
    """What the first stranger may have meant, among the images of its folder."""
    if strangers.empty:
        return ""
    name = str(strangers.iloc[0])
    beside = [each for each in known if each.rpartition("/")[0] == name.rpartition("/")[0]]
    near = get_close_matches(name, beside, 1)
    return f" (did you mean '{near[0]}'?)" if near else ""
