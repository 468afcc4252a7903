"""The PSPNet: shapes, the split at its dropout, its initial weights."""

import pytest
import torch
from scene_toys import TinyEncoder
from torch import nn
from torch.nn import functional

from scaling_ood.models.segmentation import PSPNet
from scaling_ood.models.upsampling import upsample

IMAGES = torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))


def network(confidence: bool = False, dropout: float = 0.5) -> PSPNet:
    torch.manual_seed(0)
    return PSPNet(TinyEncoder(), 5, width=16, dropout=dropout, confidence=confidence)


def test_logits_are_at_stride_8_with_the_auxiliary_ones_while_training_only() -> None:
    model = network()
    assert {name: tuple(maps.shape) for name, maps in model.train()(IMAGES).items()} == {
        "logits": (2, 5, 6, 8),
        "auxiliary": (2, 5, 6, 8),
    }
    assert model.eval()(IMAGES).keys() == {"logits"}


def test_a_confidence_head_gives_one_value_per_place() -> None:
    assert network(confidence=True).eval()(IMAGES)["confidence"].shape == (2, 6, 8)


def test_a_pass_drops_whole_channels_as_training_would_and_the_rest_is_left_alone() -> None:
    model = network().eval()
    features = model.encode(IMAGES)
    first, second = model.dropout_passes(features, 2, seed=3)
    torch.manual_seed(3)
    kept = functional.dropout2d(torch.ones(2, 16, 1, 1), 0.5, True)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(first, model.classifier(features * kept))
    torch.manual_seed(3)
    assert torch.equal(first, model.classifier(functional.dropout2d(features, 0.5, True)))
    assert torch.equal(second, model.classifier(functional.dropout2d(features, 0.5, True)))


def test_many_masks_average_to_the_forward_pass_without() -> None:
    model = network().eval()
    with torch.inference_mode():
        features = model.encode(IMAGES[:1])
        mean = torch.stack(list(model.dropout_passes(features, 4000, seed=0))).mean(dim=0)
        plain = model.decode(features)["logits"]
    assert (mean - plain).abs().max() < 0.1 * plain.std()


def test_sides_that_are_no_multiples_of_8_are_refused() -> None:
    with pytest.raises(ValueError, match="50 x 64 pixels: both sides must be multiples of 8"):
        network()(torch.zeros(1, 3, 50, 64))


def test_new_layers_start_as_in_the_released_code() -> None:
    model = network()
    norms = [part for part in model.decoder.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) == 5
    for norm in norms:
        assert (norm.weight == 1).all()
        torch.testing.assert_close(norm.bias, torch.full_like(norm.bias, 1e-4))
    join = model.decoder.join[0].weight
    assert join.shape == (16, 12 + 4 * 16, 3, 3)
    assert join.std().item() == pytest.approx((2 / (76 * 9)) ** 0.5, rel=0.05)


def test_an_encoders_norms_are_left_as_they_came() -> None:
    encoder = TinyEncoder()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    model = PSPNet(encoder, 3, width=8)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.encoder.state_dict().items())


def test_the_pyramid_looks_at_1_4_9_and_36_regions() -> None:
    sizes = [branch[0].output_size for branch in network().decoder.branches]
    assert sizes == [1, 2, 3, 6]
    uniform = torch.ones(1, 12, 6, 8)
    model = network().eval()
    out = model.decoder(uniform)
    torch.testing.assert_close(out[..., 1:-1, 1:-1], out[..., 2:3, 2:3].expand(1, 16, 4, 6))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_up_sampling_is_bilinear_between_centres_and_never_in_half_precision(dtype: torch.dtype) -> None:
    maps = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]], dtype=dtype)
    large = upsample(maps, (4, 4))
    assert large.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert large[0, 0, 0].tolist() == [0.0, 0.5, 1.5, 2.0]
    assert large[0, 0, :, 0].tolist() == [0.0, 1.0, 3.0, 4.0]


def test_up_sampling_reaches_any_size() -> None:
    assert upsample(torch.zeros(1, 2, 3, 4), torch.Size((23, 31))).shape == (1, 2, 23, 31)
