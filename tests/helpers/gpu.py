"""A graphics processor, or whatever stands in for it: tests that need one are marked `gpu`, see `make gpu`."""

from __future__ import annotations

import os

import pytest
import torch

STAND_IN = "SCALING_OOD_GPU"
"""Environment variable with another device, such as `cpu`, to rehearse these tests where there is none."""


@pytest.fixture(scope="session")
def gpu() -> torch.device:
    """Where the work is to be done; the test is skipped where there is no such device."""
    given = os.environ.get(STAND_IN)
    if given is None and not torch.cuda.is_available():
        pytest.skip(f"no CUDA device (rehearse with {STAND_IN}=cpu)")
    return torch.device(given or "cuda")
