"""Fitting a detector on in-distribution images, and scoring the test images; errors that name who and where."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from scaling_ood.detectors import Detector, NonFiniteOutputError, NotApplicableError, OutputsView
from scaling_ood.detectors.outputs import no_numbers
from scaling_ood.evaluation.chunks import ImageOutputs, seed_name
from scaling_ood.metrics import NonFiniteScoreError
from scaling_ood.models import Forward
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.parameters.detectors import Method
from scaling_ood.products.preparation import Manifest
from scaling_ood.products.scores import Quality, Scores
from scaling_ood.products.stored import StoredShards
from scaling_ood.wording import listed

_logger = logging.getLogger(__name__)

_SLOW_SECONDS = 3
"""Scoring an image set shows its progress after so long: most detectors are done before."""

SCORE_COLUMNS = {"id": "str", "image_set": "str", "seed": "int64", "score": "float64"}

FitView = Callable[[Method, int], OutputsView]
"""What a detector of one seed may learn from."""


class DetectorError(ValueError):
    """A detector cannot learn from what it is given, or cannot score it."""


def no_scores() -> pd.DataFrame:
    """An empty table of scores."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in SCORE_COLUMNS.items()})


def about_scores(method: Method, outputs: StoredShards, quality: Quality) -> dict[str, Any]:
    """What a reader must know of scores: all that is known of the outputs, and how good their network is."""
    told = {"measure": quality.measure, "quality": quality.value, "by_set": dict(quality.by_set)}
    speed = outputs.items_per_second
    return {**outputs.about, "network": method.network, "outputs_per_second": speed, "network_quality": told}


def score_images(
    method: Method,
    outputs: StoredShards,
    quality: Quality,
    manifest: Manifest,
    image_sets: Sequence[str],
    fit_view: Callable[[Method, int], ImageOutputs],
    runtime: RuntimeSpec,
) -> Scores:
    """Fit on the fit images, score every image of the sets, for the network of each seed, on the device.

    Raises:
        DetectorError: The detector cannot work with the outputs.
        NonFiniteScoreError: A score is NaN; names detector, image and count.
    """
    about = about_scores(method, outputs, quality)
    if method.gap:
        return Scores(method.name, no_scores(), method.gap, method.options, about)
    blocks: list[pd.DataFrame] = []
    diagnostics: dict[str, float] = {}
    forward = Forward(runtime.device)
    device = forward.torch_device
    fitting = scoring = 0.0
    for seed in about["seeds"]:
        detector = method.build()
        started = time.perf_counter()
        try:
            fit(detector, method, fit_view(method, seed).on(device), manifest)
        except NotApplicableError as reason:
            gap = f"not applicable: {reason}"
            return Scores(method.name, no_scores(), gap, method.options, about)
        fitted_at = time.perf_counter()
        fitting += fitted_at - started
        diagnostics = diagnostics or dict(detector.diagnostics())
        for image_set in image_sets:
            view = ImageOutputs(outputs, image_set, seed_name(seed), detector.needs, device=device)
            block = score_set(detector, method.name, view, manifest.of(image_set)["id"].to_numpy())
            blocks.append(block.assign(image_set=image_set, seed=seed))
        scoring += time.perf_counter() - fitted_at
    frame = pd.concat(blocks, ignore_index=True)[list(SCORE_COLUMNS)]
    where = "cpu" if detector.on_processor else forward.device_name
    speed = len(frame) / scoring
    return Scores(method.name, frame, "", method.options, about, diagnostics, speed, fitting, where)


def score_later(
    method: Method, outputs: StoredShards, quality: Quality, manifest: Manifest, fit_view: FitView
) -> Scores:
    """The same for pixels, whose scores are made when they are measured: whether the detector has a meaning here."""
    about, gap = about_scores(method, outputs, quality), method.gap
    diagnostics: dict[str, float] = {}
    if not gap:
        try:
            for seed in about["seeds"]:
                detector = fitted(method, fit_view, seed, manifest)
                diagnostics = diagnostics or dict(detector.diagnostics())
        except NotApplicableError as reason:
            gap = f"not applicable: {reason}"
    return Scores(method.name, no_scores(), gap, method.options, about, diagnostics)


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
    ids = manifest.of(getattr(view, "image_set", "fit"))["id"].tolist()
    with naming(method.name, view, ids):
        detector.fit(view)


def score_set(detector: Detector, name: str, view: ImageOutputs, ids: Any) -> pd.DataFrame:
    """Scores of the images of a view, whose ids are given: `id`, `score`; errors as of `score_images`."""
    what = f"{name}, {view.image_set}, {view.network}"
    chunks = tqdm(view, what, len(view.names), unit="shard", mininterval=1, delay=_SLOW_SECONDS)
    with naming(name, view, list(ids)):
        score = torch.cat([detector.score(chunk).double().cpu() for chunk in chunks]).numpy()
    frame = pd.DataFrame({"id": ids, "score": score})
    missing = frame["score"].isna()
    if missing.any():
        owner = f"detector {name} in {view.image_set} (image {frame.loc[missing, 'id'].iloc[0]})"
        raise NonFiniteScoreError(int(missing.sum()), len(frame), int(missing.to_numpy().argmax()), owner)
    if infinite := int(np.isinf(score).sum()):
        _logger.warning("%s: %s of %s scores are infinite: they rank first or last", what, infinite, len(score))
    return frame


@contextmanager
def naming(detector: str, view: Any, ids: Sequence[str]) -> Iterator[None]:
    """Put detector, network and images into what libraries say of numbers that they cannot work with.

    Args:
        detector: That works.
        view: What it is given, of a stored image set.
        ids: Of all images of the view.

    Raises:
        DetectorError: In place of such an error.
    """
    try:
        yield
    except NonFiniteOutputError as error:
        every = [chunk[error.field] for chunk in view]
        bad = no_numbers(torch.cat(every), finite=error.finite)
        raise DetectorError(
            f"detector {detector}: the {error.field} of {len(bad):,} of {len(ids):,} images of {view.image_set} "
            f"are NaN or infinite ({listed([str(ids[row]) for row in bad], most=3)}; {view.network}). Delete "
            f"{view.shards.folder}: the next run makes the outputs anew, and says what they come from"
        ) from error
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise DetectorError(f"detector {detector}, {view.image_set} images, {view.network}: {error}") from error
