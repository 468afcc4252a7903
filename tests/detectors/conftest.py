"""A small linear classifier's outputs, and fitting views of them, for every detector."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import pytest
import torch

from scaling_ood.detectors import Outputs

CLASSES, WIDTH, MARGIN = 12, 16, 10.0
CLASS_GROUPS = torch.arange(CLASSES) // 3


def map_fields(outputs: Outputs, change: Callable[[torch.Tensor], torch.Tensor]) -> Outputs:
    """The same change to every field that is there."""
    values = {field.name: getattr(outputs, field.name) for field in fields(Outputs)}
    return Outputs(**{name: None if value is None else change(value) for name, value in values.items()})


@dataclass(frozen=True)
class View:
    """Chunks in memory; satisfies `OutputsView`."""

    chunks: Sequence[Outputs]
    class_groups: torch.Tensor | None = None

    def __iter__(self) -> Iterator[Outputs]:
        return iter(self.chunks)


class Classifier:
    """Logits are a linear function of the features: a class's own direction scores `MARGIN`, the others 0.

    All other outputs follow from these as they would in a real network: every field that a detector may need is there.
    """

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        square = torch.randn(WIDTH, WIDTH, dtype=torch.float64, generator=generator)
        basis = torch.linalg.qr(square).Q
        self.weight = basis[:CLASSES]  # (C, D), orthonormal rows
        self.unknown = basis[CLASSES:]  # (D - C, D), directions without any class

    def outputs(self, features, dtype=torch.float32):
        """Outputs for float64 features (N, D)."""
        logits = features @ self.weight.T
        posterior = logits.softmax(dim=1)
        made = Outputs(
            logits,
            features,
            confidence=logits.amax(dim=1) - MARGIN / 2,
            posterior_variance=(posterior * (1 - posterior)).mean(dim=1),
            reconstruction_error=(features - logits @ self.weight).square().mean(dim=1),
        )
        return map_fields(made, lambda tensor: tensor.to(dtype))

    def foreign(self, dtype=torch.float32):
        """Outputs of one image far from all classes, of which the classifier can say nothing: all logits are 0."""
        return self.outputs(3 * MARGIN * self.unknown[:1], dtype)

    def centres(self, dtype=torch.float32):
        """Outputs of the most typical image of each class; class 0 may stand for everything else, so not of that."""
        return self.outputs(MARGIN * self.weight[1:], dtype)

    def in_dist_features(self, per_class, seed):
        """Features (N, D) of images that are what the classifier was trained on, classes in turn."""
        labels = torch.arange(CLASSES).repeat(per_class)
        noise = torch.randn(len(labels), WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        return MARGIN * self.weight[labels] + noise


@pytest.fixture(scope="session")
def classifier():
    return Classifier()


@pytest.fixture
def make_view():
    """Build a view from tensors or outputs, cut into chunks of uneven sizes."""

    def make(outputs, class_groups=CLASS_GROUPS, sizes=(7, 50)):
        outputs = outputs if isinstance(outputs, Outputs) else Outputs(outputs)
        cuts, start = [], 0
        while start < len(outputs):
            stop = start + sizes[len(cuts) % len(sizes)]
            cuts.append(map_fields(outputs, lambda tensor, rows=slice(start, stop): tensor[rows]))
            start = stop
        return View(cuts, class_groups)

    return make


@pytest.fixture
def view(classifier, make_view):
    """In-distribution images to fit on: 15 of each class."""
    return make_view(classifier.outputs(classifier.in_dist_features(15, seed=2)))


@pytest.fixture
def chunk(classifier):
    """Images to score: 24 in-distribution ones and 24 of unknown directions, mixed."""
    noise = torch.randn(24, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    features = torch.cat([classifier.in_dist_features(2, seed=4), 3 * noise])
    return classifier.outputs(features[torch.randperm(48, generator=torch.Generator().manual_seed(5))])
