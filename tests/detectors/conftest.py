"""A small linear classifier's outputs, and fitting views of them, for every detector."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from scaling_ood.detectors import (
    FeatureMap,
    Given,
    LinearHead,
    Need,
    Outputs,
    detector_class,
    detector_names,
    field_of,
)

CLASSES, WIDTH, MARGIN = 12, 16, 10.0
CLASS_GROUPS = torch.arange(CLASSES) // 3
NEEDS = {need for name in detector_names() for need in detector_class(name).needs if isinstance(need, Need)}


def map_fields(outputs: Outputs, change: Callable[[torch.Tensor], torch.Tensor]) -> Outputs:
    """The same change to every field that is there."""
    return Outputs(**{name: change(value) for name, value in outputs.fields.items()})


def with_fields(outputs: Outputs, **others: torch.Tensor | None) -> Outputs:
    """The same outputs with other fields, or without those that are None."""
    return Outputs(**{**outputs.fields, **others})


@dataclass(frozen=True)
class View:
    """Chunks in memory; satisfies `OutputsView`."""

    chunks: Sequence[Outputs]
    class_groups: torch.Tensor | None = None
    targets: torch.Tensor | None = None
    head: LinearHead | None = None
    class_names: Sequence[str] | None = None

    def __iter__(self) -> Iterator[Outputs]:
        return iter(self.chunks)


class Classifier(nn.Module):
    """Logits are a linear function of the features: a class's own direction scores `MARGIN`, the others 0.

    Features are those after a ReLU, so each class has one of its own. It gives everything that a network may give; its
    images are the features, (N, D, 1, 1). What a detector needs besides is made as it would be of a real network, so
    that needs of detectors which do not exist yet are there too.
    """

    gives = frozenset({"logits", "features", "confidence", "rotations", "reconstruction_error", "dropout", "gradients"})
    posterior = "softmax"

    def __init__(self):
        super().__init__()
        basis = torch.eye(WIDTH, dtype=torch.float64)
        self.weight = basis[:CLASSES]  # (C, D), orthonormal rows
        self.unknown = basis[CLASSES:]  # (D - C, D), directions without any class
        self.head = LinearHead(self.weight, torch.zeros(CLASSES, dtype=torch.float64))
        # It changes nothing, and is there for needs that look for a layer.
        self.layer = nn.Conv2d(WIDTH, WIDTH, 1, bias=False, dtype=torch.float64).requires_grad_(False)
        self.layer.weight.copy_(basis[:, :, None, None])

    def named_modules(self, *_, **__):
        """Its layer, under its own name and under every one that a detector reads a map of."""
        return [(name, self.layer) for name in ("layer", *(n.layer for n in NEEDS if isinstance(n, FeatureMap)))]

    def encode(self, inputs):
        return self.layer(inputs)[:, :, 0, 0]

    def decode(self, encoded):
        logits = encoded @ self.weight.T
        unsure = 2 * MARGIN - logits.amax(dim=1)
        return {
            "logits": logits,
            "features": encoded,
            "confidence": logits.amax(dim=1) - MARGIN / 2,
            "reconstruction_error": (encoded - logits @ self.weight).square().mean(dim=1),
            "rotations": torch.stack([unsure, *3 * [torch.zeros_like(unsure)]], dim=1),
        }

    def forward(self, inputs):
        return self.decode(self.encode(inputs))

    def dropout_passes(self, encoded, passes, seed):
        """The surer the logits are, the less their posterior is moved by noise."""
        generator = torch.Generator().manual_seed(seed)
        for _ in range(passes):
            yield encoded @ self.weight.T + torch.randn(CLASSES, generator=generator, dtype=torch.float64)

    def outputs(self, features, dtype=torch.float32):
        """Outputs for float64 features (N, D)."""
        inputs = features[:, :, None, None]
        plain = self(inputs)
        given = Given(self, inputs, features, plain)
        made = Outputs(**plain, **{field_of(need): need.make(given) for need in NEEDS})
        return map_fields(made, lambda tensor: tensor.to(dtype))

    def foreign(self, dtype=torch.float32):
        """Outputs of one image far from all classes, of which the classifier can say nothing: all logits are 0."""
        return self.outputs(3 * MARGIN * self.unknown.sum(dim=0, keepdim=True), dtype)

    def centres(self, dtype=torch.float32):
        """Outputs of the most typical image of each class; class 0 may stand for everything else, so not of that."""
        return self.outputs(MARGIN * self.weight[1:], dtype)

    def in_dist_features(self, per_class, seed):
        """Features (N, D) of images that are what the classifier was trained on, classes in turn."""
        classes = torch.arange(CLASSES).repeat(per_class)
        noise = torch.randn(len(classes), WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        return (MARGIN * self.weight[classes] + noise).relu()

    def targets(self, per_class):
        """Classes of those images, some mistaken: a classifier that is never wrong has no temperature."""
        targets = torch.arange(CLASSES).repeat(per_class)
        targets[::20] = (targets[::20] + 1) % CLASSES
        return targets


@pytest.fixture(scope="session")
def classifier():
    return Classifier()


@pytest.fixture
def make_view():
    """Build a view from tensors or outputs, cut into chunks of uneven sizes."""

    def make(outputs, class_groups=CLASS_GROUPS, sizes=(7, 50), targets=None, head=None):
        outputs = outputs if isinstance(outputs, Outputs) else Outputs(outputs)
        cuts, start = [], 0
        while start < len(outputs):
            stop = start + sizes[len(cuts) % len(sizes)]
            cuts.append(map_fields(outputs, lambda tensor, rows=slice(start, stop): tensor[rows]))
            start = stop
        return View(cuts, class_groups, targets, head, ["background", *(f"class {k}" for k in range(1, CLASSES))])

    return make


@pytest.fixture
def view_of_sizes(classifier, make_view):
    """In-distribution images to fit on, 15 of each class, cut as you wish."""

    def make(*sizes):
        outputs = classifier.outputs(classifier.in_dist_features(15, seed=2))
        return make_view(outputs, sizes=sizes, targets=classifier.targets(15), head=classifier.head)

    return make


@pytest.fixture
def view(view_of_sizes):
    """The same in uneven chunks."""
    return view_of_sizes(7, 50)


@pytest.fixture
def chunk(classifier):
    """Images to score: 24 in-distribution ones and 24 of unknown directions, mixed."""
    noise = torch.randn(24, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    features = torch.cat([classifier.in_dist_features(2, seed=4), 3 * noise.relu()])
    return classifier.outputs(features[torch.randperm(48, generator=torch.Generator().manual_seed(5))])
