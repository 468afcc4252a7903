"""Background (the paper, section 5): the posterior of the class that holds everything else is the anomaly score."""

from __future__ import annotations

from typing import Literal, Self

import torch

from scaling_ood.detectors.base import Detector, NotApplicableError, detector
from scaling_ood.detectors.outputs import Outputs, OutputsView
from scaling_ood.wording import check_choice

BACKGROUNDS = frozenset({"unlabeled", "other", "background"})
"""What a class is called that holds everything without a class of its own."""

_NO_CLASS = "the in-distribution set has no background class"
_SHOWN = 30


@detector
class Background(Detector):
    """log p_b / (1 - p_b), with b the background class, which ranks as p_b does, but cannot saturate.

    The paper says that the background posterior is the score. The code released with it has the opposite sign, which
    calls background-looking pixels normal; `sign="released"` gives that.

    >>> Background().score(Outputs(torch.tensor([[0.0, 0.0], [3.0, 2.0]]))).tolist()
    [0.0, 1.0]
    """

    learns = False

    def __init__(self, class_index: int | None = 0, sign: Literal["paper", "released"] = "paper") -> None:
        """Set the background class, 0..C-1, None where there is none, and the sign."""
        if class_index is not None and (not isinstance(class_index, int) or class_index < 0):
            raise ValueError(f"class_index must be an integer of at least 0, or none, not {class_index!r}")
        check_choice("sign", sign, ("paper", "released"))
        self.class_index = class_index
        self.sign = sign

    def fit(self, outputs: OutputsView) -> Self:
        """Learn nothing, but look at the name of the class.

        Raises:
            NotApplicableError: There is no background class, the class has another name than one of `BACKGROUNDS`, or
                nobody says what the classes are called.
        """
        if self.class_index is None:
            raise NotApplicableError(_NO_CLASS)
        names = outputs.class_names
        if names is None:
            raise NotApplicableError(f"the classes have no names: class {self.class_index} may be any")
        if not BACKGROUNDS.intersection(names[self.class_index : self.class_index + 1]):
            more = ", …" if len(names) > _SHOWN else ""
            raise NotApplicableError(f"there is no background class (the classes: {', '.join(names[:_SHOWN])}{more})")
        return self

    def score(self, chunk: Outputs) -> torch.Tensor:
        """Log-odds of the background class, or their negative; range: any real number.

        Raises:
            NotApplicableError: There is no background class.
            ValueError: The network has no such class, or no other.
        """
        if self.class_index is None:
            raise NotApplicableError(_NO_CLASS)
        logits = self.read(chunk, "logits")
        classes, own = logits.shape[1], self.class_index
        if classes <= max(own, 1):
            raise ValueError(f"class_index {own} needs that class and another one, but the network has {classes}")
        others = torch.cat([logits[:, :own], logits[:, own + 1 :]], dim=1)  # (N, C - 1, ...)
        odds = logits[:, own] - others.logsumexp(dim=1)
        return odds if self.sign == "paper" else -odds
