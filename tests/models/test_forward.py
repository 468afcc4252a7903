"""Forward passes: normalisation, precision, memory order and device."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest
import torch
from torch import nn
from toy_networks import PREPROCESSING

from scaling_ood.models import Forward, exact_float32, published_network
from scaling_ood.models.forward import products
from scaling_ood.training.loop import train


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
@pytest.mark.parametrize("run", ["inputs", "place", "train"])
def test_float32_is_never_tf32_where_a_network_is_run_or_trained(pixels: torch.Tensor, run: str) -> None:
    if run == "inputs":
        Forward("cpu").inputs(PREPROCESSING, pixels)
    elif run == "place":
        Forward("cpu").place(nn.Identity())
    else:
        assert list(train({}, 1, None)) == []
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


CUDA = torch.device("cuda")


def allowed() -> tuple[bool, str]:
    return torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()


@pytest.mark.usefixtures("tf32")
def test_tf32_is_on_only_inside_the_work_that_asks_for_it() -> None:
    with products(CUDA, tf32=True):
        assert allowed() == (True, "high")
        exact_float32()  # asked for the device in between
        with products(CUDA, tf32=False):
            assert allowed() == (False, "highest")
        assert allowed() == (True, "high")
    assert allowed() == (False, "highest")
    with pytest.raises(ArithmeticError), products(CUDA, tf32=True):
        raise ArithmeticError
    assert allowed() == (False, "highest")


@pytest.mark.usefixtures("tf32")
def test_tf32_is_never_on_while_another_thread_works_on_a_gpu() -> None:
    begun, seen = Event(), []

    def other() -> None:
        begun.set()
        with products(CUDA, tf32=False):
            seen.append(allowed())

    thread = Thread(target=other)
    with products(CUDA, tf32=True):
        thread.start()
        assert begun.wait(10)
        thread.join(0.2)
        assert (seen, allowed()) == ([], (True, "high"))
    thread.join(10)
    assert seen == [(False, "highest")]


def test_a_processor_has_no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    with Forward("cpu", "tf32").arithmetic():
        assert allowed() == (False, "highest")
    with pytest.raises(ValueError, match=r"^precision tf32 is one of NVIDIA's GPUs, .*; cpu has none. Take"):
        Forward("cpu", "tf32").refuse_missing_tf32()
    Forward("cpu", "float32").refuse_missing_tf32()
    monkeypatch.setattr(Forward, "torch_device", CUDA)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    for capability in ((7, 5), (8, 0), (9, 0)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        if capability < (8, 0):
            with pytest.raises(ValueError, match="Tesla T4 has none"):
                Forward("cuda", "tf32").refuse_missing_tf32()
        else:
            Forward("cuda", "tf32").refuse_missing_tf32()


@pytest.mark.gpu
def test_tf32_on_a_gpu_rounds_products_and_float32_does_not(gpu: torch.device) -> None:
    images = torch.randn(8, 64, 32, 32, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(64, 64, 3, 3, generator=torch.Generator().manual_seed(1))
    exact = torch.nn.functional.conv2d(images.double(), weights.double())
    errors = {}
    for precision in ("float32", "tf32"):
        with Forward(str(gpu), precision).arithmetic():
            made = torch.nn.functional.conv2d(images.to(gpu), weights.to(gpu))
        errors[precision] = float((made.cpu().double() - exact).abs().max() / exact.abs().max())
    assert errors["float32"] < 1e-5
    if gpu.type == "cuda" and torch.cuda.get_device_capability() >= (8, 0):
        assert 1e-5 < errors["tf32"] < 1e-2


def test_pixels_are_normalised_with_the_mean_and_std_of_the_weights(pixels: torch.Tensor) -> None:
    torch.testing.assert_close(Forward("cpu").inputs(PREPROCESSING, pixels), (pixels.float() / 255 - 0.5) / 0.5)


def test_network_input_is_taken_as_it_is_where_it_is_normalised_already() -> None:
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(Forward("cpu").inputs(PREPROCESSING, images, normalised=True), images)
    torch.testing.assert_close(Forward("cpu").inputs(PREPROCESSING, images), 2 * images - 1)


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_and_weights_are_in_the_chosen_memory_order(channels_last: bool, pixels: torch.Tensor) -> None:
    forward = Forward("cpu", channels_last=channels_last)
    inputs, convolution = forward.inputs(PREPROCESSING, pixels), forward.place(nn.Conv2d(3, 4, 3))
    assert inputs.is_contiguous(memory_format=torch.channels_last) is channels_last
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last) is channels_last


def outputs_of(forward: Forward, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    network = forward.place(published_network("toy", 4))
    with torch.inference_mode(), forward.arithmetic():
        return network(forward.inputs(PREPROCESSING, pixels))


@pytest.mark.usefixtures("toy_architecture")
def test_channels_last_equals_contiguous_up_to_rounding(pixels: torch.Tensor) -> None:
    first, second = (outputs_of(Forward("cpu", channels_last=order), pixels) for order in (True, False))
    for name in ("logits", "features"):
        torch.testing.assert_close(first[name], second[name], rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("toy_architecture")
def test_bf16_gives_bfloat16_outputs_near_those_of_float32(pixels: torch.Tensor) -> None:
    single, half = (outputs_of(Forward("cpu", precision), pixels)["logits"] for precision in ("float32", "bf16"))
    assert (single.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    torch.testing.assert_close(half.float(), single, rtol=0.02, atol=0.02)
    assert not torch.equal(half.float(), single)


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
