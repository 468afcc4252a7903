"""ONNX files, run by onnxruntime: forwards only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from scaling_ood.models.programs.program import COLOURS, FixedBatch, Program, ProgramError
from scaling_ood.optional import library

_PROBABILITIES = ("Softmax", "LogSoftmax", "Sigmoid")
_SAME = ("Identity",)
_IMAGE_DIMENSIONS = 4
_PURPOSE = "an ONNX file"


class OnnxNetwork(nn.Module):
    """One output of an ONNX graph; on the GPU where onnxruntime has been installed for one."""

    runs_backwards = False

    def __init__(self, model: Any, path: Path, output: str) -> None:
        """Begin a session.

        Raises:
            ProgramError: onnxruntime cannot run the graph.
        """
        super().__init__()
        runtime = library("onnxruntime", _PURPOSE, "onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        # Weights may lie in files beside the graph.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
        providers = [name for name in ("CUDAExecutionProvider",) if name in runtime.get_available_providers()]
        try:
            self.session = runtime.InferenceSession(
                model.SerializeToString(), options, providers=[*providers, "CPUExecutionProvider"]
            )
        except Exception as error:
            raise ProgramError(f"onnxruntime cannot run it: {str(error).splitlines()[0]}") from error
        given = self.session.get_inputs()[0]
        self.input, self.output = given.name, output
        self.number = np.float16 if given.type == "tensor(float16)" else np.float32

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The output for images (N, 3, H, W), as float32."""
        pixels = images.detach().cpu().contiguous().numpy().astype(self.number)
        found = self.session.run([self.output], {self.input: pixels})[0]
        return torch.from_numpy(found.astype(np.float32)).to(images.device)


@dataclass(frozen=True)
class _Layer:
    """The last linear layer: what it reads, and its weights (C, D) and (C,)."""

    reads: str
    weight: np.ndarray[Any, Any]
    bias: np.ndarray[Any, Any]


def read_onnx(path: Path) -> Program:
    """The network of an ONNX file.

    Its logits are the output called `logits`, or the first that is not called `features`; behind a softmax they are
    what that reads. The last layer is a Gemm, or a MatMul and an Add, with constant weights; it reads the features.

    Raises:
        ProgramError: It is no ONNX file, takes other than images, or cannot be run.
        MissingLibraryError: onnx or onnxruntime is not installed.
    """
    onnx = library("onnx", _PURPOSE, "onnx")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise ProgramError(f"it is no ONNX file that can be read ({str(error).splitlines()[0]})") from error
    graph = _Graph(onnx, model, path)
    batch, size = graph.takes()
    logits = graph.logits()
    layer = graph.last_layer(logits)
    output = layer.reads if layer else logits
    if output not in {each.name for each in model.graph.output}:
        model.graph.output.append(onnx.ValueInfoProto(name=output))
    network: nn.Module = OnnxNetwork(model, path, output)
    if batch is not None:
        network = FixedBatch(network, batch)
    head = None
    if layer:
        head = nn.Linear(layer.weight.shape[1], layer.weight.shape[0])
        head.load_state_dict({"weight": torch.from_numpy(layer.weight), "bias": torch.from_numpy(layer.bias)})
    classes = len(layer.bias) if layer else _classes(network, size)
    return Program(network, head, classes, size, "ONNX", _beside(model, path))


def _beside(model: Any, path: Path) -> tuple[Path, ...]:
    """The files that hold the weights of a graph outside of it, in the order of their names."""
    tensors = [*model.graph.initializer, *(each.t for node in model.graph.node for each in node.attribute)]
    entries = [{each.key: each.value for each in tensor.external_data} for tensor in tensors]
    return tuple(path.parent / name for name in sorted({each["location"] for each in entries if each}))


def _classes(network: nn.Module, size: tuple[int, int] | None) -> int:
    found = network(torch.zeros(1, COLOURS, *(size or (224, 224))))
    return int(found.shape[1])


class _Graph:
    def __init__(self, onnx: Any, model: Any, path: Path) -> None:
        self.onnx, self.graph, self.folder = onnx, model.graph, str(path.parent)
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self.constants = {each.name: each for each in self.graph.initializer}

    def takes(self) -> tuple[int | None, tuple[int, int] | None]:
        """Number of images at a time, and their size; None for any."""
        inputs = [each for each in self.graph.input if each.name not in self.constants]
        dimensions = [[each.dim_value or None for each in one.type.tensor_type.shape.dim] for one in inputs]
        if len(inputs) != 1 or len(dimensions[0]) != _IMAGE_DIMENSIONS or dimensions[0][1] not in (COLOURS, None):
            shown = "; ".join(f"{one.name} {tuple(each)}" for one, each in zip(inputs, dimensions, strict=True))
            raise ProgramError(f"it takes {shown or 'nothing'} (None: any), not images (N, 3, H, W)")
        batch, _, height, width = dimensions[0]
        return batch, (height, width) if height and width else None

    def logits(self) -> str:
        """Name of the logits."""
        names = [each.name for each in self.graph.output]
        plain = [name for name in names if name != "features"]
        if not plain:
            raise ProgramError(f"it has no output that could be logits (its outputs: {', '.join(names)})")
        found: str = "logits" if "logits" in names else plain[0]
        while (node := self.makers.get(found)) is not None and node.op_type in (*_PROBABILITIES, *_SAME):
            found = node.input[0]
        return found

    def last_layer(self, logits: str) -> _Layer | None:
        """The linear layer that makes the logits; None where something else does."""
        node = self.makers.get(logits)
        if node is None:
            return None
        if node.op_type == "Gemm":
            options = {each.name: self.onnx.helper.get_attribute_value(each) for each in node.attribute}
            weight = self._constant(node.input[1])
            bias = self._constant(node.input[2]) if len(node.input) > 2 else None  # noqa: PLR2004
            plain = options.get("alpha", 1.0) == options.get("beta", 1.0) == 1.0 and not options.get("transA", 0)
            if weight is None or not plain or (bias is None and len(node.input) > 2):  # noqa: PLR2004
                return None
            return _layer(node.input[0], weight if options.get("transB", 0) else weight.T, bias)
        bias = None
        if node.op_type == "Add":
            sides = [(self._constant(one), other) for one, other in (node.input, [*node.input][::-1])]
            bias, rest = next(((value, name) for value, name in sides if value is not None), (None, ""))
            node = self.makers.get(rest)
            if bias is None or node is None:
                return None
        if node.op_type != "MatMul" or (weight := self._constant(node.input[1])) is None:
            return None
        return _layer(node.input[0], weight.T, bias)

    def _constant(self, name: str) -> np.ndarray[Any, Any] | None:
        """A constant tensor, behind transpositions too."""
        if name in self.constants:
            return self._array(self.constants[name])
        node = self.makers.get(name)
        if node is None:
            return None
        if node.op_type == "Constant":
            return self._array(self.onnx.helper.get_attribute_value(node.attribute[0]))
        if node.op_type in ("Transpose", "Identity"):
            inner = self._constant(node.input[0])
            if inner is None or node.op_type == "Identity":
                return inner
            axes = [self.onnx.helper.get_attribute_value(each) for each in node.attribute if each.name == "perm"]
            return inner.transpose(axes[0] if axes else None)
        return None

    def _array(self, tensor: Any) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self.onnx.numpy_helper.to_array(tensor, base_dir=self.folder)
        return found


def _layer(reads: str, weight: np.ndarray[Any, Any], bias: np.ndarray[Any, Any] | None) -> _Layer | None:
    if weight.ndim != 2:  # noqa: PLR2004
        return None
    weight = np.array(weight, dtype=np.float32, order="C")
    filled = np.zeros(len(weight), np.float32) if bias is None else np.asarray(bias, np.float32).reshape(-1).copy()
    return _Layer(reads, weight, filled) if len(filled) == len(weight) else None
