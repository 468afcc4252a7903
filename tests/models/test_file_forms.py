"""What is no checkpoint is told by its content, at once; nothing of it runs, and it takes no memory."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from python2_pickles import Call, Global, Persistent, python2_pickle
from safetensors.torch import save_file
from torch import nn

from scaling_ood.models.checkpoints import CheckpointError, read_checkpoint
from scaling_ood.models.outlines import MAGIC_NUMBER

HUGE = 25_000_000_000
"""As many numbers in single precision take 93 GiB."""


class Runs:
    """What leaves a trace when it is built."""

    def __init__(self, how, trace):
        self.how = how
        self.trace = str(trace)

    def __reduce__(self):
        made = {
            "os.mkdir": (os.mkdir, (self.trace,)),
            "os.system": (os.system, (f"mkdir {self.trace}",)),
            "builtins.exec": (exec, (f"import os; os.mkdir({self.trace!r})",)),
        }
        return made[self.how]


class Scripted(nn.Module):
    """A TorchScript module whose `__setstate__` says that it ran."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        self.weight = state[0]
        self.training = state[1]
        print("the program in the archive ran")  # noqa: T201

    def forward(self, images):
        return images * self.weight


def told(path: Path) -> str:
    """What is said of a file, within two seconds."""
    started = time.perf_counter()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert time.perf_counter() - started < 2
    text = str(caught.value)
    assert text.startswith(f"{path.name} is no checkpoint that can be read"), text
    return text


OTHERS = {
    "empty": (b"", "it is empty"),
    "zeros": (bytes(10_000), "begins with zeros"),
    "web page": (b"<!DOCTYPE html><html><head><title>Sign in</title>", "it is a web page"),
    "web page after white space": (b"\xef\xbb\xbf \n<html lang=en>", "it is a web page"),
    "answer of a host": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "the host refused"),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n", "git lfs pull"),
    "gzip": (b"\x1f\x8b\x08" + bytes(30), r"gzip -dc \S+ > NEW"),
    "xz": (b"\xfd7zXZ\0\0", "xz -dc"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5 file, as Keras and TensorFlow"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0:", "an ONNX file"),
    "text": (b"epoch 1 loss 0.3\n", "it is text, and begins with 'epoch 1 loss 0.3"),
    "unknown": (b"\x07\xfe\xfe\xfe" * 20, "bytes 07 fe fe fe"),
    "pickle": (pickle.dumps({"fc.weight": np.zeros(3)}), "a pickle of Python that torch.save did not write"),
    "cut pickle": (b"\x80\x02", "torch.save did not write, or it is damaged"),
    "cut zip": (b"PK\x03\x04 cut off", "cut off or damaged"),
    "list of shards": (b'{"metadata": {"total_size": 1}, "weight_map": {}}', "it is text"),
}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_named_by_their_content(tmp_path, name, suffix):
    content, message = OTHERS[name]
    (tmp_path / f"a.{suffix}").write_bytes(content)
    assert re.search(message, told(tmp_path / f"a.{suffix}"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("saved_model.pb", "a model of TensorFlow"),
        ("variables.data-00000-of-00001", "a checkpoint of TensorFlow"),
        ("model.safetensors.index.json", "Join these into one state dict"),
    ],
)
def test_files_that_only_their_name_tells(tmp_path, name, message):
    content = {"saved_model.pb": b"\x08\x01\x12\xff\x01", "model.safetensors.index.json": b'{"weight_map": {}}'}
    (tmp_path / name).write_bytes(content.get(name, b"\x07\xfe\xfe\xfe"))
    assert message in told(tmp_path / name)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "it is a folder. Name the file of weights in it (it holds nothing)"),
        (["net.pth", "model.safetensors"], "Name the file of weights in it (model.safetensors, net.pth)"),
        (
            ["model-00001-of-00002.safetensors", "pytorch_model.bin"],
            "(model-00001-of-00002.safetensors, pytorch_model.bin)",
        ),
        (["saved_model.pb", "variables"], "a model of TensorFlow in a folder"),
        ([".metadata", "__0_0.distcp"], "dcp_to_torch"),
    ],
)
def test_folders(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()
    assert message in told(tmp_path)


@pytest.mark.parametrize(("config", "kind"), [('{"model_type": "vit"}', "hf"), ('{"_model_class": "Unet"}', "smp")])
def test_a_folder_of_save_pretrained_is_an_architecture(tmp_path, config, kind):
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").touch()
    assert f"run as it is with architecture: {kind}:{tmp_path} and weights: published" in told(tmp_path)


def test_a_checkpoint_that_was_unpacked_and_the_command_that_packs_it(tmp_path):
    torch.save({"fc.bias": torch.ones(3)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        archive.extractall(tmp_path)
    text = told(tmp_path / "a")
    assert f"(cd {tmp_path} && zip -0 -r NEW.pth a)" in text
    with zipfile.ZipFile(tmp_path / "NEW.pth", "w") as archive:  # what zip -0 -r does
        for file in sorted((tmp_path / "a").rglob("*")):
            archive.write(file, file.relative_to(tmp_path))
    assert read_checkpoint(tmp_path / "NEW.pth").state["fc.bias"].equal(torch.ones(3))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pth")
    assert "a pipe or a device" in told(tmp_path / "a.pth")
    assert "a pipe or a device" in told(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["weights/conv.npy"], "an archive of NumPy"),
        (["config.json", "metadata.json", "model.weights.h5"], "a model of Keras"),
        (["repo-main/best.pth"], r"Unpack it \(unzip \S+\).*repo-main/best\.pth"),
        (["p/a.pkl", "p/.data/extern_modules"], "torch.package"),
        (["a/archive_format", "a/models/model.json"], r"torch\.export \(\.pt2\)"),
        (["serialized_exported_program.json"], r"torch\.export \(\.pt2\)"),
        (["a/data.pkl", "a/data.pkl"], "holds a name twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_archives(tmp_path, members, message):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        for name in members:
            archive.writestr(name, b"x")
    assert re.search(message, told(tmp_path / "a.pth"))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_archive_is_refused_before_its_program_runs(tmp_path, capfd):
    path = tmp_path / "a.pth"
    torch.jit.save(torch.jit.script(Scripted()), path)
    capfd.readouterr()
    torch.jit.load(path)
    assert "ran" in capfd.readouterr().out  # the archive is a true one
    text = told(path)
    assert (
        f"a TorchScript archive, which holds a program. It is run as it is with architecture: torchscript:{path}"
        in text
    )
    assert capfd.readouterr().out == ""
    command = text.split("where you trust it: python -c ")[1].strip('"')
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert read_checkpoint(tmp_path / "NEW.pth").state["weight"].equal(torch.ones(2))


@pytest.mark.parametrize("how", ["os.mkdir", "os.system", "builtins.exec"])
@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_never_runs(tmp_path, how, zipped):
    trace, path = tmp_path / "ran", tmp_path / "a.pth"
    document = {"state_dict": {"fc.bias": torch.ones(1)}, "args": Runs(how, trace)}
    torch.save(document, path, _use_new_zipfile_serialization=zipped)
    assert re.search("wants to build .*, which is refused", told(path))
    assert not trace.exists()


def test_code_in_a_plain_pickle_and_in_a_tar_never_runs(tmp_path):
    trace, path = tmp_path / "ran", tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(Runs("os.mkdir", trace)))
    assert "torch.save did not write" in told(path)
    with tarfile.open(path, "w") as archive:  # as torch wrote before 2017
        for name in ("sys_info", "storages", "tensors", "pickle"):
            content = pickle.dumps(Runs("os.mkdir", trace), 2)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert "it is a tar archive" in told(path)
    assert not trace.exists()


def patched(path: Path, target: Path, replace: dict[bytes, bytes]) -> Path:
    """A checkpoint whose pickle says something else."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as made:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                for old, new in replace.items():
                    assert old in content
                    content = content.replace(old, new)
            made.writestr(name, content)
    return target


LONG = b"\x8a\x05" + HUGE.to_bytes(5, "little")


def test_a_storage_that_is_larger_than_its_record_is_refused(tmp_path):
    torch.save({"w": torch.zeros(4)}, tmp_path / "a.pth")
    more = {b"K\x04tq\x07Q": LONG + b"tq\x07Q", b"K\x04\x85q\x08": LONG + b"\x85q\x08"}
    assert "it claims to hold 100.0 GB, but has 16 bytes" in told(patched(tmp_path / "a.pth", tmp_path / "b.pth", more))
    # A few numbers too many would be read from memory that is not the file's.
    slightly = {b"K\x04tq\x07Q": b"K\x08tq\x07Q", b"K\x04\x85q\x08": b"K\x08\x85q\x08"}
    assert "it claims to hold 32 bytes, but has 16 bytes" in told(
        patched(tmp_path / "a.pth", tmp_path / "c.pth", slightly)
    )


def test_one_number_that_looks_like_many_is_refused(tmp_path):
    torch.save({"w": torch.zeros(1).expand(HUGE)}, tmp_path / "a.pth")
    assert "it claims to hold 100.0 GB" in told(tmp_path / "a.pth")


def test_old_storages_that_are_larger_than_the_file_are_refused(tmp_path):
    storage = Persistent(("storage", Global("torch", "DoubleStorage"), "0", "cpu", 2**31 - 1, None))
    tensor = Call(Global("torch._utils", "_rebuild_tensor"), (storage, 0, (2**31 - 1,), (1,)))
    system = python2_pickle({"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    magic = b"\x80\x02\x8a\x0a" + MAGIC_NUMBER.to_bytes(10, "little") + b"."
    document = python2_pickle({f"w{number}": tensor for number in range(3)})
    (tmp_path / "a.pth").write_bytes(magic + python2_pickle(1001) + system + document + python2_pickle(["0"]))
    assert "it claims to hold 17.2 GB" in told(tmp_path / "a.pth")


def test_an_archive_whose_members_are_packed_zeros_is_refused(tmp_path):
    torch.save({"w": torch.zeros(1_000_000)}, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as source,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in source.namelist():
            packed.writestr(name, source.read(name))
    assert "it claims to hold 4.0 MB, but has" in told(tmp_path / "b.pth")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"w": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}}, "claims to hold 100.0 GB"),
        ({}, "holds no tensor at all"),
        ({"__metadata__": {"format": "pt"}}, "holds no tensor at all"),
        ({"w": {"dtype": "F32"}}, "header is damaged"),
        ({"w": 3}, "header is damaged"),
        ([1], "begins as|damaged or of an unknown kind"),
    ],
)
def test_safetensors_that_hold_less_than_they_say(tmp_path, header, message):
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    assert re.search(message, told(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("length", [10**6, 2**60, 2**64 - 1])
def test_safetensors_with_a_header_that_is_longer_than_the_file(tmp_path, length):
    (tmp_path / "a.safetensors").write_bytes(length.to_bytes(8, "little") + b'{"w":')
    assert "claims to hold" in told(tmp_path / "a.safetensors")


def test_safetensors_that_are_cut_off(tmp_path):
    save_file({"w": torch.zeros(1000)}, tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[:2000])
    assert "claims to hold 4.0 kB, but has 2.0 kB: it is cut off or damaged" in told(tmp_path / "a.safetensors")


def test_the_content_and_not_the_ending_says_how_a_file_is_read(tmp_path):
    save_file({"w": torch.ones(3)}, tmp_path / "a.pth")
    torch.save({"w": torch.ones(3)}, tmp_path / "b.safetensors")
    torch.save({"w": torch.ones(3)}, tmp_path / "c.safetensors", _use_new_zipfile_serialization=False)
    for name in ("a.pth", "b.safetensors", "c.safetensors"):
        assert read_checkpoint(tmp_path / name).state["w"].equal(torch.ones(3))


def test_a_file_that_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    torch.save({"w": torch.zeros(1000)}, tmp_path / "a.pth")
    free = psutil.virtual_memory()._replace(available=3000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert re.search(r"it takes 5\.\d kB of memory, and 3\.0 kB are free", told(tmp_path / "a.pth"))


def pickled(path: Path, content: bytes) -> Path:
    """A zip archive as torch writes it, around a pickle that it never would."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, each in (("data.pkl", content), ("version", b"3\n"), ("byteorder", b"little")):
            archive.writestr(f"a/{name}", each)
    return path


def within(path: Path) -> str:
    started = time.perf_counter()
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert time.perf_counter() - started < 2
    return str(caught.value)


TWICE = b"".join(b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(40))
LIST_TWICE = b"]q\x00" + b"".join(
    b"]q" + bytes([n + 1]) + b"(h" + bytes([n]) + b"h" + bytes([n]) + b"e" for n in range(40)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02})q\x00" + TWICE[:-2] + b"K\x01s.", "name of more than 1,000 parts"),
        (b"\x80\x02cbuiltins\nbytearray\n" + LONG + b"\x85R.", "makes bytes from a number"),
        (b"\x80\x02" + LIST_TWICE + b"Q.", "something else than a storage"),
        (b"\x80\x02cnumpy\ndtype\n" + LIST_TWICE + b"\x85R.", "no checkpoint that can be read"),
        (b"\x80\x02ctorch.nn.parameter\nParameter\nK\x01\x85R.", "no attribute 'detach'"),
    ],
    ids=["a key of 2^40 parts", "bytes from a number", "a storage that is a list", "a dtype of lists", "a number"],
)
def test_short_pickles_that_would_take_for_ever_or_all_memory(tmp_path, content, message):
    assert message in within(pickled(tmp_path / "a.pth", content))


def test_a_whole_network_of_old_is_named(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    assert "Linear, which is refused" in within(tmp_path / "a.pth")


def test_safetensors_that_end_at_infinity(tmp_path):
    text = b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 1e400]}}'
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    assert "its header is damaged" in told(tmp_path / "a.safetensors")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_no_plain_numbers(tmp_path):
    torch.save({"w": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])}, tmp_path / "a.pth")
    assert "no plain numbers for w" in within(tmp_path / "a.pth")
