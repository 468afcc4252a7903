"""A file's weights give the very logits that the network gave which they were taken from."""

import re
from functools import partial

import pytest
import torch

from scaling_ood.models import Checkpoint, CheckpointError, ClassHead, adopted_state, architecture, build_network


def restored(name, state, classes):
    network = build_network(name, partial(ClassHead, classes=classes), seed=0, start="random").eval()
    network.load_state_dict(state)
    return network


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "timm:resnet18", "efficientnet_lite0"])
def test_the_libraries_own_names_are_read(name):
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    whole = architecture(name).whole.build(7).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = whole(images)
    state = {key: value.clone() for key, value in whole.state_dict().items()}
    adopted = adopted_state(name, Checkpoint("a.pth", "", state), 7)
    with torch.inference_mode():
        torch.testing.assert_close(restored(name, adopted, 7)(images)["logits"], expected)


def test_authors_names_of_a_timm_network_are_read_too():
    pytest.importorskip("timm")
    whole = architecture("timm:tresnet_m.miil_in21k").whole.build(3)
    # The authors' files have no names for convolution and norm: `conv1.0`, `conv1.1`.
    authors = {
        re.sub(
            r"(conv\d|downsample\.\d)\.bn\.", r"\1.1.", re.sub(r"(conv\d|downsample\.\d)\.conv\.", r"\1.0.", key)
        ): value
        for key, value in whole.state_dict().items()
    }
    assert "body.conv1.0.weight" in authors
    adopted = adopted_state("timm:tresnet_m.miil_in21k", Checkpoint("a.pth", "", authors), 3)
    assert adopted["backbone.body.conv1.conv.weight"].equal(whole.state_dict()["body.conv1.conv.weight"])
    assert adopted["head.output.weight"].equal(whole.state_dict()["head.fc.weight"])


@pytest.mark.parametrize("layer", ["head.output.", "head."])
@pytest.mark.parametrize("name", ["small_resnet", "resnet18"])
def test_what_this_project_stores_is_read_whatever_the_architecture(name, layer):
    state = build_network(name, partial(ClassHead, classes=4), seed=0, start="random").state_dict()
    stored = {key.replace("head.output.", layer): value for key, value in state.items()}
    adopted = adopted_state(name, Checkpoint("model.safetensors", "", stored), 4)
    assert adopted.keys() == state.keys()
    assert all(adopted[key].equal(value) for key, value in state.items())


def test_another_number_of_classes_is_told_in_words():
    state = architecture("resnet18").whole.build(1000).state_dict()
    message = r"^a\.pth does not fit ResNet: its head fc has 1,000 classes, but the data set has 365; "
    with pytest.raises(CheckpointError, match=message):
        adopted_state("resnet18", Checkpoint("a.pth", "", state), 365)


def test_a_head_of_several_layers_is_refused():
    state = architecture("squeezenet1_1").whole.build(5).state_dict()
    with pytest.raises(CheckpointError, match=r"'squeezenet1_1' is more than one linear layer: a\.pth cannot be used"):
        adopted_state("squeezenet1_1", Checkpoint("a.pth", "", state), 5)


def test_a_classifier_beside_a_loss_is_found_and_one_of_two_is_not_guessed():
    torch.manual_seed(0)
    whole = architecture("resnet18").whole.build(4)
    state = {f"net.{key}": value for key, value in whole.state_dict().items()} | {"loss.weight": torch.ones(4)}
    adopted = adopted_state("resnet18", Checkpoint("a.ckpt", "", state), 4)
    assert adopted["head.output.weight"].equal(whole.fc.weight)
    twice = state | {f"ema.{key}": value for key, value in whole.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"a\.ckpt holds several networks, under 'net' and 'ema': save one"):
        adopted_state("resnet18", Checkpoint("a.ckpt", "", twice), 4)
