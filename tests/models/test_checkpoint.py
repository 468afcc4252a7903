"""Weights from files that people provide."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from scaling_ood.models import CheckpointError, read_checkpoint, refuse_misfit


@pytest.fixture
def state():
    return {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", None])
def test_a_state_dict_is_found_wherever_it_is_kept(tmp_path, state, key):
    torch.save(state if key is None else {"epoch": 3, key: state}, tmp_path / "weights.pth")
    found = read_checkpoint(str(tmp_path / "weights.pth"))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_the_prefix_of_parallel_training_is_taken_off(tmp_path, state):
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "weights.pth")
    assert read_checkpoint(str(tmp_path / "weights.pth")).keys() == state.keys()


def test_safetensors_are_read(tmp_path, state):
    save_file(state, tmp_path / "weights.safetensors")
    assert torch.equal(read_checkpoint(str(tmp_path / "weights.safetensors"))["bias"], state["bias"])


class Harmful:
    """What a pickle could run."""

    def __reduce__(self):
        return (print, ("run",))


def test_no_code_of_a_file_is_run(tmp_path, capsys):
    (tmp_path / "weights.pth").write_bytes(pickle.dumps({"state_dict": Harmful()}))
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        read_checkpoint(str(tmp_path / "weights.pth"))
    assert "run" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"state_dict": {"weight": "no tensor"}}])
def test_a_file_without_weights_is_told(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_checkpoint(str(tmp_path / "weights.pth"))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pth"):
        read_checkpoint(str(tmp_path / "none.pth"))


def test_everything_that_does_not_fit_is_told_at_once(state):
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    given = {"0.weight": state["weight"], "0.bias": torch.ones(7), "stranger": torch.ones(1)}
    with pytest.raises(CheckpointError) as caught:
        refuse_misfit(module, given, "weights.pth")
    message = str(caught.value)
    for part in ("weights.pth", "1.bias, 1.weight", "stranger", "0.bias (7,) instead of (2,)"):
        assert part in message


def test_optional_parts_may_be_missing(state):
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    given = {f"0.{name}": value for name, value in state.items()}
    whole = refuse_misfit(module, given, "weights.pth", optional=("1.",))
    assert whole.keys() == module.state_dict().keys()
    assert torch.equal(whole["0.weight"], state["weight"])
    assert torch.equal(whole["1.bias"], module[1].bias)
