"""What is special about pixels of scenes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from encoded import turned_jpeg
from helpers.bench import bench, only, variant
from helpers.stored import stored
from PIL import Image, ImageOps

from scaling_ood.detectors import field_of
from scaling_ood.evaluation.chunks import stored_scenes
from scaling_ood.images import ChangedFileError
from scaling_ood.images.manifest import TooManyUnreadableError
from scaling_ood.images.one_sided import OneSidedLabelsError
from scaling_ood.metrics import ConfusionMatrix
from scaling_ood.models.segmentation import build_segmenter
from scaling_ood.tasks import WrongNetworkError, segmentation
from scaling_ood.tasks.segmentation import used_epochs

LEAN = {"detectors": only("msp")}


@pytest.fixture
def own(benches):
    return benches("segmentation")


@pytest.fixture
def street(tmp_path):
    """A tree of its own; nothing is made yet."""
    return bench("segmentation", tmp_path, **LEAN)


# Data


def relabel(made, split, change):
    for path in (made.photographs / "street/masks" / split).iterdir():
        Image.fromarray(change(np.asarray(Image.open(path)).astype(int)).astype(np.uint8)).save(path)


@pytest.mark.parametrize(
    ("split", "change", "refused"),
    [
        ("test", lambda ids: ids * 0, "test: none of 3 scenes has an anomalous pixel .*: 9; what these labels hold"),
        ("test", lambda ids: np.where(ids == 9, 1, ids), "test: none of 3 scenes has an anomalous pixel"),
        ("test", lambda ids: ids * 0 + 9, "test: every pixel of all 3 scenes is anomalous or void"),
        ("train", lambda ids: ids * 0, "train: all known pixels of 4 scenes are of one class, ground"),
        ("val", lambda ids: ids * 0 + 1, "validation: all known pixels of 3 scenes are of one class, box"),
    ],
)
def test_hidden_and_one_sided_labels_are_refused_before_anything_is_trained(street, split, change, refused):
    relabel(street, split, change)
    with pytest.raises(OneSidedLabelsError, match=refused):
        street.load("manifest")


def test_classes_and_their_names_are_those_of_the_label_map(own):
    record = own.manifest.preparation
    assert record.classes == ("ground", "box")
    assert (record.scenes.layout, record.scenes.without_anomaly) == ("paired_folders", 1)
    shares = []
    for scene in stored_scenes(own.outputs(), own.manifest, "test"):
        raw = np.asarray(Image.open(f"{own.manifest.folders['street']}/{scene.row['label_path']}"))
        shares.append((raw == 9).sum() / (raw != 255).sum())
    with_any = [share for share in shares if share]
    assert record.scenes.anomalous_share == pytest.approx(np.mean(with_any), rel=0.1)


def test_photographs_that_exif_would_turn_are_refused_unless_a_person_says_how_they_lie(street):
    path = street.photographs / "street/photos/train/0.png"
    turned = turned_jpeg(Image.open(path), 3)
    path.unlink()
    path.with_suffix(".jpg").write_bytes(turned)
    with pytest.raises(TooManyUnreadableError, match=r"photograph has EXIF orientation 3: .* `upright`"):
        street.load("manifest")


@pytest.mark.parametrize("said", ["stored", "upright"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_a_training_sees_them_as_a_person_says(tmp_path, said, orientation):
    made = bench("segmentation", tmp_path, data__orientation=said, **LEAN)
    path, label = (made.photographs / f"street/{kind}/train/0.png" for kind in ("photos", "masks"))
    turned = turned_jpeg(Image.open(path), orientation)
    path.unlink()
    path.with_suffix(".jpg").write_bytes(turned)
    if said == "upright" and orientation > 4:
        Image.open(label).transpose(Image.Transpose.ROTATE_90).save(label)
    files = segmentation._files(made.manifest, "train")
    number = [file.path.endswith(".jpg") for file in files.images].index(True)
    image, labels = files.scene(number)
    assert image.size == labels.shape[::-1]
    with Image.open(path.with_suffix(".jpg")) as lies:
        assert np.array_equal(image, lies if said == "stored" else ImageOps.exif_transpose(lies))


@pytest.mark.parametrize("kind", ["photos", "masks"])
def test_a_training_refuses_a_file_that_changed(street, kind):
    files = segmentation._files(street.manifest, "train")
    files.scene(0)
    path = street.photographs / f"street/{kind}/train/0.png"
    path.write_bytes((street.photographs / f"street/{kind}/train/2.png").read_bytes())
    with pytest.raises(ChangedFileError, match=f"{kind}/train/0.png has other content"):
        files.scene(0)


# Networks


def test_segmenter_and_confidence_branch_learn_from_as_many_labels_as_are_asked_for(own, tmp_path):
    losses = {}
    for stride in (8, 1):
        made = variant(own, tmp_path / str(stride), networks__segmenter__label_stride=stride)
        for name in ("segmenter", "confidence_branch"):
            first = next(iter(made.made(f"{name}.model").run(None)))
            losses[name, stride] = first["history"][0]["train_loss"]
    for name in ("segmenter", "confidence_branch"):
        assert abs(losses[name, 8] - losses[name, 1]) > 1e-3


def test_networks_take_sizes_seeds_and_weights_from_the_segmenter(own, tmp_path):
    changes = {"networks__segmenter__test_edge": 24, "networks__segmenter__seeds": [3]}
    made = variant(own, tmp_path, **changes)
    assert {tuple(one.seeds) for one in made.spec.networks.values()} == {(3,)}
    assert {one.edges for one in made.spec.networks.values()} == {(24,)}
    assert "shorter side 24, mean" in made.made("autoencoder.model").about["input"]


def test_outputs_are_those_of_the_segmenter_on_each_scene(own):
    """Of any size, each on its own grid."""
    for seed in (0, 1):
        network = build_segmenter("pspnet_toy", 2, seed=seed, start="random", width=8, dropout=0.5).eval()
        network.load_state_dict(own.model().states()[f"seed{seed}"])
        scenes = stored_scenes(own.outputs(), own.manifest, "test")
        for scene, file in zip(scenes, own.manifest.files(own.manifest.of("test")), strict=True):
            pixels = torch.from_numpy(np.asarray(Image.open(file.path), dtype=np.float32)).permute(2, 0, 1) / 255
            with torch.no_grad():
                expected = network(((pixels - 0.5) / 0.5)[None])["logits"]
            torch.testing.assert_close(scene.stored[f"seed{seed}/logits/0"], expected, rtol=1e-4, atol=1e-5)


def test_another_choice_of_scales_passes_over_the_scenes_and_trains_nothing(own, tmp_path):
    own.load("segmenter.quality")
    made = variant(own, tmp_path, networks__segmenter__scales=[24, 48], **LEAN).run("msp.measured")
    assert made.model().sha256 == own.model().sha256
    assert "shorter side 24, 48, mean" in made.outputs().about["input"]
    assert {name.rsplit("/", 1)[1] for name in made.outputs().read("test-00000")} == {"0", "1"}
    assert made.load("msp.measured").results["auroc"].notna().all()


def test_test_scenes_alone_pass_through_networks_that_are_judged_by_their_training(own):
    passed = {
        name: own.task.passed_sets(network, own.manifest.preparation) for name, network in own.spec.networks.items()
    }
    assert passed == {"segmenter": ["validation", "test"], "confidence_branch": ["test"], "autoencoder": ["test"]}
    assert own.task.needs(own.spec, "confidence_branch") == {"confidence"}


# Quality


def test_the_miou_is_that_of_the_upsampled_predictions_on_known_pixels(own):
    quality, expected = own.load("segmenter.quality"), {}
    for image_set in ("validation", "test"):
        values = []
        for seed in ("seed0", "seed1"):
            confusion = ConfusionMatrix(2)
            for scene in stored_scenes(own.outputs(), own.manifest, image_set):
                predicted = scene.outputs(seed).logits.argmax(dim=1)[0].numpy()
                confusion.add(predicted, scene.train_ids, scene.train_ids < 2)
            values.append(confusion.mean_iou())
        expected[image_set] = np.mean(values)
        assert quality.by_set[image_set]["miou"] == pytest.approx(expected[image_set])
    assert (quality.measure, quality.value) == ("miou", pytest.approx(expected["validation"]))
    assert quality.images == {"validation": 3, "test": 3}


HISTORY = [
    {"variant": "seed0", "epoch": 1, "validation_miou": 0.5, "validation_accuracy": 0.8, "validation_loss": 0.3},
    {"variant": "seed0", "epoch": 2, "validation_miou": 0.4, "validation_accuracy": 0.9, "validation_loss": 0.2},
    {"variant": "seed1", "epoch": 1, "validation_miou": 0.3, "validation_accuracy": 0.6, "validation_loss": 0.6},
]


def test_a_network_of_a_detector_is_judged_by_its_best_epochs(own):
    def judged(name, **changes):
        network = own.spec.networks[name].model_copy(update=changes)
        outputs = replace(own.outputs(), about={"validated": used_epochs(network, HISTORY)})
        return own.task.check(network, outputs, own.manifest)

    quality = judged("confidence_branch")
    assert quality.by_set["validation"] == {"miou": pytest.approx(0.4), "pixel_accuracy": pytest.approx(0.7)}
    with pytest.raises(WrongNetworkError, match=r"segmentation: mIoU 30\.0% on 3 validation scenes is under the 35"):
        judged("confidence_branch", least_quality=0.35)
    assert judged("confidence_branch", best_epoch="last").value == pytest.approx(0.35)
    quality = judged("autoencoder")
    assert (quality.measure, quality.value) == ("reconstruction_error", pytest.approx(0.4))


def test_test_labels_that_contradict_the_validation_scenes_are_told_with_both_numbers(own, tmp_path, caplog):
    def outputs_of(shift):
        """Logits that agree with the label of every pixel, those of the test scenes moved on by `shift`."""
        shards = {}
        for role in ("validation", "test"):
            tensors = {}
            for number, path in enumerate(own.manifest.of(role)["label_path"]):
                ids = np.asarray(Image.open(f"{own.manifest.folders['street']}/{path}")).astype(int)
                known = (np.where(ids > 1, 0, ids) + (shift if role == "test" else 0)) % 2
                logits = torch.nn.functional.one_hot(torch.from_numpy(known), 2).permute(2, 0, 1)[None].float()
                tensors[f"{number:05d}/seed0/logits/0"] = logits
            shards[f"{role}-00000"] = (number + 1, tensors)
        return stored(tmp_path / str(shift), shards)

    network = own.spec.networks["segmenter"].model_copy(update={"seeds": (0,)})
    right, wrong = (own.task.check(network, outputs_of(shift), own.manifest) for shift in (0, 1))
    assert (right.warning, right.by_set["test"]["miou"]) == ("", 1.0)
    assert "mIoU of the known pixels 0.0% on test, 100.0% on the validation scenes" in wrong.warning
    assert wrong.warning in caplog.text


def test_a_checkpoint_with_other_classes_has_no_quality_and_its_scores_are_measured(own, tmp_path):
    network = {"architecture": "pspnet_toy", "weights": "checkpoint", "width": 8, "classes": 5}
    made = bench("segmentation", tmp_path, own.photographs, networks={"segmenter": network}, **LEAN)
    made.products.mkdir()
    state = build_segmenter("pspnet_toy", 5, seed=1, start="random", width=8).state_dict()
    torch.save(state, made.products / "segmentation.checkpoint.pth")
    assert made.load("msp.measured").results["auroc"].notna().all()
    assert made.load("segmenter.quality").value is None
    assert "the targets do not say what is right" in made.load("report")["report.html"]


def test_odin_takes_its_step_in_every_scene(own):
    scenes = list(stored_scenes(own.outputs(), own.manifest, "test"))
    (need,) = own.spec.methods["odin"].needs
    for scene in scenes:
        outputs = scene.outputs("seed0", ("logits", need))
        assert outputs[field_of(need)].shape == outputs.logits.shape
        assert not torch.equal(outputs[field_of(need)], outputs.logits)
    results = own.load("results").set_index(["detector", "ood_set", "aggregation"])["auroc"]
    assert results["odin_max_logit", "test", "pooled"] != results["max_logit", "test", "pooled"]


def test_a_training_in_mixed_precision_begins_like_one_in_single(own, tmp_path):
    losses = []
    for precision in ("float32", "bf16"):
        made = variant(own, tmp_path / precision, networks__segmenter__precision=precision, **LEAN)
        losses.append(next(iter(made.made("segmenter.model").run(None)))["history"][0]["train_loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
