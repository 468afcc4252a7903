"""Which sizes of input a network takes is known before any image is prepared."""

import pytest
from pydantic import ValidationError

from scaling_ood.models import architecture
from scaling_ood.parameters.multi_class import ClassifierSpec


def spec(name: str, input_px: int | None) -> ClassifierSpec:
    return ClassifierSpec(architecture=name, weights="trained", input_px=input_px)


@pytest.mark.parametrize("name", ["vit_b_16", "maxvit_t", "timm:mixer_s32_224", "timm:swin_tiny_patch4_window7_224"])
def test_a_network_of_fixed_size_is_refused_at_another(name: str) -> None:
    assert architecture(name).fixed_size
    for own in (None, 224):
        spec(name, own)
    with pytest.raises(ValidationError, match=f"'{name}' takes images of 224 pixels alone: leave input_px out"):
        spec(name, 96)


@pytest.mark.parametrize("name", ["small_resnet", "resnet18", "swin_t", "timm:vit_small_patch16_dinov3.lvd1689m"])
def test_others_take_what_is_asked_for(name: str) -> None:
    assert spec(name, 96).input_px == 96
