"""Networks in the form of Hugging Face: a folder that `save_pretrained` wrote, or the id of one on the hub.

Their configuration says which of transformers' own classes they are, their weights are safetensors. Code that comes
with them is never run, and pickled weights are never read.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from scaling_ood.images.transforms import INTERPOLATION, Preprocessing
from scaling_ood.models.backbone import WeightsUnavailableError
from scaling_ood.models.files import digest_of_files
from scaling_ood.optional import library
from scaling_ood.wording import listed

HF = "hf:"
"""What the names of these networks start with."""

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")

_STRETCHED = frozenset({"ViT", "DeiT", "Beit", "Pvt", "Siglip", "EfficientNet", "Segformer", "DPT"})
_CUT = frozenset({"ConvNext", "Bit", "CLIP", "Levit", "MobileNetV1", "MobileNetV2", "PoolFormer"})
_CONVNEXT_STRETCHED_PX = 384
_LEVIT_MARGIN = 256 / 224
_FILTERS = {int(filter_): name for name, filter_ in INTERPOLATION.items()}


@dataclass(frozen=True)
class Saved:
    """A network that `save_pretrained` wrote.

    Attributes:
        name: As it is asked for, with `hf:`.
        place: Folder or id.
        config: Of transformers.
        revision: Commit on the hub; empty for a folder.
        digest: Of configuration and weights.
        words: Where its weights come from.
        class_names: Of its outputs, in their order; empty where the configuration only numbers them.
        preprocessing: As its image processor says; None where that is not there, or is of an unknown kind.
        levels: Mean and standard deviation, in units of [0, 1] pixel values; None without an image processor.
        files: That it is read from; none on the hub.
    """

    name: str
    place: str
    config: Any
    revision: str
    digest: str
    words: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing | None
    levels: tuple[Any, Any] | None
    files: tuple[Path, ...]

    def of_classes(self, classes: int) -> Saved:
        """The same for another number of classes; its weights fit no more."""
        config = copy.deepcopy(self.config)
        config.num_labels = classes
        return replace(self, config=config)

    @property
    def identity(self) -> str:
        """What stands in keys in place of a folder's path, or with the commit of a repository."""
        return f"{HF}{self.place}@{self.digest}" if self.revision else f"{HF}{self.digest}"

    def build(self, auto: str, pretrained: bool) -> nn.Module:
        """The network, by one of transformers' `Auto` classes.

        Raises:
            WeightsUnavailableError: The weights are not there, are pickled, or are of another network.
        """
        kind = getattr(_transformers(), auto)
        with _quiet():
            if not pretrained:
                built: nn.Module = kind.from_config(self.config, trust_remote_code=False)
                return built.float()
            options = {"revision": self.revision} if self.revision else {"local_files_only": True}
            try:
                built, told = kind.from_pretrained(
                    self.place,
                    config=self.config,
                    trust_remote_code=False,
                    use_safetensors=True,
                    output_loading_info=True,
                    dtype=torch.float32,
                    **options,
                )
            except Exception as error:
                raise WeightsUnavailableError(
                    f"the weights of {self.name} cannot be loaded ({_line(error)})"
                ) from error
        wrong = {"lack": told["missing_keys"], "have of another shape": told["mismatched_keys"]}
        problems = [f"{what} {listed(sorted(map(str, keys)), most=5)}" for what, keys in wrong.items() if keys]
        if problems:
            raise WeightsUnavailableError(f"the weights of {self.name} {'; they '.join(problems)}")
        return built


@lru_cache(maxsize=8)
def saved(name: str, auto: str) -> Saved:
    """What lies in a folder or on the hub.

    Args:
        name: `hf:` and a folder, or the id of a repository.
        auto: Which of transformers' `Auto` classes must know it.

    Raises:
        ValueError: There is no such thing, it is not of that kind, it brings code, or its weights are pickled; or
            transformers is not installed. Says which.
    """
    place = name.removeprefix(HF)
    folder = Path(place).expanduser()
    local = folder.exists() or place.startswith((".", "/", "~")) or place.count("/") > 1
    if local:
        _check_folder(name, folder)
    transformers = _transformers()
    place = str(folder) if local else place
    try:
        with _quiet():
            config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False, local_files_only=local)
    except Exception as error:
        told = "cannot be read" if local else "is no folder here, and cannot be fetched from the hub"
        raise ValueError(f"'{name}' {told}: {_line(error)}") from error
    known = getattr(transformers, auto)._model_mapping
    if type(config) not in known:
        raise ValueError(
            f"'{name}' is a network of the type '{config.model_type}', which is not one for this setting ({auto})"
        )
    revision = str(getattr(config, "_commit_hash", None) or "")
    weights = sorted(folder.glob("*.safetensors")) if local else []
    digest = digest_of_files([folder / CONFIG, *weights]) if local else revision[:20]
    others = [folder / file for file in (CONFIG, PROCESSOR, WEIGHTS[1]) if local and (folder / file).is_file()]
    return Saved(
        name,
        place,
        config,
        "" if local else revision,
        digest,
        f"Hugging Face, {folder.name if local else place} ({config.model_type}, {digest})",
        _class_names(config),
        *_preparing(place, local),
        (*others, *weights),
    )


def _check_folder(name: str, folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"'{name}': there is no folder {folder}")
    inside = sorted(each.name for each in folder.iterdir())
    held = listed(inside, most=5) or "nothing"
    if CONFIG not in inside:
        raise ValueError(f"'{name}': {folder} has no {CONFIG}, which save_pretrained writes (it holds: {held})")
    if not any(file in inside for file in WEIGHTS):
        pickled = [each for each in inside if each.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        way = f"its weights are pickled ({listed(pickled, most=2)}): " if pickled else ""
        raise ValueError(
            f"'{name}': {folder} has no {WEIGHTS[0]}; {way}model.save_pretrained writes it (it holds: {held})"
        )
    try:
        raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{name}': {folder / CONFIG} is no JSON ({error})") from error
    if "auto_map" in raw:
        raise ValueError(f"'{name}' brings code of its own (auto_map in {CONFIG}), which is never run")


def _transformers() -> Any:
    return library("transformers", "a network of Hugging Face", "hf")


def _class_names(config: Any) -> tuple[str, ...]:
    names = tuple(str(config.id2label[index]) for index in sorted(config.id2label))
    return () if all(name == f"LABEL_{index}" for index, name in enumerate(names)) else names


def _preparing(place: str, local: bool) -> tuple[Preprocessing | None, tuple[Any, Any] | None]:
    """What the image processor does, for the kinds whose ways are known here; and its mean and standard deviation."""
    if local and not (Path(place) / PROCESSOR).exists():
        return None, None
    try:
        with _quiet():
            processor = _transformers().AutoImageProcessor.from_pretrained(
                place, trust_remote_code=False, local_files_only=local
            )
    except Exception:
        return None, None
    kind = type(processor).__name__.removesuffix("Pil").removesuffix("Fast").removesuffix("ImageProcessor")
    given = processor.to_dict()
    sides, levels = _sides(kind, given), _levels(given)
    if sides is None or not given.get("do_resize", True):
        return None, levels
    resize_px, crop_px, squash = sides
    interpolation: Any = _FILTERS[int(given.get("resample") or Image.Resampling.BILINEAR)]
    return Preprocessing(resize_px, crop_px, interpolation, *levels, squash=squash), levels


def _sides(kind: str, given: dict[str, Any]) -> tuple[int, int, bool] | None:
    """Scaled side, input side, and whether images are stretched."""
    size, crop = given.get("size") or {}, given.get("crop_size") or {}
    side, square = size.get("shortest_edge"), size.get("height") if size.get("height") == size.get("width") else None
    cut = crop.get("height") if given.get("do_center_crop") else None
    if cut is not None and cut != crop.get("width"):
        return None
    if kind == "ConvNext" and side:
        stretched = side >= _CONVNEXT_STRETCHED_PX
        return (side, side, True) if stretched else (int(side / (given.get("crop_pct") or 224 / 256)), side, False)
    if kind in _STRETCHED and square:
        return square, cut or square, True
    if kind in _CUT and side and cut:
        margin = _LEVIT_MARGIN if kind == "Levit" else 1 / (given.get("crop_pct") or 1)
        return int(side * margin), cut, False
    return None


def _levels(given: dict[str, Any]) -> tuple[Any, Any]:
    """Mean and standard deviation in units of [0, 1] pixel values, whatever factor pixels are multiplied with first."""
    factor = 255 * given.get("rescale_factor", 1 / 255) if given.get("do_rescale", True) else 255.0
    offset = 1.0 if given.get("rescale_offset") and given.get("do_rescale", True) else 0.0
    normalised = given.get("do_normalize", True) and given.get("image_mean") is not None
    mean, std = (given["image_mean"], given["image_std"]) if normalised else ((0.0,) * 3, (1.0,) * 3)
    twice = normalised and given.get("include_top", False)  # EfficientNet's divides once more
    return (
        tuple((level + offset) / factor for level in mean),
        tuple((spread**2 if twice else spread) / factor for spread in std),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and advice."""
    from transformers.utils import logging as told

    bars: Any = told
    level, shown = told.get_verbosity(), told.is_progress_bar_enabled()
    told.set_verbosity(logging.CRITICAL)
    bars.disable_progress_bar()
    try:
        yield
    finally:
        told.set_verbosity(level)
        if shown:
            bars.enable_progress_bar()


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


class LogitsOf(nn.Module):
    """A network of transformers that gives its logits alone, for images (N, 3, H, W)."""

    def __init__(self, model: nn.Module) -> None:
        """Take over the network."""
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits; or what its last layer reads, where that was taken away."""
        logits: torch.Tensor = self.model(pixel_values=images).logits
        return logits


def named_as_here(state: dict[str, torch.Tensor], _: nn.Module) -> dict[str, torch.Tensor]:
    """A state dict of transformers with the names that it has in `LogitsOf`."""
    return {name if name.startswith("model.") else f"model.{name}": tensor for name, tensor in state.items()}
