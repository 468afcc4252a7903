"""A network is cut before its last linear layer, wherever that is; halves that do not make the whole are refused."""

import re
from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from scaling_ood.models import HeadError, architecture
from scaling_ood.models.cutting import checked_cut, cut_at, with_head


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.ReLU())
        self.classes = nn.Linear(6, 5)
        self.aside = nn.Linear(6, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classes(self.body(images))


def own(**fields):
    return replace(architecture("small_resnet"), preprocessing=None, input_px=4, **fields)


def test_the_named_layer_is_the_head_and_the_rest_gives_what_it_reads() -> None:
    whole = TwoHeads().eval()
    images = torch.randn(3, 3, 4, 4)
    expected = whole(images)
    backbone, head = checked_cut(lambda: whole, lambda network: cut_at(network, "classes"), own(), "two")
    assert backbone(images).shape == (3, 6)
    torch.testing.assert_close(head(backbone(images)), expected)


def test_a_layer_that_does_not_make_the_logits_is_refused() -> None:
    with pytest.raises(
        HeadError, match=r"last one of 'two' does not make its logits.*they are: aside, classes, body\.1"
    ):
        checked_cut(TwoHeads, lambda network: cut_at(network, "aside"), own(), "two")


def test_an_unknown_layer_names_the_nearest_and_the_last_ones() -> None:
    message = "head of 'resnet18': there is no linear layer 'fcc'; did you mean 'fc'? (the last ones: fc)"
    with pytest.raises(HeadError, match=re.escape(message)):
        architecture("resnet18#fcc")


def test_a_network_whose_parts_are_known_has_no_other_head() -> None:
    with pytest.raises(HeadError, match="the last layer of 'small_resnet' cannot be named"):
        with_head(architecture("small_resnet"), "small_resnet", "fc")


def test_timms_network_with_two_heads_has_features_once_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "deit_tiny_distilled_patch16_224"
    registered = architecture(f"timm:{name}#head")
    assert (registered.features, registered.classes) == (192, 1000)
    assert architecture(f"timm:{name}").classes == 0
    plain = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda own, pretrained: plain(own, pretrained=False))
    # Its logits are the mean of both heads: neither is the last layer.
    with pytest.raises(HeadError, match="give the right one's name as head"):
        registered.build(True)
