"""Detectors that have learned on in-distribution images; errors that name who and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from scaling_ood.detectors import Detector, Need, NonFiniteOutputError, NotApplicableError, OutputsView
from scaling_ood.detectors.outputs import no_numbers
from scaling_ood.evaluation.chunks import ImageOutputs
from scaling_ood.models import Forward
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.preparation import Manifest
from scaling_ood.wording import listed

FitView = Callable[[Method, int], OutputsView]
"""What a detector of one seed may learn from."""

Ids = Callable[[], Sequence[str]]
"""Gives the ids of all images of a view, where an error names some."""

SCORE, TOLD = "score", "told"
"""Names of what is stored of `Fitted.scored`."""


class DetectorError(ValueError):
    """A detector cannot learn from what it is given, or cannot score it."""


@dataclass(frozen=True)
class Fitted:
    """A detector that has learned what it learns, or the reason why it has no meaning here.

    Attributes:
        name: In tables.
        detector: Without a meaning where there is a gap.
        gap: The reason; empty where there is none.
        forward: Where it scores.
    """

    name: str
    detector: Detector
    gap: str
    forward: Forward

    @classmethod
    def of(
        cls,
        method: Method,
        fit_view: Callable[[Method, int], ImageOutputs],
        seed: int,
        manifest: Manifest,
        forward: Forward,
    ) -> Fitted:
        """Fit a detector, on the device.

        Raises:
            DetectorError: It cannot learn from the outputs.
        """
        detector, gap = method.build(), ""
        try:
            with forward.arithmetic():
                fit(detector, method, fit_view(method, seed).on(forward.torch_device), manifest)
        except NotApplicableError as reason:
            gap = f"not applicable: {reason}"
        return cls(method.name, detector, gap, forward)

    @property
    def needs(self) -> frozenset[str | Need]:
        """What it reads."""
        return self.detector.needs

    def scored(self, view: ImageOutputs, shard: str, ids: Ids) -> tuple[torch.Tensor, dict[str, Any]]:
        """Scores (N,), float64, of the images of a shard; and what is told of the detector: gap, diagnostics, device.

        Without a meaning there are no scores.

        Args:
            view: Of the shard's image set.
            shard: Its name.
            ids: Gives the ids of all images of the view, for errors.

        Raises:
            DetectorError: It cannot score the outputs.
        """
        if self.gap:
            return torch.empty(0, dtype=torch.float64), {"gap": self.gap}
        with naming(self.name, view, ids), self.forward.arithmetic():
            chunk = view.on(self.forward.torch_device).chunk(shard)
            score = self.detector.score(chunk).double().cpu()
        diagnostics = {name: float(number) for name, number in self.detector.diagnostics().items()}
        device = "cpu" if self.detector.on_processor else self.forward.device_name
        return score, {"gap": "", "diagnostics": diagnostics, "device": device}


def fitted(method: Method, fit_view: FitView, seed: int, manifest: Manifest) -> Detector:
    """A detector that has learned what it learns.

    Raises:
        NotApplicableError: It has no meaning here.
        DetectorError: It cannot learn from the outputs.
    """
    detector = method.build()
    fit(detector, method, fit_view(method, seed), manifest)
    return detector


def fit(detector: Detector, method: Method, view: OutputsView, manifest: Manifest) -> None:
    """Let a detector learn."""

    def ids() -> list[str]:
        found: list[str] = manifest.of(getattr(view, "image_set", "fit"))["id"].tolist()
        return found

    with naming(method.name, view, ids):
        detector.fit(view)


@contextmanager
def naming(detector: str, view: Any, ids: Ids) -> Iterator[None]:
    """Put detector, network and images into what libraries say of numbers that they cannot work with.

    Args:
        detector: That works.
        view: What it is given, of a stored image set.
        ids: Gives those of all images of the view.

    Raises:
        DetectorError: In place of such an error.
    """
    try:
        yield
    except NonFiniteOutputError as error:
        every, names = [chunk[error.field] for chunk in view], ids()
        bad = no_numbers(torch.cat(every), finite=error.finite)
        raise DetectorError(
            f"detector {detector}: the {error.field} of {len(bad):,} of {len(names):,} images of {view.image_set} "
            f"are NaN or infinite ({listed([str(names[row]) for row in bad], most=3)}; {view.network}). Delete "
            f"{view.shards.folder}: the next run makes the outputs anew, and says what they come from"
        ) from error
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise DetectorError(f"detector {detector}, {view.image_set} images, {view.network}: {error}") from error
