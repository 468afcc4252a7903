"""Images of several sizes as one batch: the same as a plain batch where sizes agree, and never seen through padding."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from scaling_ood.models.segmentation import PSPNet, Ragged, build_segmenter, groups_of

IMAGES = torch.randn(4, 3, 64, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network(name: str) -> PSPNet:
    built = build_segmenter(name, 5, seed=0, start="random", width=16, dropout=0.0, confidence=True)
    return built.double().train()


@pytest.mark.parametrize("name", ["pspnet_resnet10", "pspnet_efficientnet_lite0_short"])
def test_groups_of_one_size_are_one_batch_gradients_and_running_statistics_included(name: str) -> None:
    plain, ragged = network(name), network(name)
    whole, parts = plain(IMAGES), ragged(Ragged([IMAGES[:1], IMAGES[1:]]))
    assert whole.keys() == parts.keys() == {"logits", "auxiliary", "confidence"}
    joined = {output: torch.cat(maps.groups) for output, maps in parts.items()}
    for output, maps in whole.items():
        torch.testing.assert_close(joined[output], maps, rtol=1e-9, atol=1e-9)
    for outputs in (whole, joined):
        sum(maps.square().mean() for maps in outputs.values()).backward()
    torch.testing.assert_close(
        [each.grad for each in ragged.parameters()], [each.grad for each in plain.parameters()], rtol=1e-6, atol=1e-9
    )
    torch.testing.assert_close(list(ragged.buffers()), list(plain.buffers()), rtol=1e-9, atol=1e-9)


def test_batch_norm_sees_the_pixels_of_all_sizes_and_each_once() -> None:
    norm = nn.BatchNorm2d(3).double()
    maps = [IMAGES[:2], IMAGES[2:, :, :16, :40]]
    given = norm(Ragged(maps))
    pixels = torch.cat([each.transpose(0, 1).flatten(1) for each in maps], dim=1)  # (3, all)
    mean, var = pixels.mean(dim=1), pixels.var(dim=1, unbiased=False)
    for one, group in zip(maps, given.groups, strict=True):
        expected = (one - mean[:, None, None]) / (var + norm.eps).sqrt()[:, None, None]
        torch.testing.assert_close(group, expected)
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * pixels.var(dim=1))


def test_each_size_goes_through_the_other_layers_alone() -> None:
    """In evaluation batch norm looks at nothing either, so every group is as if it were there alone."""
    model = network("pspnet_resnet10").eval()
    groups = [IMAGES[:1], IMAGES[1:, :, :32, :48]]
    with torch.inference_mode():
        outputs = model(Ragged(groups))
        for place, group in enumerate(groups):
            torch.testing.assert_close(outputs["logits"].groups[place], model(group)["logits"], rtol=1e-9, atol=1e-9)


def test_a_function_of_torch_takes_ragged_tensors_in_lists_and_by_name() -> None:
    pair = Ragged([torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 1, 1)])
    assert [each.shape for each in torch.cat([pair, pair], dim=1).groups] == [(1, 4, 2, 2), (1, 4, 1, 1)]
    assert [each.shape for each in functional.pad(input=pair, pad=(1, 1)).groups] == [(1, 2, 2, 4), (1, 2, 1, 3)]
    assert (pair + pair).groups[0].unique().tolist() == [2.0]
    assert groups_of(IMAGES) == (IMAGES,)


def test_a_size_that_is_no_multiple_of_8_is_refused_in_any_group() -> None:
    with pytest.raises(ValueError, match="images of 60 x 96 pixels"):
        network("pspnet_resnet10")(Ragged([IMAGES[:1], IMAGES[1:, :, :60]]))
