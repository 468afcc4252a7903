"""Programs of torch.export (.pt2), run operator by operator.

`torch.export.load` unpickles what is in the file, looks names up in all of torch and evaluates expressions. Nothing of
that happens here: the graph is read as JSON, its operators must be ATen's, which compute on tensors, and the weights
are read as plain numbers.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from torch import nn

from scaling_ood.models.programs.program import COLOURS, FixedBatch, Program, ProgramError
from scaling_ood.wording import listed

_DTYPES: tuple[torch.dtype | None, ...] = (
    None,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.float32,
    torch.float64,
    None,
    None,
    None,
    torch.bool,
    torch.bfloat16,
)
"""By torch's number in the file; those in between are complex."""
_MEMORY_FORMATS = (None, torch.contiguous_format, torch.channels_last, torch.channels_last_3d, torch.preserve_format)
_NUMBERS: Mapping[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "mod", "truediv")},
    **{f"_operator.{name}": getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "getitem")},
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc")},
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_int": int,
    "torch.sym_float": float,
    "torch.sym_not": operator.not_,
}
_OF_TEXT = frozenset({"div", "einsum", "gelu", "meshgrid", "pad", "scatter_reduce"})
"""Operators of ATen that are told by a word how to compute; of all others text would be the name of a file."""
_CHECKS = frozenset(
    {"_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range", "sym_constrain_range_for_size"}
)
_TRANSPOSED = frozenset({"t", "permute", "transpose", "numpy_T"})
_PROBABILITIES = frozenset({"softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid"})
_KEYWORD = 2
_AGAIN = "Write it with torch.export.save of torch 2.8 or newer"


class ExportedNetwork(nn.Module):
    """A graph of ATen's operators, up to one of its values."""

    def __init__(self, graph: _Graph, output: str) -> None:
        """Take the weights over, and leave out what the output does not need."""
        super().__init__()
        self.image, self.output = graph.image, output
        self.nodes = graph.needed(output)
        read = {name for node in self.nodes for name in node.reads}
        self.places = {}
        for number, (name, tensor) in enumerate((name, graph.weights[name]) for name in graph.weights if name in read):
            self.places[name] = f"tensor{number}"
            self.register_buffer(f"tensor{number}", tensor)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The value for images (N, 3, H, W)."""
        values: dict[str, Any] = {name: self.get_buffer(place) for name, place in self.places.items()}
        values[self.image] = images
        for node in self.nodes:
            node.run(values, images.device)
        found: torch.Tensor = values[self.output]
        return found


class _Node:
    """One operator of a graph."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.target = str(raw["target"])
        self.operator = self.target.split(".")[3] if self.target.startswith("torch.ops.aten.") else self.target
        self.inputs = [(str(each["name"]), each["arg"], each.get("kind", 1)) for each in raw["inputs"]]
        self.outputs = [_names(each) for each in raw["outputs"]]
        self.call = self._known()

    def _known(self) -> Callable[..., Any] | None:
        if self.target in _NUMBERS:
            return _NUMBERS[self.target]
        steps = self.target.split(".")
        if steps[:3] != ["torch", "ops", "aten"] or len(steps) != 5:  # noqa: PLR2004
            raise ProgramError(f"it calls {self.target}, which is no operator of ATen. {_AGAIN}")
        text = any("as_string" in arg for _, arg, _ in self.inputs)
        packet = getattr(torch.ops.aten, steps[3], None)
        found = getattr(packet, steps[4], None)
        if not isinstance(found, torch._ops.OpOverload) or (text and steps[3] not in _OF_TEXT):
            raise ProgramError(f"it calls {self.target}, which is refused")
        return None if steps[3] in _CHECKS else found

    @property
    def reads(self) -> set[str]:
        return {name for _, arg, _ in self.inputs for name in _mentioned(arg)}

    def names_of(self, argument: int) -> list[str]:
        """Names in an argument, by its place."""
        return list(_mentioned(self.inputs[argument][1])) if argument < len(self.inputs) else []

    def run(self, values: dict[str, Any], device: torch.device) -> None:
        if self.call is None:
            return
        ready = [(name, _value(arg, values, device), kind) for name, arg, kind in self.inputs]
        ordered = [value for _, value, kind in ready if kind != _KEYWORD]
        made = self.call(*ordered, **{name: value for name, value, kind in ready if kind == _KEYWORD})
        several = made if len(self.outputs) > 1 else (made,)
        for names, value in zip(self.outputs, several, strict=False):
            if isinstance(names, str):
                values[names] = value
            else:
                values.update(zip(names, value, strict=False))


class _Graph:
    """The graph of an archive, and its weights by the names that they have in it."""

    def __init__(self, archive: ZipFile) -> None:
        members = {name.partition("/")[2]: name for name in archive.namelist()}
        if "models/model.json" not in members:
            raise ProgramError(f"it holds no models/model.json (it holds: {listed([*members], most=5)}). {_AGAIN}")
        module = json.loads(archive.read(members["models/model.json"]))["graph_module"]
        self.graph, self.signature = module["graph"], module["signature"]
        self.nodes = [_Node(each) for each in self.graph["nodes"]]
        self.makers = {name: node for node in self.nodes for names in node.outputs for name in _flat(names)}
        stored = {**_tensors(archive, members, "weights"), **_tensors(archive, members, "constants")}
        self.weights, images = {}, []
        for spec in self.signature["input_specs"]:
            ((kind, own),) = spec.items()
            if kind == "user_input":
                images += list(_mentioned(own["arg"]))
                continue
            place = own.get("parameter_name") or own.get("buffer_name") or own.get("tensor_constant_name")
            if place not in stored:
                raise ProgramError(f"it needs {place or kind}, which is no plain tensor of the file")
            self.weights[own["arg"]["name"]] = stored[place]
        if len(images) != 1:
            raise ProgramError(f"it takes {len(images)} tensors ({', '.join(images) or 'none'}), not images alone")
        self.image = images[0]

    def sizes(self, name: str) -> list[int | None]:
        """Of a tensor, None for what is not fixed."""
        raw = self.graph["tensor_values"].get(name, {}).get("sizes", [])
        return [each.get("as_int") for each in raw]

    def outputs(self) -> list[str]:
        """Names of what it gives."""
        found = [spec["user_output"]["arg"] for spec in self.signature["output_specs"] if "user_output" in spec]
        return [name for arg in found for name in _mentioned(arg)]

    def needed(self, output: str) -> list[_Node]:
        """Nodes on which an output depends, in their order."""
        wanted, kept = {output}, []
        for node in reversed(self.nodes):
            if wanted & {name for names in node.outputs for name in _flat(names)}:
                wanted |= node.reads
                kept.append(node)
        return kept[::-1]

    def last_layer(self, logits: str) -> tuple[str, nn.Linear] | None:
        """What the linear layer reads that makes the logits, and the layer; None where something else does."""
        node = self.makers.get(logits)
        if node is None or node.operator not in ("linear", "addmm", "mm"):
            return None
        places = {"linear": (0, 1, 2), "addmm": (1, 2, 0), "mm": (0, 1, None)}[node.operator]
        reads, weight, bias = ([] if place is None else node.names_of(place) for place in places)
        if len(reads) != 1 or len(weight) != 1 or len(self.sizes(reads[0])) != 2:  # noqa: PLR2004
            return None
        turned = self.makers.get(weight[0])
        is_turned = turned is not None and turned.operator in _TRANSPOSED
        name = turned.names_of(0)[0] if turned is not None and is_turned else weight[0]
        if name not in self.weights or (bias and bias[0] not in self.weights):
            return None
        matrix = self.weights[name]
        matrix = matrix if node.operator == "linear" or is_turned else matrix.T
        layer = nn.Linear(matrix.shape[1], matrix.shape[0])
        own = self.weights[bias[0]] if bias else torch.zeros(len(matrix))
        layer.load_state_dict({"weight": matrix.float(), "bias": own.float()})
        return reads[0], layer


def read_exported(path: Path) -> Program:
    """The network of a program of torch.export.

    Its logits are its first output; behind a softmax they are what that reads.

    Raises:
        ProgramError: It is no such program, takes other than images, or calls what is refused.
    """
    try:
        with ZipFile(path) as archive:
            graph = _Graph(archive)
    except (BadZipFile, OSError, LookupError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        if isinstance(error, ProgramError):
            raise
        raise ProgramError(f"it is no program of torch.export that can be read ({error}). {_AGAIN}") from error
    sizes, outputs = graph.sizes(graph.image), graph.outputs()
    if len(sizes) != 4 or sizes[1] != COLOURS or not outputs:  # noqa: PLR2004
        raise ProgramError(f"it takes {graph.image} {tuple(sizes)} (None: any), not images (N, 3, H, W)")
    logits = outputs[0]
    while (node := graph.makers.get(logits)) is not None and node.operator in _PROBABILITIES:
        logits = node.names_of(0)[0]
    found = graph.last_layer(logits)
    network: nn.Module = ExportedNetwork(graph, found[0] if found else logits)
    network = FixedBatch(network, sizes[0]) if sizes[0] is not None else network
    size = (sizes[2], sizes[3]) if sizes[2] and sizes[3] else None
    classes = graph.sizes(logits)[1]
    if classes is None:
        raise ProgramError(f"its output {logits} {tuple(graph.sizes(logits))} has no fixed number of classes")
    return Program(network.eval(), found[1] if found else None, classes, size, "torch.export")


def _tensors(archive: ZipFile, members: Mapping[str, str], kind: str) -> dict[str, torch.Tensor]:
    """Weights or constants by name."""
    place = members.get(f"data/{kind}/model_{kind}_config.json")
    if place is None:
        return {}
    found, config = {}, json.loads(archive.read(place))["config"]
    if pickled := [name for name, own in config.items() if own["use_pickle"] or own["tensor_meta"] is None]:
        raise ProgramError(
            f"it keeps {listed(pickled, most=3)} pickled, which is refused: export plain tensors. {_AGAIN}"
        )
    for name, own in config.items():
        about = own["tensor_meta"]
        dtype = _dtype(about["dtype"])
        size, stride = ([each["as_int"] for each in about[part]] for part in ("sizes", "strides"))
        start = about["storage_offset"]["as_int"]
        raw = np.frombuffer(archive.read(members[f"data/{kind}/{own['path_name']}"]), np.uint8).copy()
        flat = torch.from_numpy(raw).view(dtype) if raw.size else torch.zeros(0, dtype=dtype)
        last = start + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if min([0, start, *size, *stride]) < 0 or (math.prod(size) and last >= len(flat)):
            raise ProgramError(f"{name} is larger than its part of the file: the file is cut off or damaged")
        found[name] = (
            flat.as_strided(size, stride, start).clone() if math.prod(size) else torch.zeros(size, dtype=dtype)
        )
    return found


def _dtype(number: int) -> torch.dtype:
    dtype = _DTYPES[number] if 0 <= number < len(_DTYPES) else None
    if dtype is None:
        raise ProgramError(f"it has numbers of the type {number} of torch.export, which is not supported")
    return dtype


def _value(arg: Any, values: Mapping[str, Any], device: torch.device) -> Any:  # noqa: PLR0911 - a table of kinds
    """What an argument means."""
    if arg is None:
        return None
    ((kind, own),) = arg.items()
    match kind:
        case "as_int" | "as_float" | "as_bool" | "as_string" | "as_ints" | "as_floats" | "as_bools":
            return own
        case "as_none":
            return None
        case "as_tensor":
            return values[own["name"]]
        case "as_name":
            return values[own]
        case "as_tensors":
            return [values[each["name"]] for each in own]
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _value(own, values, device)
        case "as_sym_ints" | "as_sym_floats" | "as_sym_bools" | "as_optional_tensors":
            return [_value(each, values, device) for each in own]
        case "as_device":
            return device
        case "as_layout":
            return torch.strided
        case "as_scalar_type":
            return _dtype(own)
        case "as_memory_format":
            return _MEMORY_FORMATS[own]
    raise ProgramError(f"it has arguments of the kind {kind.removeprefix('as_')}, which is not supported")


def _mentioned(arg: Any) -> Sequence[str]:
    """Names of values in an argument."""
    if isinstance(arg, list):
        return [name for each in arg for name in _mentioned(each)]
    if not isinstance(arg, Mapping):
        return []
    if "name" in arg and isinstance(arg["name"], str) and "arg" not in arg:
        return [arg["name"]]
    if isinstance(arg.get("as_name"), str):
        return [arg["as_name"]]
    return [name for each in arg.values() for name in _mentioned(each)]


def _names(output: Any) -> str | list[str]:
    names = list(_mentioned(output))
    return names if "as_tensors" in output else names[0] if names else ""


def _flat(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names
