"""The same picture in several image sets of a benchmark.

What stands on both sides makes numbers wrong: a test image that was trained on, an OOD image that is an in-distribution
one. If a share s of an OOD set are in-distribution test images, its AUROC moves by up to s / 2 towards chance, and more
where the network was trained on them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import pandas as pd

from scaling_ood.images.looks import is_flat, looks_in_bits, nearest_alike

_EXAMPLES = 3


class SharedImagesError(ValueError):
    """Too many images of one side are images of the other."""


@dataclass(frozen=True)
class Shared:
    """Images that two image sets have in common, or that one has more than once.

    Attributes:
        first: Name of an image set.
        second: Name of another, or the same name again for copies within one.
        images: Of the smaller set, that the larger one has too; within one set, those beyond the first of each.
        of: Images of the smaller set.
        examples: `<id> = <id>`, a few.
        near: Whether they only look alike, by a perceptual hash, and need not have the same bytes.
    """

    first: str
    second: str
    images: int
    of: int
    examples: tuple[str, ...]
    near: bool = False

    @property
    def share(self) -> float:
        """Of the smaller set."""
        return self.images / self.of

    def __str__(self) -> str:
        """In words."""
        same = "look like" if self.near else "have the bytes of"
        others = f"images of {self.second}" if self.second != self.first else "another one"
        examples = ", ".join(self.examples)
        return f"{self.images:,} of {self.of:,} ({self.share:.2%}) {self.first} images {same} {others} ({examples})"


def shared_images(manifest: pd.DataFrame) -> list[Shared]:
    """Images with the same bytes, for each pair of image sets and within each.

    Args:
        manifest: With `id`, `image_set` and `content`; noise has no content, and an image in two roles at once, by the
            same id, is no copy.
    """
    rows = manifest[manifest["content"] != ""]
    sizes = manifest.groupby("image_set", sort=False).size()
    copies = rows[rows["content"].duplicated(keep=False)]
    by_set = {str(name): part for name, part in copies.groupby("image_set", sort=False)}
    found = []
    for one, other in combinations_with_replacement(by_set, 2):
        first, second = _smaller_first(one, other, sizes)
        mine, theirs = by_set[first], by_set[second]
        originals = theirs.drop_duplicates("content").set_index("content")["id"]
        again = mine["content"].duplicated() if first == second else ~mine["id"].isin(theirs["id"])
        shared = mine[again & mine["content"].isin(originals.index)]
        if len(shared):
            shown = shared.head(_EXAMPLES)
            examples = [
                f"{own} = {originals[content]}" for own, content in zip(shown["id"], shown["content"], strict=True)
            ]
            found.append(Shared(first, second, len(shared), int(sizes[first]), tuple(examples)))
    return found


def alike_images(manifest: pd.DataFrame) -> list[Shared]:
    """Images that look like one of another image set, beside those with the same bytes, for each pair of sets.

    Plain pictures, of which all look alike, are not compared.

    Args:
        manifest: With `id`, `image_set`, `content` and `look`.
    """
    sizes = manifest.groupby("image_set", sort=False).size()
    rows = manifest[manifest["look"] != ""]
    rows = rows.assign(bits=looks_in_bits(rows["look"].tolist()))
    by_set = {
        str(name): part for name, part in rows[~is_flat(rows["bits"].to_numpy())].groupby("image_set", sort=False)
    }
    found = []
    for one, other in combinations(by_set, 2):
        first, second = _smaller_first(one, other, sizes)
        theirs = by_set[second]
        mine = by_set[first]
        mine = mine[~mine["content"].isin(theirs["content"]) & ~mine["id"].isin(theirs["id"])]
        nearest = nearest_alike(mine["bits"].to_numpy(), theirs["bits"].to_numpy())
        alike = nearest >= 0
        pairs = zip(mine["id"][alike].head(_EXAMPLES), theirs["id"].iloc[nearest[alike][:_EXAMPLES]], strict=True)
        if alike.any():
            examples = tuple(" = ".join(pair) for pair in pairs)
            found.append(Shared(first, second, int(alike.sum()), int(sizes[first]), examples, near=True))
    return found


def refuse_shared(found: Sequence[Shared], roles: Collection[str], most: float) -> None:
    """Make sure that hardly any image stands on both sides.

    Copies within a set, pictures that only look alike, and images of two OOD sets are no error.

    Args:
        found: From `shared_images`.
        roles: Names of the in-distribution image sets.
        most: Largest tolerated share of the smaller of two sets.

    Raises:
        SharedImagesError: A pair shares more; names all such pairs.
    """
    sides = [one for one in found if one.first != one.second and not one.near and {one.first, one.second} & {*roles}]
    if wrong := [str(one) for one in sides if one.share > most]:
        raise SharedImagesError(
            f"images stand on both sides, more than the tolerated share of {most:g} (data.most_shared): "
            f"{'; '.join(wrong)}. Remove them from one side"
        )


def _smaller_first(one: str, other: str, sizes: pd.Series[int]) -> tuple[str, str]:
    """The set with fewer images first: a share of it says most."""
    return (one, other) if sizes[one] <= sizes[other] else (other, one)
