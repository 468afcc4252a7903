"""Quality measures: direction, undefined values, and what is handed to the package that computes BRISQUE."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from scaling_ood.images.quality import QUALITY_MEASURES, QualityMeasure, measure_quality
from scaling_ood.optional import MissingLibraryError


@pytest.fixture
def piq(monkeypatch):
    """The package, with made-up support vectors: its own are fetched from the network."""
    package = pytest.importorskip("piq")
    generator = torch.Generator().manual_seed(0)
    vectors = torch.rand(5, 36, generator=generator), torch.rand(5, 1, generator=generator)
    monkeypatch.setattr(
        sys.modules["piq.brisque"], "load_url", lambda *_args, **_options: (vectors[1], vectors[0].clone())
    )
    return package


@pytest.mark.parametrize(
    ("worse", "value", "rejected"),
    [
        ("higher", 60.0, False),
        ("higher", 60.1, True),
        ("lower", 60.0, False),
        ("lower", 59.9, True),
        ("higher", float("nan"), True),
        ("lower", float("nan"), True),
    ],
)
def test_the_cutoff_itself_stays_and_undefined_values_go(worse, value, rejected):
    assert QualityMeasure("any", worse, lambda image: 0.0).rejects(value, 60.0) is rejected


def test_images_are_measured_in_their_order_as_rgb(tmp_path, make_picture):
    paths = [str(tmp_path / f"{number}.png") for number in range(6)]
    for number, path in enumerate(paths):
        make_picture(20 + number, 10, "L").save(path)
    widths = QualityMeasure("width", "lower", lambda image: float(image.width + 100 * len(image.getbands())))
    assert list(measure_quality(widths, paths, workers=3)) == [320.0 + number for number in range(6)]


def test_an_unknown_measure_names_the_nearest():
    with pytest.raises(ValueError, match="unknown quality measure 'brisk'; did you mean 'brisque'"):
        QUALITY_MEASURES["brisk"]


def test_without_its_package_brisque_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "piq", None)
    with pytest.raises(
        MissingLibraryError, match=r"brisque needs the package piq, which is not installed: pip install -e '\.\[piq\]'"
    ):
        QUALITY_MEASURES["brisque"].score(Image.new("RGB", (8, 8)))


def test_brisque_is_piqs_on_the_images_own_pixels(piq, make_picture):
    image = make_picture(96, 80)
    expected = piq.brisque(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255.0, data_range=1.0)
    score = QUALITY_MEASURES["brisque"].score
    assert score(image) == pytest.approx(expected.item(), abs=1e-3)
    assert score(image) != score(image.filter(ImageFilter.GaussianBlur(2)))


def test_brisque_of_a_black_image_is_not_defined(piq):
    assert np.isnan(QUALITY_MEASURES["brisque"].score(Image.new("RGB", (64, 64))))
