"""Who makes the parts of a plan: this process, one of several, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scaling_ood.engines.engine import Engine, Store
from scaling_ood.engines.local import Local
from scaling_ood.engines.ray import Ray
from scaling_ood.engines.split import Split
from scaling_ood.parameters.common import RuntimeSpec

ENGINES: Mapping[str, Callable[[RuntimeSpec], Engine]] = {
    "local": lambda _: Local(),
    # Without a turn this is the process that collects.
    "split": lambda runtime: Split(*(runtime.turn or (1, 1))),
    "ray": lambda runtime: Ray(runtime.device, runtime.address, runtime.cores_each),
}
"""Every engine, by the name that `runtime.engine` gives it."""


def engine_of(runtime: RuntimeSpec) -> Engine:
    """The engine that the parameters name."""
    return ENGINES[runtime.engine](runtime)


__all__ = ["ENGINES", "Engine", "Local", "Ray", "Split", "Store", "engine_of"]
