"""Background (the paper, section 5): the posterior of the class that holds everything else is the anomaly score."""

from __future__ import annotations

from typing import Literal, Self

import torch

from scaling_ood.detectors.base import (
    Detector,
    NotApplicableError,
    Outputs,
    OutputsView,
    check_choice,
    detector,
)

_NO_CLASS = "the in-distribution set has no background class"


@detector
class Background(Detector):
    """log p_b / (1 - p_b), with b the background class, which ranks as p_b does, but cannot saturate.

    The paper says that the background posterior is the score. The code released with it has the opposite sign, which
    calls background-looking pixels normal; `sign="released"` gives that.

    >>> Background().score(Outputs(torch.tensor([[0.0, 0.0], [3.0, 2.0]]))).tolist()
    [0.0, 1.0]
    """

    def __init__(self, class_index: int | None = 0, sign: Literal["paper", "released"] = "paper") -> None:
        """Set the background class, 0..C-1, None where there is none, and the sign."""
        if class_index is not None and (not isinstance(class_index, int) or class_index < 0):
            raise ValueError(f"class_index must be an integer of at least 0, or none, not {class_index!r}")
        check_choice("sign", sign, ("paper", "released"))
        self.class_index = class_index
        self.sign = sign

    def fit(self, outputs: OutputsView) -> Self:  # noqa: ARG002 - nothing to learn
        """Learn nothing.

        Raises:
            NotApplicableError: There is no background class.
        """
        if self.class_index is None:
            raise NotApplicableError(_NO_CLASS)
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
