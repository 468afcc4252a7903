"""Image classifiers of Hugging Face, in folders that `save_pretrained` wrote from small random configurations."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scaling_ood.images import Preprocessing
from scaling_ood.models import (
    Checkpoint,
    ClassCountError,
    WeightsUnavailableError,
    adopted_state,
    architecture,
    build_network,
    published_digest,
    published_network,
)
from scaling_ood.models.heads import ClassHead

transformers = pytest.importorskip("transformers")

SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT": (
        "ViT",
        {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 32, "patch_size": 8},
    ),
    "ResNet": ("ConvNext", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}),
    "ConvNext": ("ConvNext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "patch_size": 4}),
    "Swin": ("ViT", {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4, "image_size": 32}),
}
SMALL["ViT"][1].update(num_hidden_layers=2, patch_size=8)


def write(folder: Path, kind: str = "ViT", classes: int = 5, seed: int = 0, **config: Any) -> Any:
    """A small network of random weights in a folder; returns it."""
    processor, options = SMALL[kind]
    torch.manual_seed(seed)
    made = getattr(transformers, f"{kind}Config")(num_labels=classes, **options, **config)
    model = getattr(transformers, f"{kind}ForImageClassification")(made).eval()
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32} if processor == "ViT" else {"shortest_edge": 32}
    getattr(transformers, f"{processor}ImageProcessor")(size=size).save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", SMALL)
def test_logits_are_the_networks_own_and_features_what_its_last_layer_reads(tmp_path: Path, kind: str) -> None:
    model = write(tmp_path, kind)
    network = published_network(f"hf:{tmp_path}", 5).eval()
    images = torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        outputs, expected = network(images), model(pixel_values=images).logits
        torch.testing.assert_close(outputs["logits"], expected)
        torch.testing.assert_close(network.last_layer(outputs["features"]), expected)
    assert outputs["features"].shape == (3, architecture(f"hf:{tmp_path}").features)


PROCESSORS = {
    "ViT": {"size": {"height": 48, "width": 48}, "resample": 3},
    "DeiT": {"size": {"height": 60, "width": 60}, "crop_size": {"height": 48, "width": 48}},
    "ConvNext": {"size": {"shortest_edge": 48}, "crop_pct": 0.75},
    "Bit": {"size": {"shortest_edge": 56}, "crop_size": {"height": 48, "width": 48}},
    "Levit": {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}},
    "MobileNetV2": {"size": {"shortest_edge": 64}, "crop_size": {"height": 48, "width": 48}},
    "EfficientNet": {"size": {"height": 48, "width": 48}},
    "Siglip": {"size": {"height": 48, "width": 48}, "do_normalize": False},
}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_images_are_prepared_as_the_folders_processor_does(tmp_path: Path, kind: str) -> None:
    write(tmp_path)
    getattr(transformers, f"{kind}ImageProcessor")(**PROCESSORS[kind]).save_pretrained(tmp_path)
    preprocessing = architecture(f"hf:{tmp_path}").preprocessing
    assert preprocessing is not None
    noise = np.random.default_rng(0).integers(0, 256, (10, 14, 3)).astype(np.uint8)
    image = Image.fromarray(noise).resize((140, 100))
    own = getattr(transformers, f"{kind}ImageProcessorPil")(**PROCESSORS[kind])
    expected = torch.as_tensor(own(image, return_tensors="pt")["pixel_values"])[0]
    found = preprocessing.normalise(preprocessing.crop(image)[None])[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_processor_of_an_unknown_kind_says_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    transformers.MobileViTImageProcessor().save_pretrained(tmp_path)
    registered = architecture(f"hf:{tmp_path}")
    assert (registered.preprocessing, registered.input_px) == (None, 32)


def test_the_name_of_a_folder_stands_in_no_key_and_its_content_does(tmp_path: Path) -> None:
    write(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    write(tmp_path / "c", seed=1)
    found = [architecture(f"hf:{tmp_path / name}") for name in "abc"]
    assert found[0].identity == found[1].identity != found[2].identity
    assert [published_digest(f"hf:{tmp_path / name}") for name in "abc"] == [each.weights_digest for each in found]
    assert found[0].preprocessing == Preprocessing(32, 32, "bilinear", (0.5,) * 3, (0.5,) * 3, squash=True)


def test_the_classes_names_are_the_configurations(tmp_path: Path) -> None:
    write(tmp_path / "named", id2label={0: "ant", 1: "bee"}, label2id={"ant": 0, "bee": 1}, classes=2)
    write(tmp_path / "numbered")
    assert architecture(f"hf:{tmp_path / 'named'}").class_names == ("ant", "bee")
    assert architecture(f"hf:{tmp_path / 'numbered'}").class_names == ()


def test_a_state_dict_of_transformers_is_adopted(tmp_path: Path) -> None:
    write(tmp_path / "a")
    other = write(tmp_path / "b", classes=3, seed=1)
    name = f"hf:{tmp_path / 'a'}"
    adopted = adopted_state(name, Checkpoint("a.pth", "", dict(other.state_dict())), 3)
    network = build_network(name, lambda width: ClassHead(width, 3), seed=0, start="random").eval()
    network.load_state_dict(adopted)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(images)["logits"], other(pixel_values=images).logits)


def test_another_number_of_classes_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ClassCountError, match="has 5 classes, but the data set has 4"):
        published_network(f"hf:{tmp_path}", 4)


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "mine.py").write_text("raise SystemExit('it ran')")
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoConfig": "mine.Config"}}))


def of_another_kind(folder: Path) -> None:
    transformers.BertConfig().save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "there is no folder"),
        (
            lambda folder: (folder / "config.json").unlink(),
            r"has no config\.json, which save_pretrained writes \(it holds",
        ),
        (without_weights, r"has no model\.safetensors; its weights are pickled \(pytorch_model\.bin\)"),
        (with_code, r"brings code of its own \(auto_map in config\.json\), which is never run"),
        (of_another_kind, r"is a network of the type 'bert', which is not one for this setting"),
    ],
)
def test_what_cannot_be_taken_is_told(tmp_path: Path, spoil: Any, message: str) -> None:
    write(tmp_path / "mine")
    spoil(tmp_path / "mine")
    with pytest.raises(ValueError, match=message):
        architecture(f"hf:{tmp_path / 'mine'}")


def test_weights_that_lack_a_layer_are_refused_and_not_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    write(tmp_path)
    file = tmp_path / "model.safetensors"
    state = {name: tensor for name, tensor in load_file(file).items() if not name.startswith("classifier")}
    save_file(state, file, {"format": "pt"})
    message = re.escape("lack classifier.bias, classifier.weight")
    with pytest.raises(WeightsUnavailableError, match=message):
        architecture(f"hf:{tmp_path}").build(True)


def test_a_name_of_the_hub_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="'hf:nobody/nothing' is no folder here, and cannot be fetched from the hub"):
        architecture("hf:nobody/nothing")
