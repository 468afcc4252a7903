"""One pass over image sets, in shards: how it is cut changes nothing, and what no detector can score ends it."""

import re
from dataclasses import dataclass, replace
from math import ceil

import pytest
import torch
from helpers.bench import variant

from scaling_ood.detectors import Need
from scaling_ood.evaluation.passes import (
    HEADS,
    HeadPass,
    ImagePass,
    ScenePass,
    image_set_of,
    loading_of,
    made,
    scene_loading_of,
)
from scaling_ood.images import Loading, Noise, Preprocessing
from scaling_ood.models import Forward, Network
from scaling_ood.models.output_checks import NetworkOutputError
from scaling_ood.parameters.common import RuntimeSpec
from scaling_ood.products.plans import Part

PREPROCESSING = Preprocessing(10, 8, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SETS = ("fit", "test", "greens", "static", "raw_static")


class Plain(Network):
    """The network's input as features, and its mean as the only logit; NaN for the images of these numbers."""

    gives = frozenset({"logits", "features"})

    def __init__(self, bad=(), dtype=torch.float32):
        super().__init__()
        self.bad, self.seen, self.dtype = bad, 0, dtype

    def encode(self, inputs):
        return inputs

    def decode(self, encoded):
        numbers = range(self.seen, self.seen + len(encoded))
        self.seen += len(encoded)
        logits = encoded.mean(dim=(1, 2, 3))[:, None].clone()
        logits[[number in self.bad for number in numbers]] = torch.nan
        return {"logits": logits.to(self.dtype), "features": encoded.flatten(1)}


class Pixels(Plain):
    """The same for every pixel."""

    def decode(self, encoded):
        logits = super().decode(encoded)["logits"][:, :, None, None]
        return {"logits": logits + encoded.mean(dim=1, keepdim=True)}


@pytest.fixture
def images(benches):
    return benches("multi_class").manifest


def pass_over(manifest, batch=7, workers=0, shard=5, network=None, needs=("logits", "features"), **changes):
    made = ImagePass(
        manifest, lambda: {"seed0": network or Plain()}, needs, Forward("cpu", channels_last=False), torch.float32,
        shard, "toy", "the network toy", PREPROCESSING, Loading(batch, workers),
    )  # fmt: skip
    return replace(made, **changes)


def whole(given, sets=SETS):
    made = {}
    for name, tensors in given(given.parts(sets)):
        made.setdefault(image_set_of(name), []).append(tensors["seed0/features"])
    return {name: torch.cat(parts) for name, parts in made.items()}


def test_shards_are_full_but_the_last_one_of_each_set(images):
    assert pass_over(images, shard=8).parts(("fit", "test")) == [
        Part("fit-00000", 8),
        Part("fit-00001", 8),
        Part("fit-00002", 4),
        Part("test-00000", 8),
        Part("test-00001", 4),
    ]


@pytest.mark.parametrize(("batch", "shard"), [(1, 5), (3, 4), (7, 7), (64, 5), (2, 100), (5, 1)])
def test_batch_size_and_shard_size_change_no_output(images, batch, shard):
    reference = whole(pass_over(images, batch=100, shard=100))
    other = whole(pass_over(images, batch=batch, shard=shard))
    assert {name: len(tensor) for name, tensor in other.items()} == {n: images.preparation.images[n] for n in SETS}
    for name, tensor in reference.items():
        assert torch.equal(other[name], tensor)


def test_worker_processes_change_no_output(images):
    sets = ("greens", "static")
    alone, shared = whole(pass_over(images, batch=3), sets), whole(pass_over(images, batch=2, workers=2), sets)
    assert all(torch.equal(shared[name], alone[name]) for name in sets)


def test_every_shard_has_its_images_and_its_name_in_order(images):
    given = pass_over(images, batch=4)
    parts = given.parts(SETS)
    made = list(given(parts))
    assert [name for name, _ in made] == [part.name for part in parts]
    assert [len(tensors["seed0/logits"]) for _, tensors in made] == [part.items for part in parts]


@pytest.mark.parametrize("missing", [[1], [0, 2], [3], [1, 3], [0, 1, 2, 3]])
def test_missing_shards_alone_are_made_and_equal_those_of_a_whole_pass(images, missing):
    given = pass_over(images, batch=3)
    parts = given.parts(("fit",))
    everything, some = dict(given(parts)), dict(given([parts[index] for index in missing]))
    assert list(some) == [parts[index].name for index in missing]
    for name, tensors in some.items():
        assert torch.equal(tensors["seed0/features"], everything[name]["seed0/features"])


def test_noise_reaches_the_network_as_its_range_says(images):
    made = whole(pass_over(images))
    for name, recipe, ready in (("static", "gaussian", False), ("raw_static", "rademacher", True)):
        for index, image in enumerate(made[name].view(-1, 3, 8, 8)):
            noise = torch.from_numpy(Noise(recipe).image(index, 8)).permute(2, 0, 1)
            # `pixel`: [-1, 1] -> [0, 1] -> (x - 0.5) / 0.5, which is the same again; `tensor`: as it is.
            torch.testing.assert_close(image, noise, rtol=0, atol=0 if ready else 1e-6)


def test_noise_of_the_pixel_range_takes_the_normalisation_of_the_weights_and_the_other_does_not(images):
    shifted = Preprocessing(10, 8, "bilinear", (0.25, 0.5, 0.75), (0.2, 0.3, 0.4))
    sets = ("static", "raw_static")
    before, after = whole(pass_over(images), sets), whole(pass_over(images, preprocessing=shifted), sets)
    assert torch.equal(after["raw_static"], before["raw_static"])
    pixels = before["static"].view(-1, 3, 64) * 0.5 + 0.5
    mean, std = torch.tensor(shifted.mean)[None, :, None], torch.tensor(shifted.std)[None, :, None]
    torch.testing.assert_close(after["static"].view(-1, 3, 64), (pixels - mean) / std, rtol=1e-5, atol=1e-5)


def test_only_what_is_needed_is_kept_and_in_the_stored_type(images):
    for stored in (torch.float32, torch.float16):
        given = pass_over(images, needs=("logits",), stored=stored, network=Plain(dtype=torch.bfloat16))
        for _, tensors in given(given.parts(("greens",))):
            assert {name: tensor.dtype for name, tensor in tensors.items()} == {"seed0/logits": stored}


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_nan_ends_the_pass_with_network_set_image_and_count(images, batch):
    given = pass_over(images, batch=batch, network=Plain(bad=(5, 6)))
    ids, made = images.of("greens")["id"].iloc[5:7].tolist(), []
    told = f"toy: the network toy gives NaN for 2 of 3 images of greens ({ids[0]}, {ids[1]}; seed0/logits). Look at"
    with pytest.raises(NetworkOutputError, match=f"^{re.escape(told)}"):
        made.extend(name for name, _ in given(given.parts(("greens",))))
    assert made == ["greens-00000"]  # shards without NaN are stored


def test_nan_of_heads_on_stored_features_ends_the_pass_too(benches):
    own = benches("multi_class")
    made = HeadPass(
        own.manifest, lambda: {"seed0": Broken()}, ("logits",), Forward("cpu"), torch.float32, 5, "toy",
        "the network toy", own.outputs(), "seed0/features",
    )  # fmt: skip
    with pytest.raises(NetworkOutputError, match=r"^toy: the network toy gives NaN for 2 of 5 images of test \("):
        list(made([Part("test-00000", 5)]))


class Broken(Plain):
    """NaN for the first two."""

    def decode(self, encoded):
        return {"logits": encoded.clone().index_fill_(0, torch.tensor([0, 1]), torch.nan)}


def scenes(manifest, network, edges=(None,), shard=2):
    return ScenePass(
        manifest, lambda: {"seed0": network}, ("logits",), Forward("cpu", channels_last=False), torch.float32, shard,
        "toy", "the network toy", PREPROCESSING, edges, 1000, Loading(1, 0),
    )  # fmt: skip


def test_nan_of_a_scene_ends_the_pass_with_its_name(benches):
    manifest = benches("segmentation").manifest
    given = scenes(manifest, Pixels(bad=(1,)))
    path = manifest.of("test")["path"].iloc[1]
    told = rf"^toy: the network toy gives NaN for 1 of 2 images of test \({path}; seed0/logits/0\)"
    with pytest.raises(NetworkOutputError, match=told):
        list(given(given.parts(("test",))))


def test_scenes_of_any_size_pass_one_by_one_at_every_scale(benches):
    manifest = benches("segmentation").manifest
    rows, sizes = manifest.of("test"), [(48, 64), (40, 56), (48, 64)]
    for shard in (1, 2, 5):
        given = scenes(manifest, Pixels(), (None, 24), shard)
        found = [tensor for _, tensors in given(given.parts(("test",))) for _, tensor in sorted(tensors.items())]
        shapes = [tuple(tensor.shape[-2:]) for tensor in found]
        halves = [(24, 8 * ceil(24 * width / height / 8)) for height, width in sizes]  # multiples of the stride
        assert len(rows) == 3
        assert shapes == [size for pair in zip(sizes, halves, strict=True) for size in pair]


def test_successive_scenes_of_one_size_go_together_and_nothing_changes(benches):
    manifest = benches("segmentation").manifest
    test = manifest.of("test")
    together = replace(manifest, rows=test.sort_values("height", kind="stable"))
    alone, seen = scenes(together, Pixels(), (None, 24), shard=5), []
    network = Pixels()
    encode = network.encode
    network.encode = lambda inputs: seen.append(tuple(inputs.shape)) or encode(inputs)
    grouped = replace(alone, networks=lambda: {"seed0": network}, loading=Loading(8, 0))
    ((name, first),), ((again, second),) = (list(each(each.parts(("test",)))) for each in (alone, grouped))
    assert (name, len(first)) == (again, 6)
    assert first.keys() == second.keys()
    assert all(torch.equal(second[each], tensor) for each, tensor in first.items())
    assert seen == [(1, 3, 40, 56), (1, 3, 24, 40), (2, 3, 48, 64), (2, 3, 24, 32)]


def test_scenes_that_go_together_have_each_its_own_chance():
    inputs = torch.rand(3, 3, 8, 8)
    network = {"seed0": Plain()}
    whole_batch = made(network, inputs, {"seed0": inputs}, ["logits", Seeded()], seeds=(5, 6, 7))
    for number, seed in enumerate((5, 6, 7)):
        one = inputs[number : number + 1]
        alone = made(network, one, {"seed0": one}, ["logits", Seeded()], seeds=(seed,))
        for name, tensor in alone.items():
            assert torch.equal(whole_batch[name][number : number + 1], tensor)
    of_batch = made(network, inputs, {"seed0": inputs}, [Seeded()], seeds=(5,))["seed0/seeded"]
    assert torch.equal(of_batch, inputs.mean(dim=(1, 2, 3)) * 5)


@dataclass(frozen=True)
class Seeded(Need):
    """The mean of each image, times the seed."""

    name = "seeded"
    requires = frozenset()

    def make(self, given):
        assert len(given.outputs["logits"]) == len(given.inputs) == len(given.encoded)
        return given.inputs.mean(dim=(1, 2, 3)) * given.seed


def test_a_precision_that_the_device_lacks_is_refused_before_an_image_is_read(images):
    given = pass_over(images, forward=Forward("cpu", "tf32"), preprocessing=None)
    with pytest.raises(ValueError, match="precision tf32"):
        next(given(given.parts(("test",))))


def test_the_chance_of_a_scene_depends_on_nothing_but_its_name(benches, tmp_path):
    """Masks of dropout, whatever the shards and the folder."""
    own = benches("segmentation")
    own.load("segmenter.outputs")
    other = variant(own, tmp_path, extraction__shard_images=3).run("segmenter.outputs")
    (field,) = {name.split("/")[2] for name in own.outputs().read("test-00000") if "posterior_variance" in name}
    whole_set = other.outputs().read("test-00000")
    split = {**own.outputs().read("test-00000")}
    split |= {name.replace("00000/", "00002/", 1): each for name, each in own.outputs().read("test-00001").items()}
    for number in range(3):
        name = f"{number:05d}/seed0/{field}/0"
        assert split[name].max() > 0
        torch.testing.assert_close(split[name], whole_set[name], rtol=1e-4, atol=1e-7)


def test_the_last_layer_is_stored_beside_features(benches):
    own = benches("multi_class")
    layers, states = own.outputs().read(HEADS), own.model().states()
    for seed in ("seed0", "seed1"):
        assert torch.equal(layers[f"{seed}/weight"].float(), states[seed]["output.weight"])
        assert torch.equal(layers[f"{seed}/bias"].float(), states[seed]["output.bias"])


@pytest.mark.parametrize("name", ["test", "tiny_imagenet-near", "a-b-c"])
def test_the_set_of_a_shard_is_what_stands_before_its_number(name):
    assert image_set_of(f"{name}-00012") == name


def test_batches_are_small_on_a_processor_unless_they_are_given():
    assert loading_of(RuntimeSpec(device="cpu", workers=1)) == Loading(16, 1)
    assert loading_of(RuntimeSpec(device="cpu", batch_images=7)) == Loading(7, "auto")
    assert scene_loading_of(RuntimeSpec(device="cpu")) == Loading(1, "auto")
    assert scene_loading_of(RuntimeSpec(device="cpu", batch_images=7)) == Loading(7, "auto")
