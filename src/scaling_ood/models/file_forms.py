"""What a file of weights is, told by its content before anything in it is built."""

from __future__ import annotations

import json
import pickle
import re
import tarfile
from pathlib import Path
from shlex import quote
from typing import IO, Literal
from zipfile import BadZipFile, ZipFile

import psutil  # type: ignore[import-untyped]

from scaling_ood.models.outlines import claimed_by_pickles, claimed_storages
from scaling_ood.wording import in_bytes, listed

Form = Literal["safetensors", "torch", "pickle"]
"""Safetensors; the zip archive that torch writes; the pickles and storages that it wrote before."""

_HEAD_BYTES = 512
_LENGTH_BYTES = 8
_TAR_MAGIC = 257
_MOST_HEADER_BYTES = 100_000_000
"""The limit of safetensors itself."""

_TORCH = "Take weights of PyTorch: a state dict, saved with torch.save or as safetensors"
_AGAIN = "Fetch or copy the file again"

_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "it is compressed with gzip. Unpack it: gzip -dc {file} > NEW"),
    (0, b"BZh", "it is compressed with bzip2. Unpack it: bzip2 -dc {file} > NEW"),
    (0, b"\xfd7zXZ", "it is compressed with xz. Unpack it: xz -dc {file} > NEW"),
    (0, b"\x28\xb5\x2f\xfd", "it is compressed with zstd. Unpack it: zstd -dc {file} > NEW"),
    (0, b"7z\xbc\xaf\x27\x1c", "it is a 7z archive. Unpack it, and name the file of weights in it"),
    (0, b"Rar!", "it is a RAR archive. Unpack it, and name the file of weights in it"),
    (0, b"\x89HDF\r\n", f"it is an HDF5 file, as Keras and TensorFlow write them. {_TORCH}"),
    (0, b"\x93NUMPY", f"it is an array of NumPy. {_TORCH}"),
    (0, b"GGUF", f"it is a GGUF file. {_TORCH}"),
    (4, b"TFL3", f"it is a TensorFlow Lite file. {_TORCH}"),
    (0, b"version https://git-lfs", "it is a pointer of Git LFS, not the file. In its repository: git lfs pull"),
    (0, b"<?xml", f"it is an XML document, not weights: the host refused the download. {_AGAIN}"),
)
_BY_NAME = {
    "*.index": f"it is a checkpoint of TensorFlow. {_TORCH}",
    "*.data-0*": f"it is a checkpoint of TensorFlow. {_TORCH}",
    "*.index.json": "it lists the files of weights. Join these into one state dict, and save it with torch.save",
}
_WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|script|!--)", re.IGNORECASE)
# Field 1 of an ONNX model, its version, is a small number; next come its producer, its graph or its operators.
_ONNX = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x3a\x42]", re.DOTALL)

# Loading these files runs what is in them: that is left to the person who trusts them.
_SAVE = (
    "It is run as it is with architecture: {name} and weights: published. For its weights alone, where you trust it: "
    "python -c \"import torch; torch.save({made}, 'NEW.pth')\""
)
_TORCHSCRIPT = _SAVE.format(
    name="torchscript:{path}", made="torch.jit.load({literal}, map_location='cpu').state_dict()"
)
_EXPORTED = _SAVE.format(name="pt2:{path}", made="dict(torch.export.load({literal}).state_dict)")


class CheckpointError(ValueError):
    """A file of weights cannot be read, or does not fit the network; all that is wrong is told."""


class _RefusedError(Exception):
    """What is wrong with a file, and what to do."""


def form_of(path: Path) -> Form:
    """How a checkpoint is stored. Nothing of it is built: its head, lists of contents and outlines are read.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: It is something else, it is cut off, or it claims more than it has or than memory holds; the
            message says what to do.
    """
    try:
        _refuse_other_than_files(path)
        size, free = path.stat().st_size, psutil.virtual_memory().available
        with path.open("rb") as file:
            form = _by_head(path, file.read(_HEAD_BYTES), file, size)
        if size > free:
            raise _RefusedError(f"it takes {in_bytes(size)} of memory, and {in_bytes(free)} are free. {_TORCH}")
    except _RefusedError as error:
        raise CheckpointError(f"{path.name} is no checkpoint that can be read: {error}") from error.__cause__
    return form


def claim(claimed: int, size: int) -> str:
    """Words for contents that are larger than their file."""
    return f"it claims to hold {in_bytes(claimed)}, but has {in_bytes(size)}: it is cut off or damaged. {_AGAIN}"


def _refuse_other_than_files(path: Path) -> None:
    if path.is_dir():
        raise _RefusedError(_folder(path))
    if path.exists() and not path.is_file():
        raise _RefusedError("it is a pipe or a device, not a regular file")


def _folder(path: Path) -> str:
    inside = sorted(each.name for each in path.iterdir())
    if "saved_model.pb" in inside:
        return f"it is a model of TensorFlow in a folder. {_TORCH}"
    if {"data.pkl", "version"} <= {*inside}:
        above = quote(str(path.absolute().parent))
        return f"it is an unpacked checkpoint of torch. Pack it: (cd {above} && zip -0 -r NEW.pth {quote(path.name)})"
    if any(name.endswith(".distcp") for name in inside):
        join = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
        return f"it is a distributed checkpoint in a folder. Join it: {join} {quote(str(path))} NEW.pth"
    if "config.json" in inside:
        kind = "smp" if "_model_class" in (path / "config.json").read_text(encoding="utf-8", errors="replace") else "hf"
        return (
            "it is a folder that save_pretrained wrote. It is run as it is with architecture: "
            f"{kind}:{path} and weights: published"
        )
    weights = [name for name in inside if name.endswith((".safetensors", ".bin", ".pth", ".pt", ".ckpt"))]
    held = f"{listed(weights, most=5)}" if weights else f"it holds {listed(inside, most=5) or 'nothing'}"
    return f"it is a folder. Name the file of weights in it ({held})"


def _by_head(path: Path, head: bytes, file: IO[bytes], size: int) -> Form:
    if not head:
        raise _RefusedError(f"it is empty: a download or a copy failed. {_AGAIN}")
    if head.startswith(b"PK\x03\x04"):
        _check_zip(path, size)
        return "torch"
    if not head.strip(b"\0"):
        raise _RefusedError(f"it begins with zeros: it is damaged. {_AGAIN}")
    # A tar may begin with anything, and torch looks for one first: its reader of these is not restricted.
    if head[_TAR_MAGIC:].startswith(b"ustar") or tarfile.is_tarfile(path):
        raise _RefusedError(f"it is a tar archive. Unpack it (tar -xf {quote(str(path))}), and name the weights in it")
    if head.startswith(b"\x80"):
        _check_pickles(file, size)
        return "pickle"
    if head[_LENGTH_BYTES:].startswith(b"{") and not _is_text(head[:_LENGTH_BYTES]):
        _check_safetensors(file, size)
        return "safetensors"
    raise _RefusedError(_other(path, head))


def _other(path: Path, head: bytes) -> str:
    for start, magic, told in _OTHERS:
        if head[start:].startswith(magic):
            return told.format(file=quote(str(path)))
    if _WEB_PAGE.match(head):
        return f"it is a web page, not weights: the download failed, or the page asks for something. {_AGAIN}"
    if _ONNX.match(head):
        own = f"an ONNX file. It is run as it is with architecture: onnx:{path} and weights: published"
        return f"it is a model of TensorFlow. {_TORCH}" if path.suffix == ".pb" else f"it is {own}"
    for pattern, told in _BY_NAME.items():
        if path.match(pattern):
            return told
    if _is_text(head):
        return f"it is text, and begins with {head[:30].decode('utf-8', 'replace')!r}. {_TORCH}"
    return f"it is damaged or of an unknown kind (it begins with the bytes {head[:8].hex(' ')}). {_TORCH}"


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", "replace").rstrip("\ufffd")
    return bool(text) and all(char.isprintable() or char.isspace() for char in text)


def _check_zip(path: Path, size: int) -> None:
    try:
        with ZipFile(path) as archive:
            members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
            _refuse_programs(path, [*members], archive.namelist())
            if len(members) < len(archive.infolist()):
                raise _RefusedError(f"it holds a name twice: it is damaged. {_AGAIN}")
            if any(member.flag_bits & 1 for member in members.values()):
                raise _RefusedError("it is an encrypted archive. Unpack it, and pack it again without a password")
            claimed = sum(member.file_size for member in archive.infolist())
            if claimed > size:
                raise _RefusedError(claim(claimed, size))
            with archive.open(members["data.pkl"]) as file:
                storages = claimed_storages(file)
    except (BadZipFile, NotImplementedError, OSError, ValueError, pickle.UnpicklingError) as error:
        raise _RefusedError(f"it is cut off or damaged ({error}). {_AGAIN}") from error
    for key, taken in storages.items():
        if (record := members.get(f"data/{key}")) and taken > record.file_size:
            raise _RefusedError(claim(taken, record.file_size))


def _refuse_programs(path: Path, inside: list[str], names: list[str]) -> None:
    literal = {"literal": repr(str(path)), "path": str(path)}
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        raise _RefusedError(f"it is a TorchScript archive, which holds a program. {_TORCHSCRIPT.format(**literal)}")
    if {"archive_format", "serialized_exported_program.json"} & {*inside, *names}:
        raise _RefusedError(f"it is a program of torch.export (.pt2). {_EXPORTED.format(**literal)}")
    if ".data/extern_modules" in inside:
        raise _RefusedError(f"it is a package of torch.package, which holds a program. {_TORCH}")
    if "data.pkl" not in inside:
        if any(name.endswith(".npy") for name in names):
            raise _RefusedError(f"it is an archive of NumPy (.npz). {_TORCH}")
        if "model.weights.h5" in names:
            raise _RefusedError(f"it is a model of Keras. {_TORCH}")
        raise _RefusedError(
            f"it is a zip archive that torch.save did not write. Unpack it (unzip {quote(str(path))}), and name the "
            f"file of weights in it; it holds {listed(names, most=5) or 'nothing'}"
        )


def _check_pickles(file: IO[bytes], size: int) -> None:
    file.seek(0)
    try:
        storages = claimed_by_pickles(file)
    except pickle.UnpicklingError as error:
        raise _RefusedError(f"{error}. {_TORCH}") from error
    if (claimed := sum(storages.values())) > size:
        raise _RefusedError(claim(claimed, size))


def _check_safetensors(file: IO[bytes], size: int) -> None:
    file.seek(0)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if length > min(size - _LENGTH_BYTES, _MOST_HEADER_BYTES):
        raise _RefusedError(claim(length, size))
    try:
        header = json.loads(file.read(length))
        ends = [int(each["data_offsets"][1]) for name, each in header.items() if name != "__metadata__"]
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        raise _RefusedError(f"its header is damaged ({error}). {_AGAIN}") from error
    if not ends:
        raise _RefusedError(f"it holds no tensor at all. {_TORCH}")
    if (claimed := max(ends)) > size - _LENGTH_BYTES - length:
        raise _RefusedError(claim(claimed, size))
