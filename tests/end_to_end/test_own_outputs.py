"""Outputs of one's own, without an image: one folder, one command."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.brought import brought, head
from kedro_project import Outcome, Project, as_if_alone
from PIL import Image
from safetensors.numpy import load_file

from scaling_ood.cli import cli
from scaling_ood.evaluate import evaluate_outputs

pytestmark = pytest.mark.slow


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    return Project.copy(tmp_path / "project")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    place.mkdir()
    for seed, (name, images) in enumerate({"test": 60, "fit": 200, "odd": 40, "strange": 30}.items()):
        np.savez(place / f"{name}.npz", **brought(images, seed))
    np.savez(place / "head.npz", **head())
    return place


def given(folder: Path) -> tuple[str, str]:
    return "--params", f"data_root={folder}"


def test_a_folder_of_outputs_becomes_a_benchmark(empty, folder):
    empty.run(*given(folder), env="own_outputs")
    results = empty.results(env="own_outputs")
    assert list(results["ood_set"].unique()) == ["odd", "strange", "mean"]
    gaps = results.dropna(subset="gap").drop_duplicates("detector").set_index("detector")["gap"]
    assert "which only a pass over images gives" in gaps["odin"]
    assert not {"msp", "knn", "vim", "react", "mahalanobis"} & set(gaps.index)
    same = evaluate_outputs(
        brought(60, 0),
        {"odd": brought(40, 2), "strange": brought(30, 3)},
        fit=brought(200, 1),
        head=head(),
        detectors=["msp", "vim", "knn"],
    )
    for detector, own in same.results.groupby("detector"):
        ours = results[results["detector"] == detector].reset_index(drop=True)
        for column in ("auroc", "aupr", "fpr95", "auroc_low"):
            assert ours[column].to_numpy() == pytest.approx(own[column].to_numpy(), abs=1e-9, nan_ok=True)
    empty.kedro("run", "--pipelines", "packaging", *given(folder), env="own_outputs").refused("outputs alone")
    detectors = [run for run in empty.tracked() if run.data.tags.get("kind") == "detector"]
    assert {run.data.tags["benchmark"] for run in detectors} == {"own_outputs"}


def test_what_changes_is_made_anew(empty, folder):
    empty.run(*given(folder), env="own_outputs")
    before = empty.results(env="own_outputs").set_index(["detector", "ood_set"])["auroc"]
    np.savez(folder / "odd.npz", **brought(50, 9))
    new = {"weight": head()["weight"] * 1.001, "bias": head()["bias"]}
    np.savez(folder / "head.npz", **new)
    empty.run(*given(folder), env="own_outputs")
    after = empty.results(env="own_outputs").set_index(["detector", "ood_set"])["auroc"]
    assert after["msp", "odd"] != before["msp", "odd"]
    assert after["msp", "strange"] == before["msp", "strange"]
    (stored,) = empty.path.rglob("heads.safetensors")
    assert load_file(stored)["seed0/weight"] == pytest.approx(new["weight"].astype(np.float32))


def test_everything_that_is_wrong_is_one_message_before_any_tracked_run(empty, folder):
    bad = brought(40, 2)["logits"]
    bad[0] = np.nan
    np.savez(folder / "odd.npz", logits=bad)
    np.savez(folder / "strange.npz", logits=brought(30)["logits"][:, :3])
    outcome = empty.kedro("run", *given(folder), env="own_outputs")
    outcome.refused("odd: the logits of 1 of 40 images are NaN", "the logits have different widths")


def test_several_classes_an_image(empty, folder):
    for name in ("test", "fit", "odd", "strange"):
        own = dict(np.load(folder / f"{name}.npz"))
        np.savez(folder / f"{name}.npz", logits=own["logits"], targets=(own["logits"] > 0).astype(int))
    (folder / "head.npz").unlink()
    outcome = command(empty, folder, "--name", "mine")
    assert outcome.exit_code == 0, outcome.output
    results = empty.results("multi_label", "mine")
    assert set(results["positive_class"]) == {"in_dist", "ood"}
    assert results.set_index("detector")["gap"].isna()["joint_energy"].all()


def test_pixels(empty, tmp_path):
    folder = scenes(tmp_path / "scenes")
    outcome = command(empty, folder)
    assert outcome.exit_code == 0, outcome.output
    results = empty.results("segmentation", "own_outputs_segmentation")
    found = results.query("aggregation == 'pooled' and ood_set == 'test'").set_index("detector")["auroc"]
    assert found["max_logit"] > 0.9
    assert results.set_index("detector")["gap"]["background"].str.contains("no background class").all()


def test_logits_of_scenes_that_cannot_be_are_told_at_once(empty, tmp_path):
    folder = scenes(tmp_path / "scenes")
    turned = np.load(folder / "logits/test/000.npy").transpose(0, 2, 1)
    np.save(folder / "logits/test/000.npy", turned)
    (folder / "logits/test/001.npy").unlink()
    softmax = np.exp(np.load(folder / "logits/test/002.npy"))
    np.save(folder / "logits/test/002.npy", softmax / softmax.sum(axis=0))
    answer = command(empty, folder)
    outcome = Outcome(answer.exit_code, answer.output)
    outcome.refused("look like probabilities (give what enters the softmax): test/002")
    outcome.refused("test/001: no logits", "of another shape than the label image: test/000 16 x 12 on 96 x 128")


def command(project: Project, folder: Path, *options: str):
    with as_if_alone(project.path):
        return CliRunner().invoke(cli, ["score", str(folder), *options])


def scenes(folder: Path) -> Path:
    """Scenes of four classes whose logits are sure but where the anomaly is."""
    random = np.random.default_rng(0)
    for split, count in (("test", 4), ("fit", 3)):
        for number in range(count):
            classes = random.integers(0, 4, (12, 16))
            logits = random.normal(size=(4, 12, 16)) + 6 * (classes == np.arange(4)[:, None, None])
            labels = np.kron(classes, np.ones((8, 8))).astype(np.uint8)
            if split == "test":
                labels[8:40, 16:72], logits[:, 1:5, 2:9] = 254, random.normal(size=(4, 4, 7))
            for kind, name in (("labels", f"{number:03d}.png"), ("logits", f"{number:03d}.npy")):
                (folder / kind / split).mkdir(parents=True, exist_ok=True)
                place = folder / kind / split / name
                Image.fromarray(labels).save(place) if kind == "labels" else np.save(place, logits.astype(np.float32))
    return folder


def test_the_command_says_what_is_missing(empty, tmp_path):
    outcome = command(empty, tmp_path)
    assert outcome.exit_code == 1
    assert "no `test`" in outcome.output
