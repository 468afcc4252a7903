"""Published weights are as accurate as recorded, on 1,000 photographs that are not part of the project."""

from pathlib import Path

import pytest
import torch
from image_trees import images_of

from scaling_ood.images import Loading, Photographs, list_files
from scaling_ood.models import ARCHITECTURES, Forward, published_network

PHOTOGRAPHS = Path(__file__).parents[3] / "shared/data/imagenet-sample"
# Other processors round other images across the border between two classes.
TOLERANCE = 0.002


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"no photographs in {PHOTOGRAPHS}")
@pytest.mark.parametrize("name", [name for name, one in ARCHITECTURES.items() if one.weights])
def test_top1_is_not_under_the_recorded_value(name):
    registered = ARCHITECTURES[name]
    forward = Forward("cpu")
    network = forward.place(published_network(name, registered.classes))
    paths = [str(PHOTOGRAPHS / entry.path) for entry in images_of(list_files("class_prefix", PHOTOGRAPHS))]
    batches = Loading().batches(Photographs(paths, registered.preprocessing), pin_memory=False)
    with torch.inference_mode():
        predicted = [network(forward.inputs(registered.preprocessing, batch))["logits"] for batch in batches]
    right = torch.cat(predicted).argmax(dim=1) == torch.arange(len(paths))
    assert registered.sample_top1 is not None
    assert float(right.double().mean()) >= registered.sample_top1 - TOLERANCE
