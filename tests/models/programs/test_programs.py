"""Files that are whole networks give what the network gave that they were made from, and run nothing else."""

import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import timm
import torch
from helpers.programs import Small, export_onnx, export_pt2, export_torchscript
from torch import nn

from scaling_ood.detectors.odin import perturbed_logits
from scaling_ood.models import ClassCountError, architecture, published_network
from scaling_ood.models.programs import ProgramError

IMAGES = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))
EXPORTS = {"onnx": export_onnx, "pt2": export_pt2, "torchscript": export_torchscript}


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_logits_and_features_are_those_of_the_network_that_was_exported(kind: str, batch: int, tmp_path: Path) -> None:
    model = Small()
    name = f"{kind}:{EXPORTS[kind](model, tmp_path / 'net', batch=batch)}"
    network = published_network(name, 4).eval()
    with torch.inference_mode():
        outputs = network(IMAGES)
        close(outputs["logits"], model(IMAGES))
        close(outputs["features"], model.features(IMAGES))
    registered = architecture(name)
    assert (registered.features, registered.classes, registered.input_px, registered.fixed_size) == (8, 4, 16, True)
    assert network.last_layer is not None
    assert registered.gives == network.gives == {"logits", "features"} | ({"gradients"} if kind == "pt2" else set())


def test_torchscript_gives_logits_and_gradients(tmp_path: Path) -> None:
    model = Small()
    name = f"torchscript:{export_torchscript(model, tmp_path / 'net.pt')}"
    network = published_network(name, 4).eval()
    with torch.inference_mode():
        close(network(IMAGES)["logits"], model(IMAGES))
    assert network.last_layer is None
    assert architecture(name).gives == network.gives == {"logits", "gradients"}


@pytest.mark.parametrize("kind", ["pt2", "torchscript"])
def test_odins_step_goes_through_them(kind: str, tmp_path: Path) -> None:
    model = Small()
    network = published_network(f"{kind}:{EXPORTS[kind](model, tmp_path / 'net')}", 4).eval()
    steps = [perturbed_logits(one, IMAGES, 10, 0.1) for one in (lambda x: network(x)["logits"], model)]
    close(*steps)


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_behind_a_softmax_the_logits_are_what_it_reads(kind: str, tmp_path: Path) -> None:
    model = Small(softmax=True)
    network = published_network(f"{kind}:{EXPORTS[kind](model, tmp_path / 'net')}", 4).eval()
    with torch.inference_mode():
        close(network(IMAGES)["logits"], model.fc(model.features(IMAGES)))


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_real_networks_come_back_from_torch_export(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    px = 224 if name.startswith("vit") else 64
    whole = timm.create_model(name, pretrained=False).eval()
    network = published_network(f"pt2:{export_pt2(whole, tmp_path / 'net.pt2', px)}", 1000).eval()
    images = torch.randn(2, 3, px, px)
    with torch.inference_mode():
        torch.testing.assert_close(network(images)["logits"], whole(images), rtol=1e-3, atol=1e-3)
        assert network.last_layer is not None


def test_onnx_of_torchs_newer_exporter_with_weights_beside_it_is_read(tmp_path: Path) -> None:
    model, file = Small().eval(), tmp_path / "net.onnx"
    torch.onnx.export(model, (IMAGES[:2],), str(file), dynamo=True, external_data=True, verbose=False)
    network = published_network(f"onnx:{file}", 4).eval()
    with torch.inference_mode():
        close(network(IMAGES)["logits"], model(IMAGES))


def test_weights_beside_an_onnx_file_are_part_of_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    torch.onnx.export(Small().eval(), (IMAGES[:2],), str(file), dynamo=True, external_data=True, verbose=False)
    (data,) = tmp_path.glob("*.data")
    before = architecture(f"onnx:{file}").identity
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(bytes(content))
    assert architecture(f"onnx:{file}").identity != before


def test_an_output_called_features_is_none_of_logits(tmp_path: Path) -> None:
    class Two(Small):
        def forward(self, images: torch.Tensor) -> Any:
            features = self.features(images)
            return features, 2 * self.fc(features)

    model, file = Two().eval(), tmp_path / "net.onnx"
    names = {"input_names": ["images"], "output_names": ["features", "logits"]}
    torch.onnx.export(model, (IMAGES,), str(file), dynamo=False, dynamic_axes={"images": {0: "batch"}}, **names)
    network = published_network(f"onnx:{file}", 4).eval()
    with torch.inference_mode():
        close(network(IMAGES)["logits"], model(IMAGES)[1])
    assert network.last_layer is None  # the doubling stands between


def test_the_file_is_known_by_its_content(tmp_path: Path) -> None:
    export_pt2(Small(), tmp_path / "a.pt2")
    (tmp_path / "b.pt2").write_bytes((tmp_path / "a.pt2").read_bytes())
    export_pt2(Small(softmax=True), tmp_path / "c.pt2")
    found = [architecture(f"pt2:{tmp_path / name}.pt2").identity for name in "abc"]
    assert found[0] == found[1] != found[2]


def test_another_number_of_classes_is_told(tmp_path: Path) -> None:
    for kind, export in EXPORTS.items():
        with pytest.raises(ClassCountError, match="has 4 classes, but the data set has 5"):
            published_network(f"{kind}:{export(Small(), tmp_path / kind)}", 5)


@pytest.mark.parametrize("kind", EXPORTS)
@pytest.mark.parametrize("content", [None, b"", b"no network at all", b"PK\x03\x04broken"])
def test_what_is_no_such_file_is_told(kind: str, content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "net"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ProgramError, match="there is no file" if content is None else r"^net: "):
        architecture(f"{kind}:{file}")


# What a program must not do


class Harmful:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def rewritten(file: Path, changes: dict[str, bytes]) -> None:
    """The archive with some members replaced, by the ends of their names."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            new = next((each for end, each in changes.items() if name.endswith(end)), content)
            archive.writestr(name, new)


def graph_of(file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        name = next(each for each in archive.namelist() if each.endswith("models/model.json"))
        found: dict[str, Any] = json.loads(archive.read(name))
    return found


@pytest.mark.parametrize("target", ["torch.os.system", "torch.ops.aten.save.str", "torch.hub.load", "builtins.eval"])
def test_a_program_calls_operators_of_aten_alone(target: str, tmp_path: Path) -> None:
    file = export_pt2(Small(), tmp_path / "net.pt2")
    graph = graph_of(file)
    graph["graph_module"]["graph"]["nodes"][0] |= {"target": target}
    rewritten(file, {"models/model.json": json.dumps(graph).encode()})
    with pytest.raises(ProgramError, match=re.escape(target)):
        architecture(f"pt2:{file}")


def test_an_operator_that_takes_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    file = export_pt2(Small(), tmp_path / "net.pt2")
    graph = graph_of(file)
    mark = tmp_path / "mark"
    wanted = {"name": "filename", "arg": {"as_string": str(mark)}, "kind": 1}
    graph["graph_module"]["graph"]["nodes"][0] |= {"target": "torch.ops.aten.from_file.default", "inputs": [wanted]}
    rewritten(file, {"models/model.json": json.dumps(graph).encode()})
    with pytest.raises(ProgramError, match=r"calls torch\.ops\.aten\.from_file\.default, which is refused"):
        architecture(f"pt2:{file}")
    assert not mark.exists()


def test_nothing_pickled_in_a_program_is_read(tmp_path: Path) -> None:
    mark, file = tmp_path / "mark", export_pt2(Small(), tmp_path / "net.pt2")
    harm = pickle.dumps(Harmful(mark))
    rewritten(file, {"sample_inputs/model.pt": harm})
    published_network(f"pt2:{file}", 4)
    with zipfile.ZipFile(file) as archive:
        place = next(name for name in archive.namelist() if name.endswith("model_weights_config.json"))
        config = json.loads(archive.read(place))
    config["config"]["fc.weight"]["use_pickle"] = True
    rewritten(file, {"model_weights_config.json": json.dumps(config).encode(), "weights/weight_0": harm})
    with pytest.raises(ProgramError, match=r"keeps fc\.weight pickled, which is refused"):
        architecture(f"pt2:{file}")
    assert not mark.exists()


def test_a_program_of_torchscript_that_writes_files_is_refused(tmp_path: Path) -> None:
    class Writing(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            torch.save(images, "/tmp/never")
            return images.mean((2, 3))

    file = tmp_path / "net.pt"
    torch.jit.script(Writing()).save(str(file))
    with pytest.raises(ProgramError, match=r"it calls torch\.save, which may reach files"):
        architecture(f"torchscript:{file}")


def test_what_takes_no_images_is_told(tmp_path: Path) -> None:
    flat = nn.Linear(6, 4)
    torch.onnx.export(flat, (torch.zeros(1, 6),), str(tmp_path / "a.onnx"), dynamo=False, input_names=["x"])
    torch.export.save(torch.export.export(flat, (torch.zeros(1, 6),)), tmp_path / "a.pt2")
    torch.jit.trace(flat, torch.zeros(1, 6)).save(str(tmp_path / "a.pt"))
    for name, message in {
        f"onnx:{tmp_path / 'a.onnx'}": r"takes x \(1, 6\) .* not images",
        f"pt2:{tmp_path / 'a.pt2'}": r"takes input \(1, 6\) .* not images",
        f"torchscript:{tmp_path / 'a.pt'}": "gives no logits for images",
    }.items():
        with pytest.raises(ProgramError, match=message):
            architecture(name)


def test_an_onnx_file_without_its_weights_is_told(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    torch.onnx.export(Small().eval(), (IMAGES[:2],), str(file), dynamo=True, external_data=True, verbose=False)
    for beside in tmp_path.glob("*.data"):
        beside.unlink()
    onnx.load(str(file), load_external_data=False)
    with pytest.raises(ProgramError, match=r"^net\.onnx: "):
        architecture(f"onnx:{file}")
