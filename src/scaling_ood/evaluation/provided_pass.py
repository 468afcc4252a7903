"""Outputs that a person brings, in the shards that detectors read: what a forward pass would have left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scaling_ood.evaluation.chunks import seed_name
from scaling_ood.evaluation.passes import HEADS, Pass, image_set_of
from scaling_ood.images.files import fingerprint
from scaling_ood.images.recorded import ChangedFileError
from scaling_ood.products.plans import Part
from scaling_ood.products.stored import Tensors
from scaling_ood.provided import Provided, ProvidedSet, Rows, digests
from scaling_ood.provided.scenes import logits_of, read_logits

_NETWORK = seed_name(0)


@dataclass(frozen=True)
class ProvidedPass(Pass):
    """No pass, but the same shards; `needs` are `logits` and perhaps `features`.

    Attributes:
        read: All that was brought.
    """

    read: Callable[[], Provided]

    def about(self) -> dict[str, Any]:
        """What is recorded of them."""
        return super().about() | {"device": "elsewhere"}

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """The missing shards, as `ImagePass` would leave them.

        Raises:
            ChangedFileError: Rows are not what they were when the data was prepared.
            NetworkOutputError: A number is beyond the range of the stored type.
        """
        provided = self.read()
        for part in missing:
            if part.name == HEADS:
                head = provided.head
                yield HEADS, {} if head is None else {f"{_NETWORK}/{k}": each for k, each in head._asdict().items()}
        wanted = {part.name for part in missing}
        for image_set in dict.fromkeys(image_set_of(part.name) for part in missing if part.name != HEADS):
            for part, rows in self._shards(image_set, provided.sets[image_set]):
                if part.name in wanted:
                    yield part.name, self._kept(part, rows, image_set)

    def _shards(self, image_set: str, own: ProvidedSet) -> Iterator[tuple[Part, Tensors]]:
        """Cut the files of a set into shards; one may end in the middle of a file."""
        queue = self.parts([image_set])
        held: list[Tensors] = []
        for read in own.parts:
            held.append(self._fields(read()))
            while queue and sum(len(block["logits"]) for block in held) >= queue[0].items:
                part = queue.pop(0)
                whole = {name: torch.cat([block[name] for block in held]) for name in held[0]}
                yield part, {name: tensor[: part.items] for name, tensor in whole.items()}
                held = [{name: tensor[part.items :] for name, tensor in whole.items()}]
        if queue:
            raise changed(self.setting, image_set, "has fewer rows")

    def _fields(self, rows: Rows) -> Tensors:
        fields = (
            {"logits": rows.logits} if rows.features is None else {"logits": rows.logits, "features": rows.features}
        )
        return fields

    def _kept(self, part: Part, rows: Tensors, image_set: str) -> Tensors:
        recorded = self.rows_of(part)
        if digests(Rows(rows["logits"], rows.get("features"))) != recorded["content"].tolist():
            raise changed(self.setting, image_set, "holds other numbers")
        kept, faults = {}, {}
        for need in map(str, self.needs):
            kept[f"{_NETWORK}/{need}"], faults[f"{_NETWORK}/{need}"] = self.check.keep(
                need, rows[need], self.dtype_of(need)
            )
        self.check.refuse(faults, recorded["id"].tolist(), image_set)
        return kept


@dataclass(frozen=True)
class ProvidedScenePass(Pass):
    """The same for pixels: the logits of each scene as one scale, on the grid that they have.

    Attributes:
        folder: Of all logits.
    """

    folder: str

    def about(self) -> dict[str, Any]:
        """What is recorded of them."""
        return super().about() | {"device": "elsewhere"}

    def __call__(self, missing: Sequence[Part]) -> Iterator[tuple[str, Tensors]]:
        """The missing shards, as `ScenePass` would leave them.

        Raises:
            ChangedFileError: A file is not what it was when the data was prepared.
            NetworkOutputError: A number is beyond the range of the stored type.
        """
        for part in missing:
            tensors: Tensors = {}
            rows = self.rows_of(part)
            image_set = image_set_of(part.name)
            for number, (name, content) in enumerate(zip(rows["id"], rows["content"], strict=True)):
                place = logits_of(Path(self.folder), name.split("/", 1)[1])
                if fingerprint(place.read_bytes()) != content:
                    raise changed(self.setting, name, "holds other numbers")
                kept, faults = self.check.keep("logits", read_logits(place)[None], self.dtype_of("logits"))
                self.check.refuse({f"{_NETWORK}/logits": faults}, [name], image_set)
                tensors[f"{number:05d}/{_NETWORK}/logits/0"] = kept
            yield part.name, tensors


def changed(setting: str, what: str, how: str) -> ChangedFileError:
    """The error that names what is other than it was."""
    return ChangedFileError(
        f"{setting}: {what} {how} than when the data was prepared. Prepare it anew: "
        f"kedro run --to-outputs {setting}.manifest"
    )
