"""What is dropped, and why, is all told; nothing else is dropped."""

import pandas as pd
import pytest

from scaling_ood.images.curation import REPORT_COLUMNS, FlagError, curate, read_flags
from scaling_ood.images.quality import QualityMeasure

IMAGES = pd.DataFrame(
    [
        (f"species/Fish/{name}", f"Fish/{name}", f"Fish/{name.split('/')[0]}")
        for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg")
    ],
    columns=["id", "path", "class_name"],
)
MEASURE = QualityMeasure("brisque", "higher", lambda image: 0.0)
QUALITY = pd.Series({"species/Fish/b/1.jpg": 71.26, "species/Fish/a/1.jpg": 60.0, "species/Fish/a/2.jpg": float("nan")})


@pytest.fixture
def flags_file(tmp_path):
    def write(text):
        (tmp_path / "flags.csv").write_text(text)
        return str(tmp_path / "flags.csv")

    return write


def test_images_worse_than_the_cutoff_are_dropped_with_their_value():
    kept, report = curate(IMAGES, MEASURE, QUALITY, 60.0)
    assert kept["path"].tolist() == ["Fish/a/1.jpg"]
    assert list(kept.columns) == list(IMAGES.columns)
    assert list(report.columns) == list(REPORT_COLUMNS)
    assert dict(zip(report["path"], report["reason"], strict=True)) == {
        "Fish/a/2.jpg": "brisque is not defined",
        "Fish/b/1.jpg": "brisque 71.3, higher than 60",
    }
    assert report["quality"].iloc[1] == 71.26


def test_where_lower_is_worse_the_other_side_goes():
    kept, report = curate(IMAGES, QualityMeasure("sharpness", "lower", lambda image: 0.0), QUALITY.fillna(99.0), 70.0)
    assert kept["path"].tolist() == ["Fish/a/2.jpg", "Fish/b/1.jpg"]
    assert report["reason"].tolist() == ["sharpness 60.0, lower than 70"]


def test_flagged_images_are_dropped_and_both_reasons_are_told():
    flags = pd.Series({"species/Fish/b/1.jpg": "a drawing", "species/Fish/a/1.jpg": "no fish"})
    kept, report = curate(IMAGES, MEASURE, QUALITY.fillna(0.0), 60.0, flags)
    assert kept["path"].tolist() == ["Fish/a/2.jpg"]
    assert report["reason"].tolist() == ["flagged: no fish", "brisque 71.3, higher than 60 and flagged: a drawing"]
    kept, report = curate(IMAGES, flags=flags)
    assert report["quality"].isna().all()
    assert len(kept) == 1


def test_without_flags_and_quality_all_stay():
    kept, report = curate(IMAGES)
    pd.testing.assert_frame_equal(kept, IMAGES)
    assert report.empty


def test_half_a_quality_step_is_refused():
    with pytest.raises(ValueError, match="belong together"):
        curate(IMAGES, MEASURE, QUALITY)


def test_an_image_without_a_value_is_named():
    with pytest.raises(ValueError, match=r"^1 images have no value of brisque, such as species/Fish/a/2\.jpg$"):
        curate(IMAGES, MEASURE, QUALITY.drop("species/Fish/a/2.jpg"), 60.0)


def test_flags_name_images_by_id_or_path(flags_file):
    path = flags_file('image,reason,worker\nFish/a/1.jpg,"blurred, dark",7\nspecies/Fish/b/1.jpg,NA,8\n')
    assert read_flags(path, IMAGES).to_dict() == {"species/Fish/a/1.jpg": "blurred, dark", "species/Fish/b/1.jpg": "NA"}


def test_all_that_is_wrong_with_flags_is_told(flags_file):
    path = flags_file("image,reason\nFish/a/3.jpg,dark\nFish/a/1.jpg,dark\nspecies/Fish/a/1.jpg,\n")
    message = (
        r"flags\.csv: 1 images are not in the listing: Fish/a/3\.jpg \(did you mean 'Fish/a/[12]\.jpg'\?\); "
        r"1 images are named more than once: species/Fish/a/1\.jpg; 1 images have no reason: species/Fish/a/1\.jpg$"
    )
    with pytest.raises(FlagError, match=message):
        read_flags(path, IMAGES)


def test_flags_without_a_column(flags_file):
    with pytest.raises(FlagError, match=r"flags\.csv has no column reason \(it has: image, why\)"):
        read_flags(flags_file("image,why\n"), IMAGES)
