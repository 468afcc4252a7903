"""A small linear classifier's outputs, and fitting views of them, for every detector."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import pytest
import torch

from scaling_ood.detectors import LinearHead, Outputs
from scaling_ood.detectors.odin import perturbed_logits

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
    labels: torch.Tensor | None = None
    head: LinearHead | None = None

    def __iter__(self) -> Iterator[Outputs]:
        return iter(self.chunks)


class Classifier:
    """Logits are a linear function of the features: a class's own direction scores `MARGIN`, the others 0.

    Features are those after a ReLU, so each class has one of its own. All other outputs follow as they would in a real
    network, whose images are the features: every field that a detector may need is there.
    """

    def __init__(self):
        basis = torch.eye(WIDTH, dtype=torch.float64)
        self.weight = basis[:CLASSES]  # (C, D), orthonormal rows
        self.unknown = basis[CLASSES:]  # (D - C, D), directions without any class
        self.head = LinearHead(self.weight, torch.zeros(CLASSES, dtype=torch.float64))

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
            odin_logits=perturbed_logits(lambda images: images @ self.weight.T, features),
            rotation_loss=torch.nn.functional.softplus(MARGIN / 2 - logits.amax(dim=1)),
        )
        return map_fields(made, lambda tensor: tensor.to(dtype))

    def foreign(self, dtype=torch.float32):
        """Outputs of one image far from all classes, of which the classifier can say nothing: all logits are 0."""
        return self.outputs(3 * MARGIN * self.unknown.sum(dim=0, keepdim=True), dtype)

    def centres(self, dtype=torch.float32):
        """Outputs of the most typical image of each class; class 0 may stand for everything else, so not of that."""
        return self.outputs(MARGIN * self.weight[1:], dtype)

    def in_dist_features(self, per_class, seed):
        """Features (N, D) of images that are what the classifier was trained on, classes in turn."""
        labels = torch.arange(CLASSES).repeat(per_class)
        noise = torch.randn(len(labels), WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        return (MARGIN * self.weight[labels] + noise).relu()

    def labels(self, per_class):
        """Classes of those images, some mistaken: a classifier that is never wrong has no temperature."""
        labels = torch.arange(CLASSES).repeat(per_class)
        labels[::20] = (labels[::20] + 1) % CLASSES
        return labels


@pytest.fixture(scope="session")
def classifier():
    return Classifier()


@pytest.fixture
def make_view():
    """Build a view from tensors or outputs, cut into chunks of uneven sizes."""

    def make(outputs, class_groups=CLASS_GROUPS, sizes=(7, 50), labels=None, head=None):
        outputs = outputs if isinstance(outputs, Outputs) else Outputs(outputs)
        cuts, start = [], 0
        while start < len(outputs):
            stop = start + sizes[len(cuts) % len(sizes)]
            cuts.append(map_fields(outputs, lambda tensor, rows=slice(start, stop): tensor[rows]))
            start = stop
        return View(cuts, class_groups, labels, head)

    return make


@pytest.fixture
def view_of_sizes(classifier, make_view):
    """In-distribution images to fit on, 15 of each class, cut as you wish."""

    def make(*sizes):
        outputs = classifier.outputs(classifier.in_dist_features(15, seed=2))
        return make_view(outputs, sizes=sizes, labels=classifier.labels(15), head=classifier.head)

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
