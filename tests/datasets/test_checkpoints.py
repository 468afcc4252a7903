"""Trained models: resumed after the last whole epoch, replaced when the key changes."""

import json
import os
import runpy
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from kedro.io import DatasetError
from torch import nn

from scaling_ood.datasets import CheckpointDataset
from scaling_ood.models import ClassHead
from scaling_ood.products.kept_files import DamagedPartError
from scaling_ood.products.keys import Origin
from scaling_ood.products.plans import TrainingPlan
from scaling_ood.training import ResumableState
from scaling_ood.training.classification import Classification, ClassificationRecipe
from scaling_ood.training.images import CachedFeatures

EPOCHS = 3
RECIPE = ClassificationRecipe(epochs=EPOCHS, batch_images=8, learning_rate=0.05, weight_decay=0.1)


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ClassHead(5, 4, hidden=8, dropout=0.5)


class Training:
    """Two networks on the same features; remembers its epochs, and can be stopped after some of them."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.epochs: list[tuple[str, int]] = []

    def __call__(self, state: ResumableState | None) -> Iterator[ResumableState]:
        cpu = torch.device("cpu")
        features = CachedFeatures(torch.randn(24, 5, generator=torch.Generator().manual_seed(0)), cpu)
        lesson = Classification(features, torch.arange(24) % 4, RECIPE, cpu)
        build = {"seed0": lambda: network(0), "seed1": lambda: network(1)}
        for latest in lesson.train(build, {"seed0": 0, "seed1": 1}, state):
            self.epochs.append((latest["current"], latest["epoch"]))
            yield latest
            if len(self.epochs) == self.stop_after:
                raise RuntimeError("power cut")


def plan(training: Training, key: str = "key") -> TrainingPlan:
    return TrainingPlan(2 * EPOCHS, training, {"recipe": key}, Origin(key))


ALL = [(name, epoch) for name in ("seed0", "seed1") for epoch in (1, 2, 3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


@pytest.mark.parametrize("done", range(1, 7))
def test_interrupted_after_any_epoch_the_weights_equal_an_uninterrupted_training(folder: Path, done: int) -> None:
    whole = CheckpointDataset(filepath=str(folder / "whole"))
    whole.save(plan(Training()))
    cut = CheckpointDataset(filepath=str(folder / "cut"))
    with pytest.raises(DatasetError, match="power cut"):
        cut.save(plan(Training(stop_after=done)))
    assert not cut.exists()

    torch.manual_seed(12345)
    rest = Training()
    cut.save(plan(rest))
    assert rest.epochs == ALL[done:]
    assert (folder / "cut" / "model.safetensors").read_bytes() == (folder / "whole" / "model.safetensors").read_bytes()
    timeless = [
        [{key: value for key, value in row.items() if key != "seconds"} for row in dataset.load().history]
        for dataset in (cut, whole)
    ]
    assert timeless[0] == timeless[1]


def test_a_loaded_model_has_origin_about_history_and_one_state_per_network(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    training = Training()
    dataset.save(plan(training))
    model = dataset.load()
    assert (model.origin, model.about) == (Origin("key"), {"recipe": "key"})
    assert [(row["variant"], row["epoch"]) for row in model.history] == ALL
    assert all(row["seconds"] > 0 for row in model.history)
    states = model.states()
    assert states.keys() == {"seed0", "seed1"}
    for state in states.values():
        network(0).load_state_dict(state)
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "record.json"}


def test_a_finished_model_is_not_trained_again(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    dataset.save(plan(Training()))
    before = (folder / "model.safetensors").stat().st_mtime_ns
    again = Training()
    dataset.save(plan(again))
    assert again.epochs == []
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_another_key_trains_from_the_start_although_a_model_is_there(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    dataset.save(plan(Training()))
    other = Training()
    dataset.save(plan(other, "other"))
    assert other.epochs == ALL
    assert dataset.load().origin == Origin("other")


def test_another_key_does_not_go_on_from_an_interrupted_training(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    with pytest.raises(DatasetError):
        dataset.save(plan(Training(stop_after=4)))
    other = Training()
    dataset.save(plan(other, "other"))
    assert other.epochs == ALL


def test_until_a_new_training_is_finished_the_old_model_stays(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    dataset.save(plan(Training()))
    with pytest.raises(DatasetError):
        dataset.save(plan(Training(stop_after=2), "other"))
    assert dataset.load().origin == Origin("key")
    assert dataset.load().states().keys() == {"seed0", "seed1"}


def test_an_unfinished_model_is_not_there_and_not_loaded(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    with pytest.raises((FileNotFoundError, DatasetError), match="holds no finished model"):
        dataset.load()
    with pytest.raises(DatasetError):
        dataset.save(plan(Training(stop_after=1)))
    assert not dataset.exists()
    with pytest.raises((FileNotFoundError, DatasetError), match="holds no finished model"):
        dataset.load()


def test_a_model_whose_weights_were_deleted_is_trained_again(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    dataset.save(plan(Training()))
    (folder / "model.safetensors").unlink()
    assert not dataset.exists()
    again = Training()
    dataset.save(plan(again))
    assert again.epochs == ALL


def test_weights_of_another_model_are_refused_and_trained_again(folder: Path) -> None:
    dataset, other = (CheckpointDataset(filepath=str(folder / name)) for name in ("one", "other"))
    dataset.save(plan(Training()))
    other.save(plan(Training(), "other"))
    weights = folder / "one" / "model.safetensors"
    content = bytearray((folder / "other" / "model.safetensors").read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DamagedPartError, match=r"model\.safetensors is damaged"):
        dataset.load().states()
    again = Training()
    dataset.save(plan(again))
    assert again.epochs == ALL
    assert dataset.load().states().keys() == {"seed0", "seed1"}


@pytest.mark.parametrize("content", [b"", b"half a sta"])
def test_an_empty_or_cut_record_is_the_same_as_none(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    dataset.save(plan(Training()))
    (folder / "record.json").write_bytes(content)
    assert not dataset.exists()
    dataset.save(plan(Training()))
    assert dataset.exists()
    assert "record.json is empty or damaged" in caplog.text


@pytest.mark.parametrize("damage", ["empty", "cut", "bit"])
def test_a_damaged_state_is_said_and_training_begins_anew(
    folder: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    with pytest.raises(DatasetError):
        dataset.save(plan(Training(stop_after=2)))
    state = folder / "state.pt"
    content = bytearray(state.read_bytes())
    content[content.index(b"/data/0") + 200] ^= 1
    state.write_bytes({"empty": b"", "cut": content[:500], "bit": bytes(content)}[damage])
    again = Training()
    dataset.save(plan(again))
    assert again.epochs == ALL
    assert "state.pt is empty or damaged: training begins anew" in caplog.text


def test_published_weights_are_recorded_without_any_epoch(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    dataset.save(TrainingPlan(0, lambda _: iter(()), {"weights": "PyPI"}, Origin("published")))
    assert dataset.exists()
    model = dataset.load()
    assert (model.origin, model.history, model.states()) == (Origin("published"), [], {})
    assert model.about == {"weights": "PyPI"}


def test_the_state_of_an_interrupted_training_holds_no_code(folder: Path) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    with pytest.raises(DatasetError):
        dataset.save(plan(Training(stop_after=2)))
    kept = torch.load(folder / "state.pt", weights_only=True)
    assert kept["key"] == Origin("key").key
    assert (kept["state"]["current"], kept["state"]["epoch"]) == ("seed0", 2)


def test_a_failed_write_of_a_state_leaves_the_one_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = CheckpointDataset(filepath=str(folder))
    with pytest.raises(DatasetError):
        dataset.save(plan(Training(stop_after=2)))

    def torn(_: object, path: Path) -> None:
        path.write_bytes(b"half a state")
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(torch, "save", torn)
        with pytest.raises(DatasetError, match="no space left"):
            dataset.save(plan(Training()))
    rest = Training()
    dataset.save(plan(rest))
    assert rest.epochs == ALL[2:]


KILLED = """
    import sys, time
    import torch
    from torch import nn
    from scaling_ood.datasets import CheckpointDataset
    from scaling_ood.products.plans import TrainingPlan
    from scaling_ood.models import ClassHead
    from scaling_ood.training.classification import Classification, ClassificationRecipe
    from scaling_ood.training.images import CachedFeatures

    RECIPE = ClassificationRecipe(epochs=8, batch_images=6, learning_rate=0.1, weight_decay=0.01)

    def build():
        torch.manual_seed(0)
        return ClassHead(4, 3, hidden=8, dropout=0.5)

    def train(folder, pause):
        def run(state):
            cpu = torch.device("cpu")
            images = CachedFeatures(torch.arange(120.0).reshape(30, 4) / 60 - 1, cpu)
            lesson = Classification(images, torch.arange(30) // 10, RECIPE, cpu)
            for state in lesson.train({"one": build}, {"one": 0}, state):
                yield state
                time.sleep(pause)

        CheckpointDataset(filepath=folder).save(TrainingPlan(8, run))

    if __name__ == "__main__":
        torch.set_num_threads(1)
        train(sys.argv[1], 2.0)
"""


def test_after_kill_9_training_goes_on_and_the_weights_equal_an_uninterrupted_one(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(KILLED))
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, script, str(killed)], stderr=subprocess.DEVNULL)
    while not (killed / "state.pt").is_file() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.4)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = torch.load(killed / "state.pt", weights_only=True)["state"]["epoch"]
    assert 1 <= done < 8
    train = runpy.run_path(str(script))["train"]
    for folder in (killed, whole):
        train(str(folder), 0)
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert len(json.loads((killed / "record.json").read_text())["history"]) == 8
