"""Forward passes: normalisation, precision, memory order and device."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from toy_benchmark import PREPROCESSING

from scaling_ood.models import Forward, ForwardPass, Variant, assemble
from scaling_ood.training.classification import Recipe, train_classifiers
from scaling_ood.training.resumable import train_variants

VARIANT = Variant("fine", 0, 4)


class Recorder(nn.Module):
    """Passes its input on, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.empty(0)

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        self.seen = images
        return {"fine_seed0": ForwardPass(images.flatten(1), images.flatten(1))}


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (5, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.fixture
def tf32() -> Iterator[None]:
    """A process in which somebody asked for fast convolutions and products, as PyTorch does for convolutions."""
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("medium")
    yield
    torch.backends.cudnn.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize("run", ["batch", "place", "train_variants", "train_classifiers"])
def test_float32_is_never_tf32_where_a_network_is_run_or_trained(pixels: torch.Tensor, run: str) -> None:
    if run == "batch":
        Forward("cpu").batch(Recorder(), PREPROCESSING, pixels)
    elif run == "place":
        Forward("cpu").place(Recorder())
    elif run == "train_variants":
        assert list(train_variants({}, 1, None)) == []
    else:
        assert list(train_classifiers({}, [], {}, {}, Recipe(1, 1, 0.1, 0.0))) == []
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


def test_pixels_are_normalised_with_the_mean_and_std_of_the_weights(pixels: torch.Tensor) -> None:
    network = Recorder()
    Forward("cpu").batch(network, PREPROCESSING, pixels)
    torch.testing.assert_close(network.seen, (pixels.float() / 255 - 0.5) / 0.5)


def test_network_input_is_taken_as_it_is_where_it_is_normalised_already() -> None:
    images = torch.randn(2, 3, 8, 8)
    network = Recorder()
    Forward("cpu").batch(network, PREPROCESSING, images, normalised=True)
    assert torch.equal(network.seen, images)
    Forward("cpu").batch(network, PREPROCESSING, images)
    torch.testing.assert_close(network.seen, 2 * images - 1)


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_and_weights_are_in_the_chosen_memory_order(channels_last: bool, pixels: torch.Tensor) -> None:
    forward, network = Forward("cpu", channels_last=channels_last), Recorder()
    forward.batch(network, PREPROCESSING, pixels)
    assert network.seen.is_contiguous(memory_format=torch.channels_last) is channels_last
    convolution = forward.place(nn.Conv2d(3, 4, 3))
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last) is channels_last


@pytest.mark.usefixtures("toy_architecture")
def test_channels_last_equals_contiguous_up_to_rounding(pixels: torch.Tensor) -> None:
    outputs = []
    for channels_last in (True, False):
        forward = Forward("cpu", channels_last=channels_last)
        network = forward.place(assemble("toy", "none", [VARIANT], {}))
        outputs.append(forward.batch(network, PREPROCESSING, pixels)["fine_seed0"])
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(outputs[0].features, outputs[1].features, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("toy_architecture")
def test_bf16_gives_bfloat16_outputs_near_those_of_float32(pixels: torch.Tensor) -> None:
    outputs = {}
    for precision in ("float32", "bf16"):
        forward = Forward("cpu", precision)
        network = forward.place(assemble("toy", "none", [VARIANT], {}))
        outputs[precision] = forward.batch(network, PREPROCESSING, pixels)["fine_seed0"].logits
    assert outputs["float32"].dtype == torch.float32
    assert outputs["bf16"].dtype == torch.bfloat16
    torch.testing.assert_close(outputs["bf16"].float(), outputs["float32"], rtol=0.02, atol=0.02)
    assert not torch.equal(outputs["bf16"].float(), outputs["float32"])


def test_no_gradients_are_kept(pixels: torch.Tensor) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    logits = Forward("cpu").batch(network, PREPROCESSING, pixels)
    assert not logits.requires_grad


def test_placing_switches_to_evaluation_mode() -> None:
    assert not Forward("cpu").place(nn.Dropout().train()).training


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used here: .") as caught:
        _ = Forward(device).torch_device
    assert "\n" not in str(caught.value)


def test_auto_takes_the_gpu_exactly_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Forward("auto").torch_device == torch.device("cpu")
    assert Forward("auto").device_name == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU of {device}")
    assert Forward("auto").torch_device == torch.device("cuda")
    assert Forward("auto").device_name == "GPU of cuda"
