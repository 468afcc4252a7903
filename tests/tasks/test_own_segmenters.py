"""Segmenters that a person brings are run as they are, at their own stride, in the order of their own classes."""

import click
import numpy as np
import pytest
import torch
import transformers
from helpers.bench import bench, only
from helpers.programs import export_pt2
from PIL import Image
from torch import nn

from scaling_ood.models import ClassCountError
from scaling_ood.tasks import WrongNetworkError

NAMES = ("ground", "box")


def brought(folder, classes=2, names=()):
    """A SegFormer of random weights; returns it."""
    torch.manual_seed(0)
    small = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 1, 1]}
    config = transformers.SegformerConfig(num_labels=classes, decoder_hidden_size=16, **small)
    if names:
        config.id2label, config.label2id = dict(enumerate(names)), {name: k for k, name in enumerate(names)}
    model = transformers.SegformerForSemanticSegmentation(config).eval()
    model.save_pretrained(folder)
    transformers.SegformerImageProcessor(image_mean=[0.5] * 3, image_std=[0.25] * 3).save_pretrained(folder)
    return model


def untrained(name, **fields):
    own = {"architecture": name, "weights": "published", "least_quality": 0.0, **fields}
    return {"networks": {"segmenter": own}, "detectors": only("msp", "max_logit", "odin", "autoencoder")}


def first_logits(own):
    stored = own.outputs()
    part = next(name for name in stored.parts if name.startswith("test-"))
    return stored.read(part)["00000/seed0/logits/0"].float()


def by_hand(own, model):
    """Logits of the first test scene: stretched to multiples of 32."""
    with Image.open(own.manifest.files(own.manifest.of("test"))[0].path) as image:
        width, height = (-(-side // 32) * 32 for side in image.size)
        pixels = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR), np.float32)
    inputs = (torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25
    with torch.no_grad():
        return model(pixel_values=inputs).logits[0]


def test_a_segformer_goes_from_its_folder_to_the_table(tmp_path):
    model = brought(tmp_path / "mine")
    own = bench("segmentation", tmp_path / "own", **untrained(f"hf:{tmp_path / 'mine'}"))
    torch.testing.assert_close(first_logits(own)[0], by_hand(own, model), rtol=0, atol=0.01)
    assert own.same_elsewhere("segmenter.outputs")
    assert not own.load("odin.scores").gap
    assert own.load("autoencoder.scores").gap
    results = own.load("results")
    assert {"msp", "max_logit", "odin"} <= set(results["detector"])


def test_its_outputs_follow_its_names_for_the_classes(tmp_path):
    model = brought(tmp_path / "mine", names=NAMES[::-1])
    own = bench("segmentation", tmp_path / "own", **untrained(f"hf:{tmp_path / 'mine'}"))
    torch.testing.assert_close(first_logits(own)[0], by_hand(own, model)[[1, 0]], rtol=0, atol=0.01)


def test_its_outputs_follow_the_file_of_the_class_order(tmp_path):
    model = brought(tmp_path / "mine")
    (tmp_path / "order.txt").write_text("box\nground\n")
    changes = untrained(f"hf:{tmp_path / 'mine'}", class_order=str(tmp_path / "order.txt"))
    own = bench("segmentation", tmp_path / "own", **changes)
    torch.testing.assert_close(first_logits(own)[0], by_hand(own, model)[[1, 0]], rtol=0, atol=0.01)


def test_another_number_of_classes_is_refused_unless_it_is_given(tmp_path):
    brought(tmp_path / "mine", classes=7)
    name = f"hf:{tmp_path / 'mine'}"
    own = bench("segmentation", tmp_path / "own", **untrained(name))
    with pytest.raises(ClassCountError, match=r"has 7 classes, but the labels have 2: .* With classes: 7 it is run"):
        own.load("segmenter.model")
    given = bench("segmentation", tmp_path / "given", own.photographs, **untrained(name, classes=7))
    assert given.load("segmenter.quality").value is None
    assert not given.load("max_logit.scores").gap


def test_a_segmenter_at_chance_is_refused(tmp_path):
    class Blind(nn.Module):
        def forward(self, images):
            grey = images.mean(dim=1, keepdim=True)
            return torch.cat([0 * grey, 0 * grey + 1], dim=1)

    file = export_pt2(Blind(), tmp_path / "blind.pt2", 32)
    levels = {"preprocessing": {"mean": [0.5] * 3, "std": [0.5] * 3}, "least_quality": None}
    own = bench("segmentation", tmp_path / "own", **untrained(f"pt2:{file}", **levels))
    with pytest.raises(WrongNetworkError, match=r"mIoU \d+\.\d% is at chance level"):
        own.load("segmenter.quality")
    let_through = bench(
        "segmentation", tmp_path / "let", **untrained(f"pt2:{file}", **{**levels, "least_quality": 0.0})
    )
    assert "is at chance level" in let_through.load("segmenter.quality").warning


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": "trained"}, "is run as it is, and not trained here: weights must be published or checkpoint"),
        ({"preprocessing": {"mean": [127.0] * 3}}, "not of 0..255"),
        ({"preprocessing": {"crop_px": 64}}, "no such parameter"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, fields, message):
    brought(tmp_path / "mine")
    with pytest.raises(click.ClickException, match=message):
        bench("segmentation", tmp_path / "own", **untrained(f"hf:{tmp_path / 'mine'}", **fields))


def test_a_library_that_says_no_levels_has_them_stated(tmp_path):
    with pytest.raises(click.ClickException, match="preprocessing lacks mean, std: nothing says how its images"):
        bench("segmentation", tmp_path, **untrained("smp:unet.resnet18", weights="checkpoint"))
