"""Which source a name belongs to."""

import pytest

from scaling_ood.models import architecture
from scaling_ood.models.sources import sources


@pytest.mark.parametrize(
    "name",
    [
        *(
            "small_resnet",
            "resnet101",
            "resnet101.imagenet1k_v2",
            "timm:resnet18",
            "hf:mine",
            "onnx:a.onnx",
            "pt2:a.pt2",
        ),
        *("torchscript:a.pt", "perceptron"),
    ],
)
def test_a_name_belongs_to_one_source_at_most(name: str) -> None:
    assert sum(source.has(name) for source in sources()) == (name != "perceptron")


def test_what_a_source_offers_as_a_near_name_it_has() -> None:
    for source in sources():
        assert all(source.has(name) for name in source.near())


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("efficientnet_lite", "efficientnet_lite0"), ("resnet_101", "resnet101"), ("perceptron", None)],
)
def test_an_unknown_architecture_names_the_nearest_and_what_there_is(given: str, nearest: str | None) -> None:
    with pytest.raises(ValueError, match=f"unknown architecture '{given}'") as caught:
        architecture(given)
    assert (f"did you mean '{nearest}'" in str(caught.value)) is (nearest is not None)
    assert "efficientnet_lite0, small_resnet, wide_resnet40_2; " in str(caught.value)
    assert "torchvision, such as 'resnet101'" in str(caught.value)
    assert "those of timm, as 'timm:<name>'" in str(caught.value)
