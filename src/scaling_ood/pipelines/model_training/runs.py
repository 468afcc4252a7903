"""What the tracked run of a training shows, in every setting."""

from __future__ import annotations

from scaling_ood.datasets import StoredModel
from scaling_ood.parameters.common import IdentitySpec
from scaling_ood.records import RunRecord

_NOT_CURVES = frozenset({"variant", "epoch", "seconds"})


def training_record(
    model: StoredModel, architecture: str, identity: IdentitySpec, *, network: str = "", quality: str = ""
) -> RunRecord:
    """One curve per network and quantity, and how long it took.

    Args:
        model: The trained networks.
        architecture: Of all of them.
        identity: Setting and benchmark.
        network: Name of what was trained, where it is not what all detectors read.
        quality: Quantity that tells epochs apart, such as `validation_miou`: its mean over the networks, in the epoch
            that is used, is recorded as `best_validation_miou` or `last_validation_miou`, where it was measured.
    """
    curves: dict[str, list[float]] = {}
    for row in model.history:
        for quantity, value in row.items():
            if quantity not in _NOT_CURVES:
                curves.setdefault(f"{quantity}.{row['variant']}", []).append(value)
    tags = {
        "kind": "training",
        "setting": identity.setting,
        "benchmark": identity.benchmark,
        "model": architecture,
        "model_key": model.key,
        **({"network": network} if network else {}),
    }
    metrics = {"training_seconds": sum(row["seconds"] for row in model.history)}
    which = "last" if model.about.get("best_epoch") == "last" else "best"
    measured = [values for name, values in curves.items() if quality and name.startswith(f"{quality}.")]
    used = [values[-1] if which == "last" else max(values) for values in measured]
    if used:
        metrics[f"{which}_{quality}"] = sum(used) / len(used)
    name = ".".join([identity.setting, *([network] if network else []), "training"])
    return RunRecord(name, tags, model.about, metrics, curves)
