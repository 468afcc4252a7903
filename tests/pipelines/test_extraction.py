"""One pass over image sets, in shards: how it is cut into batches, shards and processes changes nothing."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from scaling_ood.pipelines.extraction import Extraction, image_set_of, loading_of
from scaling_ood.plans import Part
from scaling_ood.preparation import Preparation
from torch import nn

from scaling_ood.images import ChangedFileError, Loading, Noise, Preprocessing
from scaling_ood.models import Forward, ForwardPass, NetworkOutputError
from scaling_ood.parameters.common import RuntimeSpec

PREPROCESSING = Preprocessing(10, 8, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SETS = ("fit", "test", "greens", "static", "raw_static")


class Identity(nn.Module):
    """The network's input as features, and its mean as the only logit."""

    def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
        return {"fine_seed0": ForwardPass(images.mean(dim=(1, 2, 3))[:, None], images.flatten(1))}


def extraction(
    manifest: pd.DataFrame, preparation: dict[str, Any], batch: int = 7, workers: int = 0, shard: int = 5
) -> Extraction:
    return Extraction(
        manifest,
        Preparation.model_validate(preparation),
        PREPROCESSING,
        Forward("cpu", channels_last=False),
        Loading(batch, workers),
        ("logits", "features"),
        shard,
    )


def whole(given: Extraction, sets: tuple[str, ...] = SETS) -> dict[str, torch.Tensor]:
    made: dict[str, list[torch.Tensor]] = {}
    for name, tensors in given.produce(Identity(), given.parts(sets)):
        made.setdefault(image_set_of(name), []).append(tensors["fine_seed0/features"])
    return {name: torch.cat(parts) for name, parts in made.items()}


def test_shards_are_full_but_the_last_one_of_each_set(manifest: pd.DataFrame, preparation: dict[str, Any]) -> None:
    parts = extraction(manifest, preparation, shard=8).parts(("fit", "test"))
    assert parts == [
        Part("fit-00000", 8),
        Part("fit-00001", 8),
        Part("fit-00002", 4),
        Part("test-00000", 8),
        Part("test-00001", 4),
    ]


@pytest.mark.parametrize(("batch", "shard"), [(1, 5), (3, 4), (7, 7), (64, 5), (2, 100), (5, 1)])
def test_batch_size_and_shard_size_change_no_output(
    manifest: pd.DataFrame, preparation: dict[str, Any], batch: int, shard: int
) -> None:
    reference = whole(extraction(manifest, preparation, batch=100, shard=100))
    other = whole(extraction(manifest, preparation, batch=batch, shard=shard))
    assert {name: len(tensor) for name, tensor in other.items()} == {name: preparation["images"][name] for name in SETS}
    for name, tensor in reference.items():
        assert torch.equal(other[name], tensor)


def test_worker_processes_change_no_output(manifest: pd.DataFrame, preparation: dict[str, Any]) -> None:
    sets = ("greens", "static")
    alone = whole(extraction(manifest, preparation, batch=3), sets)
    shared = whole(extraction(manifest, preparation, batch=2, workers=2), sets)
    assert all(torch.equal(shared[name], alone[name]) for name in sets)


def test_every_shard_has_its_images_and_its_name_in_order(manifest: pd.DataFrame, preparation: dict[str, Any]) -> None:
    given = extraction(manifest, preparation, batch=4, shard=5)
    parts = given.parts(SETS)
    made = list(given.produce(Identity(), parts))
    assert [name for name, _ in made] == [part.name for part in parts]
    assert [len(tensors["fine_seed0/logits"]) for _, tensors in made] == [part.items for part in parts]


@pytest.mark.parametrize("missing", [[1], [0, 2], [3], [1, 3], [0, 1, 2, 3]])
def test_missing_shards_alone_are_made_and_equal_those_of_a_whole_pass(
    manifest: pd.DataFrame, preparation: dict[str, Any], missing: list[int]
) -> None:
    given = extraction(manifest, preparation, batch=3, shard=5)
    parts = given.parts(("fit",))
    everything = dict(given.produce(Identity(), parts))
    some = dict(given.produce(Identity(), [parts[index] for index in missing]))
    assert list(some) == [parts[index].name for index in missing]
    for name, tensors in some.items():
        assert torch.equal(tensors["fine_seed0/features"], everything[name]["fine_seed0/features"])


def test_noise_reaches_the_network_as_its_range_says(manifest: pd.DataFrame, preparation: dict[str, Any]) -> None:
    made = whole(extraction(manifest, preparation))
    for name, recipe, ready in (("static", "gaussian", False), ("raw_static", "rademacher", True)):
        for index, image in enumerate(made[name].view(-1, 3, 8, 8)):
            noise = torch.from_numpy(Noise(recipe).image(index, 8)).permute(2, 0, 1)  # type: ignore[arg-type]
            # `pixel`: [-1, 1] -> [0, 1] -> (x - 0.5) / 0.5, which is the same again; `tensor`: as it is.
            torch.testing.assert_close(image, noise, rtol=0, atol=0 if ready else 1e-6)


def test_noise_of_the_pixel_range_takes_the_normalisation_of_the_weights_and_the_other_does_not(
    manifest: pd.DataFrame, preparation: dict[str, Any]
) -> None:
    shifted = Preprocessing(10, 8, "bilinear", (0.25, 0.5, 0.75), (0.2, 0.3, 0.4))
    given = extraction(manifest, preparation)
    other = Extraction(**{**vars(given), "preprocessing": shifted})
    before, after = whole(given, ("static", "raw_static")), whole(other, ("static", "raw_static"))
    assert torch.equal(after["raw_static"], before["raw_static"])
    pixels = before["static"].view(-1, 3, 64) * 0.5 + 0.5
    mean, std = torch.tensor(shifted.mean)[None, :, None], torch.tensor(shifted.std)[None, :, None]
    torch.testing.assert_close(after["static"].view(-1, 3, 64), (pixels - mean) / std, rtol=1e-5, atol=1e-5)


def test_only_the_wanted_fields_are_kept(manifest: pd.DataFrame, preparation: dict[str, Any]) -> None:
    given = Extraction(**{**vars(extraction(manifest, preparation)), "fields": ("logits",)})
    for _, tensors in given.produce(Identity(), given.parts(("greens",))):
        assert tensors.keys() == {"fine_seed0/logits"}


def test_outputs_of_half_precision_are_stored_as_float32(manifest: pd.DataFrame, preparation: dict[str, Any]) -> None:
    class Half(Identity):
        def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
            return {
                name: ForwardPass(*(t.bfloat16() for t in one[:2])) for name, one in super().forward(images).items()
            }

    given = extraction(manifest, preparation)
    for _, tensors in given.produce(Half(), given.parts(("greens",))):
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


@pytest.mark.parametrize("name", ["test", "tiny_imagenet-near", "a-b-c"])
def test_the_set_of_a_shard_is_what_stands_before_its_number(name: str) -> None:
    assert image_set_of(f"{name}-00012") == name


def test_batches_are_small_on_a_processor_unless_they_are_given() -> None:
    assert loading_of(RuntimeSpec(device="cpu", workers=1)) == Loading(16, 1)
    assert loading_of(RuntimeSpec(device="cpu", batch_images=7)) == Loading(7, 2)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_nan_ends_the_pass_with_network_set_image_and_count(
    manifest: pd.DataFrame, preparation: dict[str, Any], batch: int
) -> None:
    """Shards without NaN are stored; the one with NaN is not."""

    class Broken(Identity):
        """NaN for the sixth and the seventh of the eight greens."""

        seen = 0

        def forward(self, images: torch.Tensor) -> dict[str, ForwardPass]:
            outputs = super().forward(images)["fine_seed0"]
            numbers = torch.arange(self.seen, self.seen + len(images))
            Broken.seen += len(images)
            outputs.logits[(numbers == 5) | (numbers == 6)] = torch.nan
            return {"fine_seed0": outputs}

    given = Extraction(
        **{**vars(extraction(manifest, preparation, batch=batch)), "setting": "toy", "network": "the network toy"}
    )
    ids = manifest.loc[manifest["image_set"] == "greens", "id"].iloc[5:7].tolist()
    made = []
    message = (
        f"toy: the network toy gives NaN for 2 of 3 images of greens ({ids[0]}, {ids[1]}; fine_seed0/logits). Look at"
    )
    with pytest.raises(NetworkOutputError, match=f"^{re.escape(message)}"):
        made.extend(name for name, _ in given.produce(Broken(), given.parts(("greens",))))
    assert made == ["greens-00000"]


@pytest.fixture
def own_copy(manifest: pd.DataFrame, preparation: dict[str, Any], data_root: str, tmp_path: Path) -> dict[str, Any]:
    """The record of the same images in a place of their own."""
    shutil.copytree(data_root, tmp_path / "copy")
    return preparation | {"folders": {name: f"{tmp_path}/copy/{name}" for name in preparation["folders"]}}


def test_copied_images_are_read_although_their_times_differ(
    manifest: pd.DataFrame, preparation: dict[str, Any], own_copy: dict[str, Any]
) -> None:
    for path in Path(own_copy["folders"]["greens"]).rglob("*.png"):
        os.utime(path, ns=(1, 1))
    expected, found = (whole(extraction(manifest, record), ("greens",)) for record in (preparation, own_copy))
    assert torch.equal(expected["greens"], found["greens"])


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_changed_since_the_preparation_ends_the_pass_before_its_shard(
    manifest: pd.DataFrame, own_copy: dict[str, Any], workers: int
) -> None:
    path = sorted(Path(own_copy["folders"]["greens"]).rglob("*.png"))[6]
    other = next(Path(own_copy["folders"]["squares"]).rglob("*.png"))
    path.write_bytes(other.read_bytes())
    given = extraction(manifest, own_copy, batch=1, workers=workers)
    made = given.produce(Identity(), given.parts(("greens",)))
    assert next(made)[0] == "greens-00000"
    with pytest.raises(ChangedFileError, match=f"{path.name} has other content than when the data was prepared"):
        next(made)
