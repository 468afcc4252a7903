"""Mahalanobis, nearest neighbours and ViM beside pytorch-ood, ODIN's passes beside a plain one, KL matching for 11,221.

Run: `python benchmarks/fitted_detectors.py`, one to two minutes on two cores; KL matching needs 2 GB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from pytorch_ood import detector as pytorch_ood
from timing import best_seconds, table
from torchvision.models import resnet18

from scaling_ood.detectors import LinearHead, Outputs, OutputsList, build_detector
from scaling_ood.detectors.odin import perturbed_logits

IMAGES, TESTS, WIDTH, CLASSES = 5000, 500, 512, 100
MANY_CLASSES, MANY_TESTS = 11_221, 512


class ManyLogits:
    """Five images of each of 11,221 classes, made as they are read: no image is kept."""

    class_groups = None

    def __iter__(self) -> Iterator[Outputs]:
        """Chunks of 512 images."""
        generator = torch.Generator().manual_seed(0)
        for classes in torch.split(torch.arange(5 * MANY_CLASSES) % MANY_CLASSES, 512):
            logits = torch.randn(len(classes), MANY_CLASSES, generator=generator)
            logits[torch.arange(len(classes)), classes] += 12
            yield Outputs(logits)


def compare() -> list[list[str]]:
    """Time of fitting and scoring, ours and theirs."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % CLASSES
    centres = torch.randn(CLASSES, WIDTH, generator=generator)
    fit = (centres[labels] + torch.randn(IMAGES, WIDTH, generator=generator)).relu()
    test = torch.randn(TESTS, WIDTH, generator=generator).relu()
    head = LinearHead(torch.randn(CLASSES, WIDTH, generator=generator) / WIDTH**0.5, torch.zeros(CLASSES))
    view = OutputsList([Outputs(head.logits(fit), fit)], targets=labels, head=head)
    chunk = Outputs(head.logits(test), test)
    theirs: dict[str, Callable[[], object]] = {
        "mahalanobis": lambda: pytorch_ood.Mahalanobis(None).fit_features(fit, labels).predict_features(test),
        "knn": lambda: pytorch_ood.KNN(None, k=10).fit_features(fit, labels).predict_features(test),
        "vim": lambda: pytorch_ood.ViM(None, 256, *head).fit_features(fit, labels).predict_features(test),
    }
    rows = []
    for name, call in theirs.items():
        slow = best_seconds(call, 1)
        fast = best_seconds(lambda name=name: build_detector(name).fit(view).score(chunk))
        rows.append([name, f"{slow:.2f} s", f"{fast:.2f} s", f"{slow / fast:.1f}x"])
    return rows


def odin() -> list[list[str]]:
    """Time of a plain forward pass, and with ODIN's on top."""
    network = resnet18().eval()
    images = torch.randn(8, 3, 224, 224)
    with torch.inference_mode():
        plain = best_seconds(lambda: network(images), 5)
        ours = best_seconds(lambda: perturbed_logits(network, images), 5)
    theirs = best_seconds(lambda: pytorch_ood.ODIN(network).predict(images), 5)
    return [["odin: ResNet-18, 8 images", f"{theirs:.2f} s", f"{ours:.2f} s", f"{ours / plain:.1f} plain passes"]]


def main() -> None:
    """Print both tables, and the cost of KL matching for as many classes as ImageNet-21K-P has."""
    print(f"Fitting on {IMAGES:,} and scoring {TESTS:,} images, {WIDTH} features, {CLASSES} classes")
    print(table(["", "pytorch-ood", "scaling-ood", ""], [*compare(), *odin()]))
    start = time.perf_counter()
    detector = build_detector("kl_matching").fit(ManyLogits())
    fitted = time.perf_counter() - start
    seconds = best_seconds(lambda: detector.score(Outputs(next(iter(ManyLogits())).logits)), 1)
    print(
        f"KL matching, {MANY_CLASSES:,} classes: fitting {1000 * fitted / (5 * MANY_CLASSES):.2f} ms an image with the"
    )
    print(f"making of its logits, scoring {1000 * seconds / MANY_TESTS:.1f} ms an image, templates of ", end="")
    print(f"{detector.log_templates.untyped_storage().nbytes() / 1e9:.2f} GB\n")


if __name__ == "__main__":
    main()
