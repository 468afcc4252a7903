"""All that the settings do with networks, on a graphics processor: the passes give what the processor gives."""

import numpy as np
import pytest
from helpers.bench import bench, variant

from scaling_ood.tasks import tasks

pytestmark = pytest.mark.gpu
SETTINGS = [task.name for task in tasks()]

NEAR = 0.02
"""How far outputs may differ, relative to the largest of a shard; scores, to the spread of theirs."""


@pytest.mark.parametrize("setting", SETTINGS)
def test_passes_and_scores_are_those_of_the_processor(setting, tmp_path, gpu):
    trained = bench(setting, tmp_path / "one")
    networks = trained.spec.used_networks
    trained.run(*(f"{name}.model" for name in networks))
    here = variant(trained, tmp_path / "here").run("results")
    there = variant(trained, tmp_path / "there", runtime__device=str(gpu), runtime__channels_last=True).run("results")
    for network in networks:
        for part in here.outputs(network).parts:
            expected, found = here.outputs(network).read(part), there.outputs(network).read(part)
            for field, tensor in expected.items():
                apart = (found[field].float() - tensor.float()).abs().max()
                if "mc_dropout" not in field:  # the masks are the device's own
                    assert apart <= NEAR * tensor.float().abs().max(), field
    for name in trained.spec.methods:
        expected, found = here.load(f"{name}.scores"), there.load(f"{name}.scores")
        assert found.gap == expected.gap
        one, other = found.frame["score"].to_numpy(), expected.frame["score"].to_numpy()
        assert np.isfinite(one).all()
        if len(other) and name != "mc_dropout":
            assert np.abs(one - other).max() <= NEAR * np.ptp(other), name
    assert there.load("results")["auroc"].notna().tolist() == here.load("results")["auroc"].notna().tolist()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_an_epoch_of_each_kind_of_training(setting, precision, tmp_path, gpu):
    own = bench(setting, tmp_path, runtime__device=str(gpu))
    shared = f"networks__{own.shared}"
    changes = {f"{shared}__epochs": 1, f"{shared}__seeds": [0], f"{shared}__precision": precision}
    one = variant(own, tmp_path / "one", **changes)
    for name in one.spec.used_networks:
        model = one.model(name)
        numbers = [value for row in model.history for value in row.values() if isinstance(value, float)]
        assert np.isfinite(numbers).all()
        for state in model.states().values():
            assert all(tensor.isfinite().all() for tensor in state.values() if tensor.is_floating_point())
