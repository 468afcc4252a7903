"""One training of each kind that takes milliseconds: lessons of three epochs, and what builds their networks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scene_toys import HALF, Rectangles, TinyEncoder
from torch import nn
from toy_networks import PREPROCESSING

from scaling_ood.images import Loading
from scaling_ood.models import ClassHead, MultiLabelHead, build_head, build_network
from scaling_ood.models.segmentation import PSPNet, build_autoencoder
from scaling_ood.training import Lesson
from scaling_ood.training.classification import Classification, ClassificationRecipe, CrossEntropy, Objective
from scaling_ood.training.confidence import Budget, ConfidenceObjective, Hints
from scaling_ood.training.images import AugmentedImages, CachedFeatures, TrainingImages
from scaling_ood.training.multilabel import MultiLabel, MultiLabelRecipe
from scaling_ood.training.multilabel_sets import LabelledFeatures, LabelledPhotographs, MultiLabelSets
from scaling_ood.training.reconstruction import Reconstruction, ReconstructionRecipe
from scaling_ood.training.rotation import RotationObjective, TurnedFeatures, TurnedImages
from scaling_ood.training.scenes import Augmentation, SceneSets
from scaling_ood.training.segmentation import Segmentation, SegmentationRecipe

CPU = torch.device("cpu")
CLASSES = 3
SCENES = SceneSets(Rectangles(8), Rectangles(3, seed=1), HALF, Augmentation((48, 40)))
Toy = tuple[Lesson, Callable[[int], nn.Module]]


def labelled_features(images: int, seed: int) -> LabelledFeatures:
    """Each class pulls one of five features up; the others are noise."""
    random = torch.Generator().manual_seed(seed)
    targets = torch.rand(images, CLASSES, generator=random).lt(0.4).to(torch.uint8)
    features = torch.randn(images, 5, generator=random)
    features[:, :CLASSES] += 3 * targets
    return LabelledFeatures(features, targets)


def labelled_photographs(folder: Path) -> MultiLabelSets:
    """Grainy pictures of 16 x 12 pixels in which each class lights up one colour."""
    sources = []
    for part, images in (("train", 10), ("validation", 6)):
        random = np.random.default_rng(images)
        targets = (random.random((images, CLASSES)) < 0.5).astype(np.uint8)
        pixels = random.integers(0, 120, (images, 12, 16, 3)) + 120 * targets[:, None, None]
        paths = [str(folder / f"{part}{number}.png") for number in range(images)]
        for path, image in zip(paths, pixels.astype(np.uint8), strict=True):
            Image.fromarray(image).save(path)
        sources.append(LabelledPhotographs(paths, torch.from_numpy(targets), PREPROCESSING, loading=Loading(4, 0)))
    return MultiLabelSets(*sources)


def segmenter(seed: int, confidence: bool = False, dropout: float = 0.3) -> PSPNet:
    """A PSPNet on three convolutions."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return PSPNet(TinyEncoder(), 2, width=8, dropout=dropout, confidence=confidence)


def _classification(images: TrainingImages, objective: Objective, whole: bool, **head: object) -> Toy:
    recipe = ClassificationRecipe(epochs=3, batch_images=16, learning_rate=0.05, weight_decay=0.1)
    lesson = Classification(images, torch.arange(len(images)) % CLASSES, recipe, CPU, objective)
    make = partial(ClassHead, classes=CLASSES, second=objective.second, **head)
    if whole:
        return lesson, lambda seed: build_network("toy_network", make, seed=seed, start="random")
    return lesson, lambda seed: build_head("toy", make, seed=seed)


def _multi_label(sets: MultiLabelSets, whole: bool) -> Toy:
    recipe = MultiLabelRecipe(epochs=3, batch_images=4, learning_rate=0.02, backbone_learning_rate=0.01)
    make = partial(MultiLabelHead, classes=CLASSES, width=8, dropout=0.3)
    build = partial(build_network, start="published") if whole else build_head
    return MultiLabel(sets, recipe, CPU), lambda seed: build("toy", make, seed=seed)


def _segmentation(hints: Hints | None = None, **recipe: int) -> Toy:
    options = {"batch_images": 2, "steps_per_epoch": 3, **recipe}
    lesson = Segmentation(SCENES, SegmentationRecipe(epochs=3, learning_rate=0.05, hints=hints, **options), CPU)
    return lesson, partial(segmenter, confidence=hints is not None)


def _autoencoder() -> Toy:
    recipe = ReconstructionRecipe(epochs=3, batch_images=2, learning_rate=1e-3)
    sets = SceneSets(Rectangles(4), Rectangles(2, seed=1), HALF, Augmentation(flips=0.5))
    return Reconstruction(sets, recipe, CPU), lambda seed: build_autoencoder(seed=seed)


_RANDOM = torch.Generator().manual_seed(0)
_FEATURES = torch.randn(4, 40, 5, generator=_RANDOM)
_UPRIGHT, _TURNED = CachedFeatures(_FEATURES[0], CPU), TurnedFeatures(_FEATURES, CPU)
_IMAGES = AugmentedImages(torch.randint(0, 256, (40, 3, 8, 8), generator=_RANDOM).to(torch.uint8), PREPROCESSING, CPU)
_HINTS, _TURNS = ConfidenceObjective(Budget(weight=0.2, spend=0.5)), RotationObjective(0.7, 0.1)

FEATURE_SETS = MultiLabelSets(labelled_features(22, 0), labelled_features(15, 1))

TRAININGS: dict[str, Callable[[Path], Toy]] = {
    "head": lambda _: _classification(_UPRIGHT, CrossEntropy(0.1), whole=False),
    "dropout_head": lambda _: _classification(_UPRIGHT, CrossEntropy(), whole=False, hidden=8, dropout=0.5),
    "classifier": lambda _: _classification(_IMAGES, CrossEntropy(0.1), whole=True),
    "confidence_head": lambda _: _classification(_UPRIGHT, _HINTS, whole=False),
    "confidence": lambda _: _classification(_IMAGES, _HINTS, whole=True),
    "rotation_head": lambda _: _classification(_TURNED, _TURNS, whole=False, hidden=6),
    "rotation": lambda _: _classification(TurnedImages(_IMAGES), _TURNS, whole=True),
    "multi_label_head": lambda _: _multi_label(
        MultiLabelSets(labelled_features(22, 0), labelled_features(15, 1)), False
    ),
    "multi_label": lambda folder: _multi_label(labelled_photographs(folder), True),
    "segmenter": lambda _: _segmentation(),
    "segmenter_of_scales": lambda _: _segmentation(Hints(), batch_images=4, images_per_scale=2),
    "segmenter_with_hints": lambda _: _segmentation(Hints("image")),
    "autoencoder": lambda _: _autoencoder(),
}
"""Name to what makes it, in an empty folder."""
