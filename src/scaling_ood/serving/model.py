"""The pyfunc model: rows with an image in, rows with class, anomaly score and alarm out."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel
from PIL import Image

from scaling_ood.images.opening import RefusedImageError
from scaling_ood.images.received import image_at, received_image
from scaling_ood.products.packages import read_package
from scaling_ood.tasks.deployed import Deployed
from scaling_ood.wording import listed

ARTIFACT = "package"
"""What the model calls the folder of the package."""

DEVICE, ROOT = "SCALING_OOD_DEVICE", "SCALING_OOD_IMAGE_ROOT"
"""Environment variables of who serves: on what the network runs (`auto`), and below which folder paths may lie."""

COLUMNS = ("image", "path")
"""Of which each row has one."""

_logger = logging.getLogger(__name__)


class PackagedDetector(PythonModel):
    """A network, its detector and a threshold.

    A row has an `image` (the bytes of its file, their Base64, or an array (H, W, 3) of 0..255), or, if whoever serves
    has set `SCALING_OOD_IMAGE_ROOT`, a `path` below that folder. Nothing is ever fetched. What cannot be answered is
    the client's error, with the reason for each row.
    """

    def load_context(self, context: Any) -> None:
        """Open the package."""
        package = read_package(Path(context.artifacts[ARTIFACT]))
        self.deployed = Deployed(package, os.environ.get(DEVICE, "auto"), os.environ.get(ROOT, ""))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """A row per image: `class`, `class_index`, `score`, `is_anomaly`; see docs/production.md.

        Raises:
            MlflowException: Some rows cannot be answered; status 400, with all reasons.
        """
        try:
            return pd.DataFrame(self.deployed.answers(self._images(model_input)))
        except MlflowException:
            raise
        except Exception:
            # Nothing of the inside is told to whoever asks.
            _logger.exception("a request could not be answered")
            raise MlflowException("the request could not be answered", error_code=INTERNAL_ERROR) from None

    def _images(self, model_input: pd.DataFrame) -> list[Image.Image]:
        if not isinstance(model_input, pd.DataFrame) or not set(model_input.columns) & set(COLUMNS):
            raise _refused(f"rows must have a column 'image', or 'path' where that is allowed; {_given(model_input)}")
        limits = self.deployed.limits
        if not 1 <= len(model_input) <= limits.images:
            raise _refused(f"a request has 1 to {limits.images:,} rows, not {len(model_input):,}")
        images, problems = [], []
        for number, row in enumerate(model_input.to_dict("records")):
            try:
                images.append(self._image(row))
            except RefusedImageError as error:
                problems.append(f"row {number} {error}")
        if problems:
            raise _refused(listed(problems, most=10))
        return images

    def _image(self, row: dict[Any, Any]) -> Image.Image:
        given = {name: row[name] for name in COLUMNS if name in row and not _is_missing(row[name])}
        if len(given) != 1:
            raise RefusedImageError(f"has {' and '.join(given) or 'no image'}: one of {' and '.join(COLUMNS)} is taken")
        ((name, value),) = given.items()
        read = received_image if name == "image" else image_at
        return read(value, self.deployed.limits, self.deployed.prepared.orientation)


def _refused(why: str) -> MlflowException:
    return MlflowException(why, error_code=INVALID_PARAMETER_VALUE)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _given(model_input: object) -> str:
    if isinstance(model_input, pd.DataFrame):
        return f"these have {listed([str(name)[:40] for name in model_input.columns], most=5) or 'none'}"
    return f"this is {type(model_input).__name__}"
