"""The graph of packaging, of each setting; no part of `kedro run`.

The chosen detector's scores, outputs and model, manifest, results -> package_detector -> package
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from scaling_ood.pipelines.packaging.nodes import package_detector
from scaling_ood.structure import Setting, setting_specs


def create_pipeline() -> Pipeline:
    """Packaging of every setting."""
    return Pipeline([_package(setting) for setting in setting_specs().values()])


def _package(setting: Setting) -> Node:
    spec = setting.spec
    method = spec.packaged
    inputs = {
        "manifest": "manifest",
        "model": f"{method.network}.model",
        "outputs": f"{method.network}.outputs",
        "scores": f"{method.name}.scores",
        "results": "results",
    }
    return setting.node(package_detector, inputs, "package", spec=spec)
