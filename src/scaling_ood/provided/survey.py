"""Are outputs that a person brings what they are taken for? Everything that is wrong is told at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import pandas as pd
import torch

from scaling_ood.detectors import LinearHead
from scaling_ood.provided.formats import ProvidedError
from scaling_ood.provided.sets import CLASSES, IN_DIST, Provided, ProvidedSet, Rows
from scaling_ood.wording import listed

_CLOSE = 1e-3
"""How far the sum of a row of probabilities may be from 1."""

_ALIKE = 0.05
"""How far logits may be from what the last layer makes of the features, in standard deviations of the logits."""

_ENOUGH = 8
"""Fewer rows may look like probabilities by chance."""

_FEATURES = "the features must be what enters the last layer, and the logits what leaves it, before any temperature"


@dataclass(frozen=True)
class Surveyed:
    """What was found.

    Attributes:
        rows: A row per image: `id`, `image_set`, `number`, `content`, and `target`: an index, indices joined by `;`, or
            None.
        classes: Width of the logits.
        features: Width of the features; 0 where not every set has them.
        multi_hot: Whether targets are several classes per image; None where there are none.
    """

    rows: pd.DataFrame
    classes: int
    features: int
    multi_hot: bool | None


def survey(provided: Provided, sigmoid: bool) -> Surveyed:
    """Look at every row once.

    Args:
        provided: All sets.
        sigmoid: Whether a sigmoid follows the logits, or a softmax.

    Raises:
        ProvidedError: Rows that cannot be read, NaN or infinite ones, widths that differ, targets or ids that
            cannot be, logits that are probabilities, a last layer that makes other logits; all of it, a line each.
    """
    problems: list[str] = []
    tables, seen = [], list[tuple[str, Rows, _Look]]()
    for one in provided.sets.values():
        numbers = count()
        for rows in _readable(one, problems):
            look = _Look.at(rows, provided.head, sigmoid)
            light = Rows(rows.logits[:0], None if rows.features is None else rows.features[:0], rows.targets)
            seen.append((one.name, light, look))
            tables.append(_table(one.name, rows, numbers))
    problems += [told for name, rows, look in seen for told in look.problems(name, rows)]
    problems += _widths(seen, provided)
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if likely := _probabilities(seen, sigmoid):  # which no last layer makes
        problems = [*likely, *(told for told in problems if _FEATURES not in told)]
    if not problems:
        problems += _doubled(table)
    if problems:
        raise ProvidedError("\n".join(dict.fromkeys(problems)))
    with_features = all(rows.features is not None for _, rows, _ in seen)
    first = seen[0][1]
    width = first.features.shape[1] if with_features and first.features is not None else 0
    hot = {rows.targets.ndim > 1 for _, rows, _ in seen if rows.targets is not None}
    return Surveyed(table, first.logits.shape[1], width, hot.pop() if hot else None)


@dataclass(frozen=True)
class _Look:
    """What one block of rows looks like."""

    rows: int
    bad: dict[str, int]
    in_unit: bool
    sums_to_one: bool
    normalised: bool
    apart: float

    @classmethod
    def at(cls, rows: Rows, head: LinearHead | None, sigmoid: bool) -> _Look:
        logits = rows.logits.float()
        # An infinite logit has a meaning: a class that is ruled out.
        bad = {"logits": int(logits.isnan().any(dim=1).sum())}
        if rows.features is not None:
            bad["features"] = int((~rows.features.isfinite()).any(dim=1).sum())
        apart = 0.0
        fits = head is not None and rows.features is not None and rows.features.shape[1] == head.weight.shape[1]
        if fits and len(rows) and not any(bad.values()) and logits.shape[1] == len(head.weight):  # type: ignore[union-attr]
            made = head.logits(rows.features).float()  # type: ignore[union-attr, arg-type]
            apart = float((made - logits).abs().max() / logits.std().clamp_min(1e-9))
        return cls(
            rows=len(rows),
            bad={name: each for name, each in bad.items() if each},
            in_unit=bool(((logits >= 0) & (logits <= 1)).all()),
            sums_to_one=not sigmoid and bool(((logits.sum(dim=1) - 1).abs() < _CLOSE).all()),
            normalised=not sigmoid and bool((logits.logsumexp(dim=1).abs() < _CLOSE).all()),
            apart=apart,
        )

    def problems(self, name: str, rows: Rows) -> Iterator[str]:
        for field, number in self.bad.items():
            what = "NaN" if field == "logits" else "NaN or infinite"
            yield f"{name}: the {field} of {number:,} of {self.rows:,} images are {what}"
        if self.apart > _ALIKE:
            yield (
                f"{name}: head makes other logits of the features, by up to {self.apart:.2g} standard deviations: "
                f"{_FEATURES}"
            )
        if not self.rows:
            yield f"{name}: there are no rows"
        if rows.targets is not None:
            yield from _wrong_targets(name, rows.targets, rows.logits.shape[1])


def _readable(one: ProvidedSet, problems: list[str]) -> Iterator[Rows]:
    for read in one.parts:
        try:
            yield read()
        except ProvidedError as error:
            problems.append(str(error))


def _wrong_targets(name: str, targets: torch.Tensor, classes: int) -> Iterator[str]:
    known = targets[targets.isfinite()] if targets.ndim == 1 else targets
    if targets.ndim > 1:
        if targets.shape[1] != classes:
            yield f"{name}: targets (N, C) have {targets.shape[1]:,} columns, the logits {classes:,}"
        elif not bool(((targets == 0) | (targets == 1)).all()):
            yield f"{name}: targets (N, C) must be 0 or 1"
    elif name in IN_DIST and len(known) and not bool(((known >= -1) & (known < classes) & (known % 1 == 0)).all()):
        low, high = float(known.min()), float(known.max())
        yield (
            f"{name}: targets must be classes 0 to {classes - 1:,}, or -1 where they are not known (given: {low:g} to "
            f"{high:g})"
        )


def _widths(seen: list[tuple[str, Rows, _Look]], provided: Provided) -> list[str]:
    problems = []
    widths = {name: rows.logits.shape[1] for name, rows, _ in seen}
    wide = {name: rows.features.shape[1] for name, rows, _ in seen if rows.features is not None}
    head = provided.head
    for what, found, own in (
        ("logits", widths, len(head.weight) if head else 0),
        ("features", wide, head.weight.shape[1] if head else 0),
    ):
        known = {**found, **({"head": own} if own and found else {})}
        if len(set(known.values())) > 1:
            problems.append(f"the {what} have different widths: {', '.join(f'{k} {v:,}' for k, v in known.items())}")
    classes = len(provided.classes)
    if classes and widths and classes not in widths.values():
        problems.append(f"{CLASSES} names {classes:,} classes, the logits have {next(iter(widths.values())):,}")
    return problems


def _probabilities(seen: list[tuple[str, Rows, _Look]], sigmoid: bool) -> list[str]:
    before = "the sigmoid" if sigmoid else "the softmax"
    problems = []
    for name in dict.fromkeys(name for name, _, _ in seen):
        looks = [look for owner, _, look in seen if owner == name]
        if sum(look.rows for look in looks) < _ENOUGH:
            continue
        if all(look.in_unit and (sigmoid or look.sums_to_one) for look in looks):
            problems.append(f"{name}: the logits look like probabilities: give what enters {before}")
        elif all(look.normalised for look in looks):
            problems.append(f"{name}: the logits look like log-probabilities: give what enters {before}")
    return problems


def _doubled(table: pd.DataFrame) -> list[str]:
    again = table.loc[table["id"].duplicated(), "id"]
    return [f"ids name {len(again):,} images twice: {listed(list(again), most=3)}"] if len(again) else []


def _table(name: str, rows: Rows, numbers: Iterator[int]) -> pd.DataFrame:
    own = [next(numbers) for _ in range(len(rows))]
    ids = [f"{name}/{each}" for each in (rows.ids if rows.ids is not None else [f"{number:06d}" for number in own])]
    return pd.DataFrame(
        {"id": ids, "image_set": name, "number": own, "content": digests(rows), "target": _targets(rows)}
    )


def digests(rows: Rows) -> list[str]:
    """16 hexadecimal digits over the numbers of each row, in the order of the rows.

    >>> len(digests(Rows(torch.zeros(2, 3)))[0])
    16
    """
    held = [each for each in (rows.logits, rows.features) if each is not None]
    blocks = [np.ascontiguousarray(each.float().numpy()) for each in held]
    return [_digest(*(block[row].tobytes() for block in blocks)) for row in range(len(rows))]


def _digest(*contents: bytes) -> str:
    found = hashlib.blake2b(digest_size=8)
    for content in contents:
        found.update(content)
    return found.hexdigest()


def _targets(rows: Rows) -> list[str | None]:
    if rows.targets is None:
        return [None] * len(rows)
    if rows.targets.ndim > 1:
        return [";".join(map(str, each.nonzero().flatten().tolist())) for each in rows.targets]
    return [str(int(each)) if each == each and each >= 0 else None for each in rows.targets.tolist()]  # noqa: PLR0124
