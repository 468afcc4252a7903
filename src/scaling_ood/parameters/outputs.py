"""Parameters of a benchmark that is made of a person's own outputs: no image is read, no network runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scaling_ood.parameters.common import AnyDataSpec, Name


class OutputsDataSpec(AnyDataSpec):
    """Outputs that lie in a folder, a file or folder for each image set; see `scaling_ood.provided`.

    Attributes:
        outputs: The folder, relative to the data root; `.` for the data root itself.
        in_dist: What tables call the in-distribution images.
    """

    outputs: str
    in_dist: Name = "in_dist"

    @property
    def train(self) -> None:
        """No network is trained."""
        return

    def photographs(self) -> dict[str, str]:
        """The folder, as one data set."""
        return {self.in_dist: self.outputs}

    def expected(self) -> dict[str, str]:
        """What it holds."""
        return {self.in_dist: "expected: outputs of test, and of OOD sets by their names (docs/own-outputs.md)"}


def images_or_outputs(raw: Any) -> str:
    """The tag of the data's parameters: what names `outputs` is made of them."""
    given = raw if isinstance(raw, Mapping) else vars(raw) if hasattr(raw, "__dict__") else {}
    return "data: outputs" if "outputs" in given else "data: images"
