import dataclasses
import io

import numpy as np
import pytest
from report.fabricated import example

from scaling_ood.report import dispersal_figure


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_an_example_is_an_image_beside_its_probabilities_and_logits():
    image, softmax, logits = dispersal_figure([example()]).axes
    assert image.get_title() == "red fox"
    assert image.get_xlabel() == "MSP 31.0% (lowest 2 %)"
    assert [label.get_text() for label in softmax.get_yticklabels()] == [
        "kit fox",
        "red fox",
        "grey fox",
        "coyote",
        "lynx",
    ]
    assert texts(softmax) == ["31%", "27%", "19%", "8%", "3%"]
    assert texts(logits)[:5] == ["11.2", "11.1", "10.7", "9.8", "8.9"]
    assert texts(logits)[5:] == ["canids"] * 4 + ["felids"]


def test_a_family_has_one_colour():
    _, softmax, _ = dispersal_figure([example()]).axes
    colours = [patch.get_facecolor() for patch in softmax.patches[:5]]
    assert len(set(colours[:4])) == 1
    assert colours[4] != colours[0]


def test_without_families_the_true_class_stands_out():
    _, softmax, _ = dispersal_figure([dataclasses.replace(example(), groups={})]).axes
    colours = [patch.get_facecolor() for patch in softmax.patches[:5]]
    assert colours.count(colours[1]) == 1


def test_logits_in_another_order_have_names_of_their_own():
    other = dataclasses.replace(example(), top_logits=[("lynx", 3.0), ("red_fox", -1.0)])
    axes = dispersal_figure([example(), other]).axes
    assert [label.get_text() for label in axes[5].get_yticklabels()] == ["lynx", "red fox"]
    assert {label.get_text() for label in axes[2].get_yticklabels()} == {""}
    assert axes[5].get_xlim()[0] <= -1


def test_it_can_be_drawn_with_names_that_look_like_formulas():
    figure = dispersal_figure([dataclasses.replace(example(true_class="$x^"), rank="lowest $1$")] * 2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert buffer.tell() > 10_000


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8, got \(3, 8, 8\) float32"):
        example(image=np.zeros((3, 8, 8), dtype=np.float32))
    with pytest.raises(ValueError, match="no top probabilities"):
        dataclasses.replace(example(), top_probabilities=[])
    with pytest.raises(ValueError, match="at least one example"):
        dispersal_figure([])
