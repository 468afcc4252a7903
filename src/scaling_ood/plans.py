"""Plans: what a node returns instead of doing long work itself.

A node stays pure and quick: it returns a plan that names what the product depends on (its *key*), the parts that it
consists of, and a generator that makes them. The catalog type that receives the plan looks up which parts of that key
exist already, asks only for the others, and writes each one atomically. A killed run therefore resumes where it
stopped, and a product made from other inputs is never mistaken for this one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from pydantic import BaseModel

Product = TypeVar("Product")

LATER = "later"
"""Metadata of a dataclass's field that was added when products existed: at its default it is no part of a key."""


def digest(*ingredients: object) -> str:
    """Short, stable fingerprint of what a product depends on.

    Args:
        ingredients: Anything that JSON can hold, Pydantic models, dataclasses and numpy arrays included. Never pass
            paths, batch sizes or worker counts: they do not change the product.

    Returns:
        20 hexadecimal digits (80 bits of SHA-256), equal across processes and machines.

    >>> digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})
    True
    >>> digest("a") == digest("b")
    False
    """
    text = json.dumps(ingredients, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # An option that came later, at its default: what was made before it stays what it is.
        silent = {
            f.name for f in dataclasses.fields(value) if f.metadata.get(LATER) and getattr(value, f.name) == f.default
        }
        return {name: part for name, part in dataclasses.asdict(value).items() if name not in silent}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return [str(value.dtype), list(value.shape), hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be part of a key: give its plain content instead")


@dataclass(frozen=True)
class Part:
    """One piece of a product, and how many items (images, rows) it holds; the count drives the progress bar."""

    name: str
    items: int


@dataclass(frozen=True)
class Plan(Generic[Product]):
    """A product that is made part by part.

    Attributes:
        key: Fingerprint of everything the product depends on; see `digest`.
        parts: All parts, in order.
        produce: Given the parts that are still missing, yields each of them as `(name, product)`, in that order. It is
            called at most once, so that one data loader can serve all the missing parts.
        about: What to tell a reader of the stored product (model, transform, precision, …); not part of the key.
    """

    key: str
    parts: Sequence[Part]
    produce: Callable[[Sequence[Part]], Iterator[tuple[str, Product]]]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingPlan:
    """A model that is trained epoch by epoch.

    Attributes:
        key: Fingerprint of everything the trained weights depend on.
        epochs: How many states `run` yields from the start; 0 for weights that are used as they are.
        run: Continues after the given state (None: from the start), yielding the complete state after each epoch:
            model, optimiser, schedule, random generators and history, so that a resumed training equals an
            uninterrupted one.
        about: What to tell a reader of the checkpoint; not part of the key.
    """

    key: str
    epochs: int
    run: Callable[[dict[str, Any] | None], Iterator[dict[str, Any]]]
    about: Mapping[str, Any] = field(default_factory=dict)


class StaleProductError(RuntimeError):
    """A stored product was made from other inputs than those it is about to be used with."""
