"""Batch norm over the images of two processes equals that of one with all of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import distributed, nn
from toy_ranks import second_process

from scaling_ood.models.segmentation import Ragged
from scaling_ood.training.ranks import current, together

MAPS = 3 * torch.randn(7, 3, 4, 5, generator=torch.Generator().manual_seed(0)) + 2
SLOPES = torch.randn(7, 3, 4, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", autouse=True)
def pair() -> Iterator[None]:
    with second_process():
        yield


def normalised(layer: nn.Module, maps: torch.Tensor | Ragged, slopes: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a layer makes of maps, its running statistics, and its gradients of the products with the slopes."""
    outputs = layer(maps)
    outputs = torch.cat(outputs.groups) if isinstance(outputs, Ragged) else outputs
    (outputs * slopes).sum().backward()
    gradients = {f"{name}.grad": parameter.grad for name, parameter in layer.named_parameters()}
    return {"outputs": outputs.detach(), **dict(layer.named_buffers()), **gradients}


@dataclass(frozen=True)
class Normalising:
    """Batch norm of `MAPS`, of which process 0 has the first ones."""

    first: int
    layer: nn.Module
    groups: int = 1

    def __call__(self, _: Any) -> Iterator[dict[str, torch.Tensor]]:
        """What process 0 gets; gradients of the layer are those of all processes."""
        own = slice(self.first, None) if current().share.rank else slice(self.first)
        maps = MAPS[own].clone().requires_grad_()
        with current().synchronised():
            made = normalised(
                self.layer, maps if self.groups == 1 else Ragged(maps.tensor_split(self.groups)), SLOPES[own]
            )
        for name, tensor in made.items():
            if name.endswith(".grad"):
                distributed.all_reduce(tensor)
        yield {**made, "maps.grad": maps.grad}


def layer(**options: Any) -> nn.Module:
    made = nn.BatchNorm2d(3, **options)
    for parameter, values in zip(made.parameters(), ([1.0, 2.0, -3.0], [0.1, 0.2, 0.3]), strict=False):
        parameter.data = torch.tensor(values)
    return made


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("options", [{}, {"affine": False}, {"momentum": None}, {"track_running_stats": False}])
@pytest.mark.parametrize("first", [0, 1, 3, 7])
def test_outputs_statistics_and_gradients_are_those_of_one_process(
    first: int, options: dict[str, Any], groups: int
) -> None:
    (made,) = together(Normalising(first, layer(**options), groups), None)
    maps = MAPS.clone().requires_grad_()
    expected = normalised(layer(**options), maps, SLOPES)
    expected |= {"outputs": expected["outputs"][:first], "maps.grad": maps.grad[:first]}
    assert made.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(made[name], tensor, rtol=1e-6, atol=5e-6 if name.endswith("t.grad") else 1e-6)


def test_a_layer_that_does_not_learn_has_statistics_of_its_own() -> None:
    frozen = layer().eval()
    with current().synchronised():  # No other process takes part.
        assert torch.equal(frozen(MAPS), frozen(MAPS))
    assert torch.equal(frozen.running_mean, torch.zeros(3))


def test_half_precision_stays_what_it_is_and_is_summed_in_single() -> None:
    (made,) = together(Halved(), None)
    torch.testing.assert_close(made["outputs"], layer()(MAPS.bfloat16().float())[:3].bfloat16(), rtol=0, atol=0.05)


@dataclass(frozen=True)
class Halved:
    """Batch norm of bfloat16."""

    def __call__(self, _: Any) -> Iterator[dict[str, torch.Tensor]]:
        """What process 0 gets."""
        own = slice(3, None) if current().share.rank else slice(3)
        with current().synchronised():
            outputs = layer()(MAPS[own].bfloat16())
        assert outputs.dtype == torch.bfloat16
        yield {"outputs": outputs}
