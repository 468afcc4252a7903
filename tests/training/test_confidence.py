"""The loss with hints against hand computations and against the authors' formula written out."""

import math

import pytest
import torch
from torch.nn import functional

from scaling_ood.models import ClassHead
from scaling_ood.training.classification import Classification, ClassificationRecipe
from scaling_ood.training.confidence import Budget, ConfidenceObjective, confidence_loss, toss
from scaling_ood.training.images import CachedFeatures


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def random_case(*size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, *size, generator=generator)
    confidence = torch.randn(3, *size, generator=generator)
    labels = torch.randint(0, 4, (3, *size), generator=generator)
    coins = torch.randint(0, 2, (3, *size), generator=generator).float()
    return logits, confidence, labels, coins


def reference(
    logits: torch.Tensor, confidence: torch.Tensor, labels: torch.Tensor, coins: torch.Tensor, weight: float
) -> torch.Tensor:
    """The authors' training script, line by line."""
    p, c = logits.softmax(1), confidence.sigmoid().unsqueeze(1)
    p, c = p.clamp(1e-12, 1 - 1e-12), c.clamp(1e-12, 1 - 1e-12)
    y = torch.zeros_like(p).scatter_(1, labels.unsqueeze(1), 1.0)
    b = coins.unsqueeze(1)
    conf = c * b + (1 - b)
    pred = torch.log(p * conf.expand_as(p) + y * (1 - conf.expand_as(y)))
    return functional.nll_loss(pred, labels) + weight * torch.mean(-torch.log(c))


def test_two_samples_by_hand() -> None:
    # p(true) = 0.8 and 0.5, c = 0.6 and 0.9; only the first takes a hint: 0.6 * 0.8 + 0.4 = 0.88.
    logits = torch.tensor([[log_odds(0.8), 0.0], [0.0, 0.0]])
    confidence = torch.tensor([log_odds(0.6), log_odds(0.9)])
    loss = confidence_loss(logits, confidence, torch.tensor([0, 1]), torch.tensor([1.0, 0.0]), 0.1)
    task, price = -(math.log(0.88) + math.log(0.5)) / 2, -(math.log(0.6) + math.log(0.9)) / 2
    assert loss.task.item() == pytest.approx(task, rel=1e-6)
    assert loss.price.item() == pytest.approx(price, rel=1e-6)
    assert loss.total.item() == pytest.approx(task + 0.1 * price, rel=1e-6)


def test_void_pixels_count_in_neither_part() -> None:
    logits = torch.tensor([[log_odds(0.8), 5.0], [0.0, 0.0]]).view(1, 2, 1, 2)
    confidence = torch.tensor([log_odds(0.6), -9.0]).view(1, 1, 2)
    labels = torch.tensor([[[0, 255]]])
    loss = confidence_loss(logits, confidence, labels, torch.ones(1, 1, 2), 1.0, void=255)
    assert loss.task.item() == pytest.approx(-math.log(0.88), rel=1e-6)
    assert loss.price.item() == pytest.approx(-math.log(0.6), rel=1e-6)


def test_an_image_that_is_all_void_costs_nothing_and_moves_nothing() -> None:
    logits, confidence = torch.randn(1, 2, 2, 2, requires_grad=True), torch.randn(1, 2, 2, requires_grad=True)
    labels = torch.full((1, 2, 2), 255)
    loss = confidence_loss(logits, confidence, labels, toss(labels), 1.0, void=255)
    loss.total.backward()
    assert [part.item() for part in loss] == [0.0, 0.0, 0.0]
    assert logits.grad is not None
    assert confidence.grad is not None
    assert not logits.grad.any()
    assert not confidence.grad.any()


@pytest.mark.parametrize("size", [(), (5, 7)])
def test_loss_and_gradients_are_those_of_the_authors_script(size: tuple[int, ...]) -> None:
    logits, confidence, labels, coins = random_case(*size)
    gradients = []
    for function in (lambda *a: confidence_loss(*a).total, reference):
        z, c = logits.clone().requires_grad_(), confidence.clone().requires_grad_()
        total = function(z, c, labels, coins, 0.7)
        gradients.append((total.detach(), *torch.autograd.grad(total, (z, c))))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


def test_without_hints_the_task_is_cross_entropy() -> None:
    logits, confidence, labels, coins = random_case(4, 4)
    loss = confidence_loss(logits, confidence, labels, torch.zeros_like(coins), 0.0)
    assert loss.total.item() == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-6)


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_extreme_outputs_give_finite_losses_and_gradients(extreme: float) -> None:
    logits = torch.tensor([[extreme, 0.0]], requires_grad=True)
    confidence = torch.tensor([extreme], requires_grad=True)
    for coin in (0.0, 1.0):
        loss = confidence_loss(logits, confidence, torch.tensor([0]), torch.tensor([coin]), 0.1).total
        assert all(torch.isfinite(g).all() for g in (loss, *torch.autograd.grad(loss, (logits, confidence))))
    sure = confidence_loss(logits, torch.tensor([1e4]), torch.tensor([1]), torch.tensor([1.0]), 0.1)
    assert sure.task.item() == pytest.approx(max(extreme, 0), abs=1)


def test_coins_are_fair_and_per_pixel_or_per_image() -> None:
    torch.manual_seed(0)
    labels = torch.zeros(400, 6, 8, dtype=torch.long)
    pixel, image = toss(labels), toss(labels, "image")
    assert (pixel.shape, image.shape) == ((400, 6, 8), (400, 1, 1))
    assert set(pixel.unique().tolist()) == set(image.unique().tolist()) == {0.0, 1.0}
    assert pixel.mean().item() == pytest.approx(0.5, abs=0.02)
    assert image.mean().item() == pytest.approx(0.5, abs=0.1)
    assert toss(labels[:, 0, 0]).shape == toss(labels[:, 0, 0], "image").shape == (400,)


def test_a_coin_per_image_hints_all_its_pixels() -> None:
    logits, confidence, labels, _ = random_case(2, 2)
    coins = torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1)
    whole = confidence_loss(logits, confidence, labels, coins, 0.3)
    assert torch.equal(whole.total, confidence_loss(logits, confidence, labels, coins.expand(3, 2, 2), 0.3).total)


def test_the_weight_follows_the_budget_step_by_step() -> None:
    budget, weight = Budget(weight=0.1, spend=0.3), 0.1
    for price, factor in ((0.5, 1 / 0.99), (0.2, 1 / 1.01), (0.3, 1 / 0.99)):
        after = budget.after(price, weight)
        assert after == pytest.approx(weight * factor, rel=1e-12)
        weight = after


FEATURES = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(40) % 4
CPU = torch.device("cpu")


def test_a_step_minimises_the_loss_with_hints_at_the_present_weight_and_moves_the_weight() -> None:
    torch.manual_seed(3)
    head, objective = ClassHead(6, 4, second="confidence"), ConfidenceObjective(Budget(weight=0.2, spend=0.5))
    assert objective.extra == {"hint_weight": 0.2}
    for weight in (0.2, 0.7):
        torch.manual_seed(8)
        made = objective.loss(head(FEATURES), CLASSES, {"hint_weight": weight})
        torch.manual_seed(8)
        logits, confidence = head.output(FEATURES), head.second(FEATURES)[:, 0]
        loss = confidence_loss(logits, confidence, CLASSES, toss(CLASSES), weight)
        torch.testing.assert_close(made.total, loss.total)
        assert made.shown == {"hint_price": pytest.approx(loss.price.item())}
        after = objective.after({"hint_weight": weight}, {"hint_price": loss.price.item()})
        assert after == {"hint_weight": weight / (1.01 if loss.price.item() < 0.5 else 0.99)}


def test_every_network_begins_with_the_budgets_own_weight() -> None:
    recipe = ClassificationRecipe(epochs=1, batch_images=16, learning_rate=0.05, weight_decay=0.1)
    objective = ConfidenceObjective(Budget(weight=0.2, spend=0.5))
    lesson = Classification(CachedFeatures(FEATURES, CPU), CLASSES, recipe, CPU, objective)
    build = {name: lambda: ClassHead(6, 4, second="confidence") for name in "ab"}
    after_three_steps = [0.2 / (1.01**below * 0.99 ** (3 - below)) for below in range(4)]
    for row in list(lesson.train(build, {"a": 0, "b": 1}))[-1]["history"]:
        assert min(abs(row["hint_weight"] - weight) for weight in after_three_steps) < 1e-12
