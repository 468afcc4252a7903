"""Images as data preparation found them."""

from pathlib import Path

import pytest
from PIL import ExifTags, Image

from scaling_ood.images import Orientation, image_size, read_image
from scaling_ood.images.loading import UnreadableImageError


@pytest.mark.parametrize("form", ["jpg", "tiff", "png"])
@pytest.mark.parametrize("orientation", ["stored", "upright"])
@pytest.mark.parametrize("turn", [1, 3, 6])
def test_the_size_of_an_image_that_is_not_decoded_is_that_of_the_decoded_one(
    tmp_path: Path, form: str, orientation: Orientation, turn: int
) -> None:
    path, exif = tmp_path / f"image.{form}", Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    Image.new("RGB", (40, 24)).save(path, exif=exif)
    assert image_size(str(path), orientation) == read_image(str(path), orientation).size


def test_a_file_that_is_gone_names_the_command_that_lists_the_images_anew(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="kedro run --pipelines data_preparation"):
        image_size(str(tmp_path / "gone.png"))
