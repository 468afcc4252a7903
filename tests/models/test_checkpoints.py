"""Weights come out of every form of file as they went in; code never runs; what does not fit is told in words."""

import argparse
import hashlib
import re
import struct

import numpy as np
import pytest
import torch
import torchvision
from python2_pickles import Call, Global, Persistent, python2_pickle
from safetensors.torch import save_file
from torch import nn

from scaling_ood.models.checkpoints import (
    Checkpoint,
    CheckpointError,
    fitting_state,
    read_checkpoint,
    state_of,
)
from scaling_ood.models.files import file_sha256

MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.ModuleDict({"body": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), "fc": nn.Linear(4, 5)})


def python2_checkpoint(state, extra=None, prefix="module."):
    """A checkpoint as torch 0.2 under Python 2.7 wrote it: pickles one after the other, then the storages.

    CSAIL's training script saves epoch, arch, state_dict and best_prec1 of a network in `DataParallel` on a GPU.
    """
    storages, entries = [], []
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        key = str(94_000_000 + len(storages))
        kind = Global("torch", "FloatStorage")
        storage = Persistent(("storage", kind, key, "cuda:0", tensor.numel(), None))
        make = Global("torch._utils", "_rebuild_tensor")
        entries.append([prefix + name, Call(make, (storage, 0, tuple(tensor.shape), tuple(tensor.stride())))])
        storages.append((key, tensor))
    ordered = Call(Global("collections", "OrderedDict"), (entries,))
    document = {"epoch": 90, "arch": "resnet50", "state_dict": ordered, "best_prec1": 54.65, **(extra or {})}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"\x80\x02\x8a\x0a" + MAGIC + b"." + python2_pickle(1001) + python2_pickle(system)
    body = python2_pickle(document) + python2_pickle([key for key, _ in storages])
    return head + body + b"".join(struct.pack("<q", t.numel()) + t.numpy().tobytes() for _, t in storages)


def same(state, network):
    expected = {k: v for k, v in network.state_dict().items() if k in state}
    assert len(state) >= len(network.state_dict()) - 1
    return expected.keys() == state.keys() and all(expected[name].equal(tensor) for name, tensor in state.items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {"state_dict": {f"module.{name}": each for name, each in state.items()}}},
        lambda state: {"model_state_dict": {f"module._orig_mod.{name}": each for name, each in state.items()}},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_nested_or_not(tmp_path, network, wrap, zipped):
    torch.save(wrap(network.state_dict()), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    assert same(read_checkpoint(tmp_path / "a.pth").state, network)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pth"]


def test_safetensors(tmp_path, network):
    save_file({f"module.{name}": each for name, each in network.state_dict().items()}, tmp_path / "a.safetensors")
    checkpoint = read_checkpoint(tmp_path / "a.safetensors")
    assert same(checkpoint.state, network)
    assert checkpoint.sha256 == hashlib.sha256((tmp_path / "a.safetensors").read_bytes()).hexdigest()
    assert checkpoint.sha256 == file_sha256(tmp_path / "a.safetensors")


def test_torchs_unrestricted_reader_takes_the_fabricated_file_of_python_2(tmp_path, network):
    """The fabricated file is a true one, then: torch itself reads it."""
    (tmp_path / "a.pth.tar").write_bytes(python2_checkpoint(network.state_dict(), prefix=""))
    document = torch.load(tmp_path / "a.pth.tar", map_location="cpu", weights_only=False, encoding="latin1")
    assert (document["arch"], document["epoch"], document["best_prec1"]) == ("resnet50", 90, 54.65)
    assert same(dict(document["state_dict"]), network)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"note": "Z\xfcrich".encode("latin1"), "command": "train " * 100},
        {"best": np.arange(3.0)},
        {
            "best": Call(
                Global("numpy.core.multiarray", "scalar"), (Call(Global("numpy", "dtype"), ("f8", 0, 1)), b"\0" * 8)
            )
        },
    ],
)
def test_a_file_of_python_2(tmp_path, network, extra):
    path = tmp_path / "resnet50_places365.pth.tar"
    path.write_bytes(python2_checkpoint(network.state_dict(), extra))
    checkpoint = read_checkpoint(path)
    assert same(checkpoint.state, network)
    assert checkpoint.sha256 == file_sha256(path)


NOT_SAFE_FOR_TORCH = {"note": "Z\xfcrich".encode("latin1"), "command": "train " * 100}


def test_an_old_pickle_leaves_nothing_beside_it(tmp_path, network):
    """The folder may be one that cannot be written to."""
    path = tmp_path / "a.pth.tar"
    path.write_bytes(python2_checkpoint(network.state_dict(), NOT_SAFE_FOR_TORCH))
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    assert same(read_checkpoint(path).state, network)
    assert [*tmp_path.iterdir()] == [path]
    tmp_path.chmod(0o700)


def test_code_in_a_checkpoint_is_refused_and_named(tmp_path, network):
    trace = tmp_path / "ran"
    extra = {"args": Call(Global("os", "mkdir"), (str(trace),))}
    (tmp_path / "a.pth").write_bytes(python2_checkpoint(network.state_dict(), extra))
    with pytest.raises(
        CheckpointError, match=r"^a\.pth is no .* os\.mkdir, which is refused.*save its state_dict\(\) anew"
    ):
        read_checkpoint(tmp_path / "a.pth")
    assert not trace.exists()


@pytest.mark.parametrize("document", [lambda network: network, lambda network: {"a": argparse.Namespace(lr=1)}])
def test_objects_in_a_new_checkpoint_are_refused_too(tmp_path, network, document):
    torch.save(document(network), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"(ModuleDict|Namespace), which is refused"):
        read_checkpoint(tmp_path / "a.pth")


class Options:
    """What a training leaves of its own."""

    def __init__(self):
        self.names = {"a", "b"}


def test_objects_beside_weights_are_left_out_and_never_built(tmp_path, network, caplog, monkeypatch):
    """A checkpoint of Lightning, as its trainer leaves it."""
    state = {f"model.{name}": each for name, each in network.state_dict().items()}
    lightning = {
        "epoch": 3,
        "state_dict": {**state, "loss.weight": torch.ones(2)},
        "hyper_parameters": argparse.Namespace(lr=0.1),
        "callbacks": {"ModelCheckpoint": {"options": Options(), "dirpath": tmp_path}},
    }
    torch.save(lightning, tmp_path / "a.ckpt")
    monkeypatch.setattr(Options, "__setstate__", lambda *_: pytest.fail("it was built"), raising=False)
    with caplog.at_level("INFO"):
        read = read_checkpoint(tmp_path / "a.ckpt")
    assert same(fitting_state(network, read), network)
    assert "a.ckpt also holds objects (argparse.Namespace)" in caplog.text


def test_a_truncated_old_pickle(tmp_path, network):
    (tmp_path / "a.pth").write_bytes(python2_checkpoint(network.state_dict(), NOT_SAFE_FOR_TORCH)[:-8])
    with pytest.raises(
        CheckpointError, match=r"^a\.pth is no checkpoint that can be read safely: .*save its state_dict"
    ):
        read_checkpoint(tmp_path / "a.pth")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "document", [{"epoch": 3, "weights": {}}, [1, 2], {}, {"state_dict": {}}, {"epoch": torch.zeros(1), "weights": {}}]
)
def test_without_a_state_dict_it_is_told_what_is_there(document):
    held = "epoch, weights" if "weights" in document else "list" if isinstance(document, list) else ""
    with pytest.raises(CheckpointError, match=rf"^a\.pth holds no state dict, .*; it holds: {held}"):
        state_of(document, "a.pth")


def test_weights_that_fit_are_given_and_batch_counts_may_be_missing(network):
    other = {name: each + 1 for name, each in network.state_dict().items() if "num_batches" not in name}
    whole = fitting_state(network, Checkpoint("a.pth", "", other))
    assert whole.keys() == network.state_dict().keys()
    assert all(whole[name].equal(each) for name, each in other.items())


def test_all_that_does_not_fit_is_told_and_nothing_is_changed(network):
    before = {name: each.clone() for name, each in network.state_dict().items()}
    state = {name: each + 1 for name, each in before.items() if name != "body.0.bias"}
    state |= {"fc.weight": torch.zeros(365, 4), "aux.bias": torch.zeros(1)}
    message = (
        "a.pth does not fit ModuleDict: its head fc has 365 classes, but the data set has 5; it lacks body.0.bias; "
        "it has unknown aux.bias; it has of another shape fc.weight (365, 4) instead of (5, 4)"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        fitting_state(network, Checkpoint("a.pth", "", state), head="fc")
    assert all(before[name].equal(each) for name, each in network.state_dict().items())


def test_optional_parts_may_be_missing(network):
    state = {name: each + 1 for name, each in network.state_dict().items() if not name.startswith("fc.")}
    with pytest.raises(CheckpointError, match=r"^a\.pth does not fit ModuleDict: it lacks fc\.weight, fc\.bias$"):
        fitting_state(network, Checkpoint("a.pth", "", state))
    whole = fitting_state(network, Checkpoint("a.pth", "", state), optional=("fc.",))
    assert whole["fc.bias"].equal(network["fc"].bias)
    assert whole["body.0.bias"].equal(state["body.0.bias"])


def test_the_places_network_with_the_names_that_csail_gave_it(tmp_path):
    torch.manual_seed(1)
    source = torchvision.models.resnet18(num_classes=365)
    target = torchvision.models.resnet18(num_classes=365)
    (tmp_path / "resnet.pth.tar").write_bytes(python2_checkpoint(source.state_dict()))
    target.load_state_dict(fitting_state(target, read_checkpoint(tmp_path / "resnet.pth.tar"), head="fc"))
    images = torch.rand(1, 3, 32, 32)
    assert target.eval()(images).equal(source.eval()(images))


@pytest.mark.parametrize("prefix", ["model.", "net.", "encoder.module.", "a.b.c.", "module.model._orig_mod."])
def test_a_prefix_that_all_names_share_is_taken_off(tmp_path, network, prefix):
    torch.save({f"{prefix}{name}": each for name, each in network.state_dict().items()}, tmp_path / "a.ckpt")
    assert same(fitting_state(network, read_checkpoint(tmp_path / "a.ckpt")), network)


def test_a_prefix_stays_where_some_names_lack_it_or_the_rest_does_not_fit(network):
    named = {f"model.{name}": each for name, each in network.state_dict().items()}
    some = {**named, "criterion.weight": torch.zeros(1)}
    assert same(fitting_state(network, Checkpoint("a.ckpt", "", some)), network)
    twice = {**some, **{f"ema.{name}": each for name, each in network.state_dict().items()}}
    with pytest.raises(CheckpointError, match=r"its names under 'model' and 'ema' would fit: save those of one alone$"):
        fitting_state(network, Checkpoint("a.ckpt", "", twice))
    other = {name: each for name, each in named.items() if name != "model.fc.weight"}
    with pytest.raises(CheckpointError, match=r"lacks body\.0\.weight.* unknown model\.body"):
        fitting_state(network, Checkpoint("a.ckpt", "", other))


def test_a_network_whose_own_names_share_a_part_keeps_it():
    network = nn.ModuleDict({"model": nn.Linear(2, 2)})
    state = {name: each + 1 for name, each in network.state_dict().items()}
    assert fitting_state(network, Checkpoint("a.pth", "", state))["model.bias"].equal(state["model.bias"])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["body.1.running_var", "fc.weight"])
def test_weights_that_are_no_numbers_are_refused_by_name_and_count(network, bad, name):
    state = {key: each.clone() for key, each in network.state_dict().items()}
    state[name].view(-1)[1] = bad
    count = f"1 of {state[name].numel()}"
    message = rf"^a\.pth has weights that are NaN or infinite: {re.escape(name)} \({count}\)\. .* earlier checkpoint"
    with pytest.raises(CheckpointError, match=message):
        fitting_state(network, Checkpoint("a.pth", "", state))


def test_infinities_that_the_network_has_by_itself_are_no_fault():
    network = nn.Linear(2, 2)
    network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    assert fitting_state(network, Checkpoint("a.pth", "", network.state_dict()))["mask"].isinf().any()


@pytest.mark.parametrize("key", ["net", "state_dict_ema", "ema"])
def test_a_single_state_dict_is_found_under_any_key(key, network):
    assert same(state_of({key: network.state_dict(), "epoch": 3, "optimizer": {"state": {}}}, "a.pth"), network)


def test_numbers_of_numpy_beside_the_weights(tmp_path, network):
    kept = {"best": np.float64(0.9), "epoch": np.int64(3), "confusion": np.eye(3), "state_dict": network.state_dict()}
    torch.save(kept, tmp_path / "a.pth")
    assert same(read_checkpoint(tmp_path / "a.pth").state, network)


@pytest.mark.parametrize("make", [lambda: torch.zeros(2, device="meta"), lambda: torch.eye(2).to_sparse()])
def test_tensors_that_hold_no_plain_numbers_are_named(tmp_path, make):
    torch.save({"fc.weight": make()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"no plain numbers for fc\.weight"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_weights_in_other_precisions_are_taken_in_the_networks_own(tmp_path, network, kind):
    stored = {name: each.to(kind) if each.is_floating_point() else each for name, each in network.state_dict().items()}
    torch.save(stored, tmp_path / "a.pth")
    fitting = fitting_state(network, read_checkpoint(tmp_path / "a.pth"))
    assert fitting["fc.weight"].equal(stored["fc.weight"].to(torch.float32))


def test_a_double_that_single_precision_cannot_hold_is_refused(network):
    state = {name: each.double() if each.is_floating_point() else each for name, each in network.state_dict().items()}
    state["fc.bias"][0] = 1e300
    with pytest.raises(CheckpointError, match=r"NaN or infinite: fc\.bias \(1 of 5\)"):
        fitting_state(network, Checkpoint("a.pth", "", state))


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int32, torch.bool, torch.complex64])
def test_weights_of_another_kind_of_number_are_refused(network, kind):
    state = {**network.state_dict(), "fc.weight": network["fc"].weight.detach().to(kind)}
    name = str(kind).removeprefix("torch.")
    with pytest.raises(CheckpointError, match=rf"fc\.weight as {name} instead of float32"):
        fitting_state(network, Checkpoint("a.pth", "", state))


def test_what_is_no_tensor_among_the_weights_is_named_without_all_the_others():
    with pytest.raises(CheckpointError, match=r"it holds: epoch, 20 tensors$"):
        state_of({**{f"w{n}": torch.zeros(1) for n in range(20)}, "epoch": 3}, "a.pth")
