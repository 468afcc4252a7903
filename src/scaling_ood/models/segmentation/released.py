"""Files of segmenters that the paper's code wrote, made into one file with this project's names.

Its networks (semantic-segmentation-pytorch, `resnet101dilated` and `ppm_deepsup`) are the same as the ones called
`pspnet_*_deepstem` here, in two files and with other names:

    python -m scaling_ood.models.segmentation.released encoder_epoch_20.pth decoder_epoch_20.pth segmenter.safetensors
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click
import torch
from safetensors.torch import save_file

from scaling_ood.models.checkpoints import Checkpoint, State, read_checkpoint
from scaling_ood.models.file_forms import CheckpointError
from scaling_ood.models.segmentation.pspnet import PSPNet
from scaling_ood.models.segmentation.registry import build_segmenter
from scaling_ood.wording import listed

ARCHITECTURE = "pspnet_resnet101_deepstem"

_ENCODER = {"encoder.network.": ""}
_DECODER = {
    "decoder.branches.": "ppm.",
    "decoder.join.": "conv_last.",
    "classifier.": "conv_last.4.",
    "auxiliary.4.": "conv_last_deepsup.",
    "auxiliary.": "cbr_deepsup.",
}
"""Beginnings of this project's names to those of each file; the first that fits counts."""

_STALE = ("_tmp_running_mean", "_tmp_running_var", "_running_iter")
"""Ends of names that older batch norms of that code kept for their training only."""

_LAST = "conv_last.4.weight"


def released_state(encoder: Checkpoint, decoder: Checkpoint, architecture: str = ARCHITECTURE) -> State:
    """State dict of the `PSPNet` that two files of the released code make.

    The number of classes is the decoder's. What older batch norms kept for their training alone is left out.

    Args:
        encoder: `encoder_epoch_<n>.pth`.
        decoder: `decoder_epoch_<n>.pth`.
        architecture: One of the registered ones with a deep stem.

    Raises:
        CheckpointError: The files are swapped or of other networks: every entry that is missing, unknown or of another
            shape, under its name in the file.
        ValueError: Unknown architecture.
    """
    last = decoder.state.get(_LAST)
    if last is None:
        raise CheckpointError(
            f"{decoder.name} is no decoder of the released code (ppm_deepsup): it has no {_LAST}"
            + ("; the two files are swapped" if _LAST in encoder.state else "")
        )
    network = build_segmenter(architecture, len(last), seed=0, start="random")
    assert isinstance(network, PSPNet)
    state: State = {}
    problems = []
    for file, names in ((encoder, _ENCODER), (decoder, _DECODER)):
        taken, told = _renamed(file, names, network)
        state |= taken
        problems += [f"{file.name} {one}" for one in told]
    if problems:
        raise CheckpointError(f"the files do not fit {architecture}: {'; '.join(problems)}")
    return state


def convert(encoder: Path, decoder: Path, target: Path, architecture: str = ARCHITECTURE) -> int:
    """Write both files as one safetensors file, which `checkpoint=FILE` takes; returns the number of classes.

    Raises:
        FileNotFoundError: One of the files is missing.
        CheckpointError: What `read_checkpoint` and `released_state` raise, or the target is called something else.
        OSError: The target cannot be written.
    """
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target.name} must end in .safetensors, by which it is read again")
    files = read_checkpoint(encoder), read_checkpoint(decoder)
    state = released_state(*files, architecture)
    about = {kind: f"{file.name} {file.sha256}" for kind, file in zip(("encoder", "decoder"), files, strict=True)}
    beside = target.with_name(f".{target.name}.part")
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, beside, about)
    os.replace(beside, target)
    return len(state["classifier.weight"])


@click.command(name="released")
@click.argument("encoder", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("decoder", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--architecture", default=ARCHITECTURE, show_default=True)
def main(encoder: Path, decoder: Path, target: Path, architecture: str) -> None:
    """Make one file TARGET of the released code's files ENCODER and DECODER."""
    try:
        classes = convert(encoder, decoder, target, architecture)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{target}: {architecture}, {classes} classes")


def _renamed(file: Checkpoint, names: Mapping[str, str], network: PSPNet) -> tuple[State, list[str]]:
    """The part of the network's state that a file has, and what is wrong with the file."""
    own = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(tuple(names))}
    theirs = {name: _their_name(name, names) for name in own}
    given = {name: each for name, each in file.state.items() if not name.endswith(_STALE)}
    # Networks from before torch 0.4.1 did not count batches, and nothing depends on it.
    lacking = [name for name in theirs.values() if name not in given and not name.endswith("num_batches_tracked")]
    shapes = [
        f"{theirs[name]} {tuple(given[theirs[name]].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if theirs[name] in given and given[theirs[name]].shape != tensor.shape
    ]
    problems = {
        "lacks": lacking,
        "has unknown": sorted(given.keys() - set(theirs.values())),
        "has of another shape": shapes,
    }
    told = [f"{what} {listed(wrong, most=5)}" for what, wrong in problems.items() if wrong]
    zero = torch.zeros((), dtype=torch.long)
    return {name: given.get(theirs[name], zero) for name in own}, told


def _their_name(name: str, names: Mapping[str, str]) -> str:
    ours = next(beginning for beginning in names if name.startswith(beginning))
    return names[ours] + name.removeprefix(ours)


if __name__ == "__main__":
    main()
