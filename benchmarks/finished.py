"""What a finished benchmark has left, for benchmarks that go on from there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from scaling_ood.structure import Setting, setting_specs


def finished(name: str) -> tuple[Setting, dict[str, Any]]:
    """A setting of the benchmark that the command line names, by default the built-in one.

    Arguments of the command line are the environment, and parameters such as `data_root=DIR`.

    Args:
        name: Of the setting.

    Returns:
        The setting; its `manifest`, and the `model` of the network that all detectors share.
    """
    params: Any = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    env = next((argument for argument in sys.argv[1:] if "=" not in argument), None)
    root = Path(__file__).parents[1]
    bootstrap_project(root)
    with KedroSession.create(root, env=env, runtime_params=params) as session:
        catalog = session.load_context().catalog
        setting = setting_specs()[name]
        products = {"manifest": "manifest", "model": f"{setting.spec.shared}.model"}
        return setting, {product: catalog[f"{name}.{own}"].load() for product, own in products.items()}
