"""Files of the released code, whose names and forward pass are stated here a second time, from its published source."""

import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from torch.nn import functional

from scaling_ood.models import Checkpoint, CheckpointError, fitting_state, read_checkpoint
from scaling_ood.models.segmentation import build_segmenter
from scaling_ood.models.segmentation.released import convert, main, released_state
from scaling_ood.models.upsampling import upsample

Shapes = dict[str, tuple[int, ...]]
State = dict[str, torch.Tensor]
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
CLASSES = 13


def norm(name: str, width: int) -> Shapes:
    counted = {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**counted, f"{name}.num_batches_tracked": ()}


def convolution(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel)}


def encoder_shapes(depth: int) -> Shapes:
    shapes: Shapes = {}
    for number, (inputs, outputs) in enumerate(((3, 64), (64, 64), (64, 128)), start=1):
        shapes |= convolution(f"conv{number}", inputs, outputs, 3) | norm(f"bn{number}", outputs)
    inputs = 128
    for layer, (blocks, width) in enumerate(zip(BLOCKS[depth], (64, 128, 256, 512), strict=True), start=1):
        for block in range(blocks):
            name = f"layer{layer}.{block}"
            shapes |= convolution(f"{name}.conv1", inputs, width, 1) | norm(f"{name}.bn1", width)
            shapes |= convolution(f"{name}.conv2", width, width, 3) | norm(f"{name}.bn2", width)
            shapes |= convolution(f"{name}.conv3", width, 4 * width, 1) | norm(f"{name}.bn3", 4 * width)
            if block == 0:
                shapes |= convolution(f"{name}.downsample.0", inputs, 4 * width, 1)
                shapes |= norm(f"{name}.downsample.1", 4 * width)
            inputs = 4 * width
    return shapes


def decoder_shapes() -> Shapes:
    shapes: Shapes = {}
    for scale in range(4):
        shapes |= convolution(f"ppm.{scale}.1", 2048, 512, 1) | norm(f"ppm.{scale}.2", 512)
    shapes |= convolution("cbr_deepsup.0", 1024, 512, 3) | norm("cbr_deepsup.1", 512)
    shapes |= convolution("conv_last.0", 4096, 512, 3) | norm("conv_last.1", 512)
    for name in ("conv_last.4", "conv_last_deepsup"):
        shapes |= convolution(name, 512, CLASSES, 1) | {f"{name}.bias": (CLASSES,)}
    return shapes


def fabricated(shapes: Shapes, seed: int) -> State:
    random = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif len(shape) > 1:
            fan = shape[1] * shape[2] * shape[3]
            state[name] = torch.randn(shape, generator=random) * (2 / fan) ** 0.5
        else:
            state[name] = 0.1 * torch.randn(shape, generator=random)
            if name.endswith(("running_var",)) or (name.endswith("weight") and "bn" in name):
                state[name] = 1 + 0.2 * torch.rand(shape, generator=random)
    return state


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both files, as `torch.save` of the released training writes them."""
    folder = tmp_path_factory.mktemp("ckpt")
    paths = folder / "encoder_epoch_20.pth", folder / "decoder_epoch_20.pth"
    for seed, (path, shapes) in enumerate(zip(paths, (encoder_shapes(101), decoder_shapes()), strict=True)):
        torch.save(fabricated(shapes, seed), path)
    return paths


def cbr(state: State, conv: str, bn: str, maps: torch.Tensor, *, act: bool = True, **options: int) -> torch.Tensor:
    maps = functional.conv2d(maps, state[f"{conv}.weight"].double(), **options)
    statistics = [state[f"{bn}.{part}"].double() for part in ("running_mean", "running_var", "weight", "bias")]
    maps = functional.batch_norm(maps, *statistics, training=False, eps=1e-5)
    return maps.relu() if act else maps


def released_forward(encoder: State, decoder: State, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of both heads: `dilate_scale=8`, where a 3 x 3 convolution that had the stride has half the dilation."""
    maps = images
    for number, stride in ((1, 2), (2, 1), (3, 1)):
        maps = cbr(encoder, f"conv{number}", f"bn{number}", maps, stride=stride, padding=1)
    maps = functional.max_pool2d(maps, 3, 2, 1)
    passed = []
    plan = zip(BLOCKS[101], ((1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4)), strict=True)
    for layer, (blocks, (stride, first, rest)) in enumerate(plan, start=1):
        for block in range(blocks):
            name, step, dilation = f"layer{layer}.{block}", stride if block == 0 else 1, first if block == 0 else rest
            before = maps
            maps = cbr(encoder, f"{name}.conv1", f"{name}.bn1", maps)
            maps = cbr(encoder, f"{name}.conv2", f"{name}.bn2", maps, stride=step, padding=dilation, dilation=dilation)
            maps = cbr(encoder, f"{name}.conv3", f"{name}.bn3", maps, act=False)
            if block == 0:
                before = cbr(encoder, f"{name}.downsample.0", f"{name}.downsample.1", before, act=False, stride=step)
            maps = (maps + before).relu()
        passed.append(maps)
    context = [maps]
    for place, scale in enumerate((1, 2, 3, 6)):
        pooled = cbr(decoder, f"ppm.{place}.1", f"ppm.{place}.2", functional.adaptive_avg_pool2d(maps, scale))
        context.append(functional.interpolate(pooled, size=maps.shape[2:], mode="bilinear", align_corners=False))
    features = cbr(decoder, "conv_last.0", "conv_last.1", torch.cat(context, 1), padding=1)
    supervised = cbr(decoder, "cbr_deepsup.0", "cbr_deepsup.1", passed[2], padding=1)
    logits = functional.conv2d(features, decoder["conv_last.4.weight"].double(), decoder["conv_last.4.bias"].double())
    last = (decoder[f"conv_last_deepsup.{part}"].double() for part in ("weight", "bias"))
    return logits, functional.conv2d(supervised, *last)


def test_both_files_make_the_network_that_computes_what_the_released_one_does(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    target = tmp_path / "segmenter.safetensors"
    assert convert(*files, target) == CLASSES
    network = build_segmenter("pspnet_resnet101_deepstem", CLASSES, seed=9, start="random")
    network.load_state_dict(fitting_state(network, read_checkpoint(target)))
    network = network.double().eval()
    images = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    encoder, decoder = (torch.load(path, weights_only=True) for path in files)
    with torch.inference_mode():
        logits, supervised = released_forward(encoder, decoder, images)
        torch.testing.assert_close(network(images)["logits"], logits, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(network.auxiliary(network.encoder(images).middle), supervised, rtol=1e-9, atol=1e-9)
        whole = upsample(logits, (40, 50))
        assert whole.argmax(dim=1).unique().numel() > 1
    with safe_open(target, "pt") as stored:
        assert stored.metadata()["encoder"] == f"encoder_epoch_20.pth {read_checkpoint(files[0]).sha256}"


def of(name: str, state: State) -> Checkpoint:
    return Checkpoint(name, "0" * 64, state)


@pytest.fixture(scope="module")
def states(files: tuple[Path, Path]) -> tuple[State, State]:
    encoder, decoder = (read_checkpoint(path).state for path in files)
    return encoder, decoder


def test_what_old_batch_norms_kept_beside_makes_no_difference(states: tuple[State, State]) -> None:
    encoder, decoder = states
    older = {name: each for name, each in encoder.items() if not name.endswith("num_batches_tracked")}
    older |= {"bn1._tmp_running_mean": torch.zeros(64), "bn1._running_iter": torch.ones(1)}
    expected = released_state(of("e", encoder), of("d", decoder))
    given = released_state(of("e", older), of("d", decoder))
    assert given.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(given[name], tensor) or name.endswith("num_batches_tracked")


def test_everything_that_does_not_fit_is_told_at_once_by_its_name_in_the_file(states: tuple[State, State]) -> None:
    encoder, decoder = dict(states[0]), dict(states[1])
    encoder["layer9.weight"] = encoder.pop("layer3.22.conv2.weight")
    decoder["ppm.3.1.weight"] = torch.zeros(256, 2048, 1, 1)
    told = (
        "the files do not fit pspnet_resnet101_deepstem: e.pth lacks layer3.22.conv2.weight; e.pth has unknown "
        "layer9.weight; d.pth has of another shape ppm.3.1.weight (256, 2048, 1, 1) instead of (512, 2048, 1, 1)"
    )
    with pytest.raises(CheckpointError, match=re.escape(told)):
        released_state(of("e.pth", encoder), of("d.pth", decoder))


def test_swapped_files_and_another_depth_are_refused_in_words(states: tuple[State, State]) -> None:
    encoder, decoder = states
    with pytest.raises(CheckpointError, match=r"it has no conv_last\.4\.weight; the two files are swapped"):
        released_state(of("e", decoder), of("d", encoder))
    with pytest.raises(CheckpointError, match=r"e has unknown layer3\.10\.bn1\.bias"):
        released_state(of("e", encoder), of("d", decoder), "pspnet_resnet50_deepstem")


def test_torchvisions_stem_is_no_released_encoder(states: tuple[State, State]) -> None:
    plain = build_segmenter("pspnet_resnet101", CLASSES, seed=0, start="random").encoder.state_dict()
    encoder = {name.removeprefix("network."): each for name, each in plain.items()}
    with pytest.raises(CheckpointError, match=r"e lacks conv2\.weight, bn2\.weight.* e has of another shape conv1"):
        released_state(of("e", encoder), of("d", states[1]))


def test_the_command_says_what_it_wrote_or_what_is_wrong(files: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "segmenter.safetensors"
    done = CliRunner().invoke(main, [*map(str, files), str(target)])
    assert (done.exit_code, done.output) == (0, f"{target}: pspnet_resnet101_deepstem, 13 classes\n")
    wrong = CliRunner().invoke(main, [str(files[1]), str(files[0]), str(tmp_path / "other.safetensors")])
    assert wrong.exit_code == 1
    assert "the two files are swapped" in wrong.output
    unnamed = CliRunner().invoke(main, [*map(str, files), str(tmp_path / "segmenter.pth")])
    assert unnamed.exit_code == 1
    assert "segmenter.pth must end in .safetensors" in unnamed.output
    assert [path.name for path in tmp_path.iterdir()] == ["segmenter.safetensors"]
