"""Where a network's weights come from: one word in YAML, and all that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["published", "checkpoint", "trained_head", "fine_tuned", "trained", "outputs"]
Start = Literal["published", "random", "checkpoint", "outputs"]


@dataclass(frozen=True)
class Weights:
    """One member of the union.

    Attributes:
        source: Its word.
        start: What the network has before anything is trained.
        trained: What is trained here: nothing, the head on a frozen backbone, or everything.
        words: What becomes of the start, for readers.
    """

    source: Source
    start: Start
    trained: Literal["nothing", "head", "everything"]
    words: str

    @property
    def trains(self) -> bool:
        """Whether anything is trained here."""
        return self.trained != "nothing"

    def told(self, published: str, checkpoint: str = "") -> str:
        """What readers are told.

        Args:
            published: Where the architecture's published weights come from.
            checkpoint: SHA-256 of the file, where there is one.

        >>> WEIGHTS["trained_head"].told("torchvision")
        'torchvision; frozen, a head trained here'
        """
        begins = {
            "published": published,
            "random": "random initialisation",
            "checkpoint": f"checkpoint with SHA-256 {checkpoint}",
            "outputs": "not known: its outputs were brought",
        }[self.start]
        return f"{begins}{self.words}"


WEIGHTS: dict[str, Weights] = {
    each.source: each
    for each in (
        Weights("published", "published", "nothing", ""),
        Weights("checkpoint", "checkpoint", "nothing", ", as it is"),
        Weights("trained_head", "published", "head", "; frozen, a head trained here"),
        Weights("fine_tuned", "published", "everything", ", trained here"),
        Weights("trained", "random", "everything", ", trained here"),
        Weights("outputs", "outputs", "nothing", ""),
    )
}
"""`published`: as they are published, head included. `checkpoint`: those of a file (--params checkpoint=FILE), as they
are. `trained_head`: a new head on the frozen published backbone, trained on stored features. `fine_tuned`: everything,
from the published backbone. `trained`: everything, from random weights. `outputs`: of a network that is elsewhere; what
it left is given (`data.outputs`)."""
