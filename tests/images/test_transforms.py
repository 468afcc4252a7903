"""Preprocessing against torchvision's own transforms on Pillow images."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from scaling_ood.images import Loading, Photographs, Preprocessing
from scaling_ood.images.loading import UnreadableImageError

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
MODES = {"bilinear": transforms.InterpolationMode.BILINEAR, "bicubic": transforms.InterpolationMode.BICUBIC}
PAIRS = [(256, 224), (64, 64), (146, 128), (37, 32)]
SIZES = [
    (256, 256),
    (64, 64),
    (300, 200),
    (500, 375),
    (375, 500),
    (333, 500),
    (501, 335),
    (640, 481),
    (30, 90),
    (91, 37),
]


def preprocessing(resize_px=256, crop_px=224, interpolation="bicubic"):
    return Preprocessing(resize_px, crop_px, interpolation, **IMAGENET)


def torchvision_crop(resize_px, crop_px, interpolation):
    steps = [
        transforms.Resize(resize_px, MODES[interpolation]),
        transforms.CenterCrop(crop_px),
        transforms.PILToTensor(),
    ]
    return transforms.Compose(steps)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("pair", PAIRS, ids="{0[0]}-{0[1]}".format)
@pytest.mark.parametrize("interpolation", MODES)
def test_equals_torchvision_to_the_last_bit(make_picture, size, pair, interpolation):
    image = make_picture(*size)
    actual = preprocessing(*pair, interpolation).crop(image)
    assert actual.dtype == torch.uint8
    assert actual.shape == (3, pair[1], pair[1])
    assert torch.equal(actual, torchvision_crop(*pair, interpolation)(image))


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "1", "RGBA", "LA"])
def test_every_mode_becomes_rgb(make_picture, mode):
    image = make_picture(70, 50, mode)
    expected = torchvision_crop(40, 32, "bilinear")(image.convert("RGB"))
    assert torch.equal(preprocessing(40, 32, "bilinear").crop(image), expected)


def test_grey_stays_grey(make_picture):
    channels = preprocessing(40, 32).crop(make_picture(70, 50, "L"))
    assert torch.equal(channels[0], channels[1])
    assert torch.equal(channels[0], channels[2])


def test_the_centre_is_what_is_kept():
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[3:7, 8:12] = 255
    kept = preprocessing(10, 4, "bilinear").crop(Image.fromarray(pixels))
    assert (kept == 255).all()


def test_the_picture_is_left_as_it_is(make_picture):
    image = make_picture(40, 40)
    before = image.tobytes()
    preprocessing(40, 40).crop(image).zero_()
    assert image.tobytes() == before


@pytest.mark.parametrize("normalisation", [IMAGENET, {"mean": (0.5,) * 3, "std": (0.5,) * 3}], ids=["imagenet", "half"])
def test_normalisation_equals_torchvision(make_picture, normalisation):
    chosen = Preprocessing(40, 32, "bicubic", **normalisation)
    images = [make_picture(60, 45, seed=seed) for seed in range(3)]
    steps = [
        transforms.Resize(40, MODES["bicubic"]),
        transforms.CenterCrop(32),
        transforms.ToTensor(),
        transforms.Normalize(**normalisation),
    ]
    expected = torch.stack([transforms.Compose(steps)(image) for image in images])
    batch = torch.stack([chosen.crop(image) for image in images])
    before = batch.clone()
    normalised = chosen.normalise(batch)
    assert normalised.dtype == torch.float32
    torch.testing.assert_close(normalised, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(chosen.normalise(batch.float() / 255), expected, rtol=0, atol=1e-6)
    assert torch.equal(batch, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalisation_leaves_floating_point_batches_as_they_are(dtype):
    batch = torch.rand(2, 3, 4, 4, dtype=dtype)
    before = batch.clone()
    assert preprocessing().normalise(batch).dtype == torch.float32
    assert torch.equal(batch, before)


@pytest.mark.parametrize("size", [(5, 3, 7, 9), (1, 3, 4, 4), (2, 3, 1, 1), (0, 3, 2, 2)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_normalisation_is_the_same_in_any_memory_order(size, dtype):
    batch = torch.randint(0, 256, size).to(dtype)
    turned = batch.contiguous(memory_format=torch.channels_last)
    found, other = preprocessing().normalise(batch), preprocessing().normalise(turned)
    assert torch.equal(found, other)
    assert found.stride() == batch.stride()
    assert other.stride() == turned.stride()
    assert torch.equal(turned, batch)


@pytest.mark.parametrize("size", [(300, 200), (333, 500), (64, 64)])
@pytest.mark.parametrize("pair", [(100, 128), (127, 128), (121, 90)])
def test_around_a_crop_that_is_larger_than_the_image_there_is_black_as_in_torchvision(make_picture, size, pair):
    image = make_picture(*size)
    assert torch.equal(preprocessing(*pair).crop(image), torchvision_crop(*pair, "bicubic")(image))


def test_a_border_keeps_the_whole_image_and_has_the_colour_of_the_mean():
    image = Image.fromarray(np.full((10, 20, 3), 255, np.uint8))
    bordered = Preprocessing(8, 8, "bilinear", (0.5, 0.25, 1.0), (1.0,) * 3, border=True).crop(image)
    expected = torch.tensor([128, 64, 255], dtype=torch.uint8).view(3, 1, 1).repeat(1, 8, 8)
    expected[:, 2:6] = 255
    assert torch.equal(bordered, expected)


def test_squash_and_border_exclude_each_other():
    with pytest.raises(ValueError, match="either squashed or has a border"):
        Preprocessing(8, 8, "bilinear", **IMAGENET, squash=True, border=True)


def test_another_input_size_keeps_the_margin_and_the_weights_own_values():
    smaller = preprocessing(256, 224).at(128)
    assert (smaller.resize_px, smaller.crop_px) == (146, 128)
    assert (smaller.interpolation, smaller.mean, smaller.std) == ("bicubic", IMAGENET["mean"], IMAGENET["std"])
    assert preprocessing().at(None) == preprocessing()
    assert preprocessing().at(224) == preprocessing()


@pytest.mark.parametrize("size", [(300, 200), (333, 500), (64, 64), (30, 90)])
def test_a_squashed_image_is_torchvisions_resize_to_a_square(make_picture, size):
    image = make_picture(*size)
    squashed = preprocessing(256, 224).at(64).squashed()
    resize = transforms.Compose([transforms.Resize((64, 64), MODES["bicubic"]), transforms.PILToTensor()])
    assert torch.equal(squashed.crop(image), resize(image))
    assert (squashed.interpolation, squashed.mean, squashed.std) == ("bicubic", IMAGENET["mean"], IMAGENET["std"])


@pytest.mark.parametrize(("name", "mode"), [("a.jpg", "RGB"), ("a.jpg", "CMYK"), ("a.jpg", "L"), ("a.png", "P")])
def test_files_load_like_their_pictures(tmp_path, make_picture, name, mode):
    make_picture(100, 50, mode).save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        expected = torchvision_crop(40, 32, "bicubic")(image.convert("RGB"))
    photographs = Photographs([str(tmp_path / name)], preprocessing(40, 32))
    assert len(photographs) == 1
    assert torch.equal(photographs[0], expected)


def test_a_photograph_that_has_gone_is_named(tmp_path):
    photographs = Photographs([str(tmp_path / "gone.jpg")], preprocessing())
    with pytest.raises(UnreadableImageError, match=r"gone\.jpg cannot .* kedro run --pipelines data_preparation"):
        photographs[0]


def test_a_loader_takes_no_number_from_the_global_generator(tmp_path, make_picture):
    make_picture(20, 20).save(tmp_path / "a.png")
    before = torch.get_rng_state()
    list(Loading(1, 0).batches(Photographs([str(tmp_path / "a.png")], preprocessing(20, 20)), pin_memory=False))
    assert torch.equal(torch.get_rng_state(), before)
