"""Labels follow the order of the published heads."""

import pytest

from scaling_ood.images.class_lists import CLASS_LISTS, class_list
from scaling_ood.images.counts import expected_counts


def test_the_lists_have_the_published_numbers_of_classes(tmp_path):
    pytest.importorskip("timm")
    (tmp_path / "categories_places365.txt").write_text("/a/airfield 0\n/a/alley 1\n")
    assert len(class_list("imagenet_1k", tmp_path)) == 1000
    assert class_list("places365", tmp_path) == ("airfield", "alley")
    synsets = class_list("imagenet_21k_p", tmp_path)
    fall = expected_counts().query("data_set == 'imagenet_21k_p' and release == 'fall11'")
    assert {len(synsets)} == set(fall["classes"])


def test_the_order_of_imagenet_21k_p_is_that_of_the_networks(tmp_path):
    timm = pytest.importorskip("timm")
    from timm.data import ImageNetInfo, infer_imagenet_subset

    config = timm.get_pretrained_cfg("tresnet_m.miil_in21k").to_dict()
    info = ImageNetInfo(infer_imagenet_subset(config))
    assert class_list("imagenet_21k_p", tmp_path) == tuple(
        info.index_to_label_name(i) for i in range(config["num_classes"])
    )


def test_a_missing_or_unknown_list_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"categories_places365\.txt not in"):
        class_list("places365", tmp_path)
    with pytest.raises(ValueError, match=r"^unknown class list 'imagenet_21kp'; did you mean 'imagenet_21k_p'"):
        class_list("imagenet_21kp", tmp_path)
    assert sorted(CLASS_LISTS) == ["imagenet_1k", "imagenet_21k_p", "places365"]
