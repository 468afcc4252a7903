"""Fingerprints of weights: of their content, and of nothing else."""

import torch

from scaling_ood.models import weights_digest

STATE = {"head.weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(4), "empty": torch.empty(0)}


def test_a_fingerprint_ignores_the_order_of_the_entries_and_of_memory() -> None:
    turned = {name: STATE[name] for name in reversed(STATE)} | {"head.weight": STATE["head.weight"].T.contiguous().T}
    assert weights_digest(turned) == weights_digest(STATE)
    assert len(weights_digest(STATE)) == 20


def test_a_fingerprint_changes_with_names_values_types_and_shapes() -> None:
    weight = STATE["head.weight"]
    others = [
        {**STATE, "head.weight": weight + 1e-6},
        {**STATE, "head.weight": weight.double()},
        {**STATE, "head.weight": weight.reshape(3, 2)},
        {**STATE, "empty": torch.empty(0, 2)},
        {**{name: tensor for name, tensor in STATE.items() if name != "steps"}, "step": STATE["steps"]},
        {name: tensor for name, tensor in STATE.items() if name != "empty"},
    ]
    assert len({weights_digest(STATE), *map(weights_digest, others)}) == 7
