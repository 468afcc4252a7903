"""Keys: the fingerprint of all that a product was made from. Nobody writes one by hand.

A node function that is `keyed` says how its inputs count; the key is that of the node (name and version), of the keys
of the products that it was given, and of those values of its typed parameters that can change the result. What was
given is recorded beside the product, so that a later run can say what has changed since.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd

Arguments = Mapping[str, Any]


def digest(*ingredients: object) -> str:
    """Short, stable fingerprint.

    Args:
        ingredients: Anything that JSON can hold, and numpy arrays and scalars. Never paths, batch sizes or worker
            counts: they do not change a product.

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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return [str(value.dtype), list(value.shape), hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be part of a key: give its plain content instead")


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a product was made from.

    Attributes:
        node: Name of the node function.
        version: Of that function; raised where it makes something else of the same inputs.
        made_from: Argument to what counts of it: a key, or plain values.
        told: Fingerprint of what else it tells a reader, such as a device; no part of the key. With another one the
            product is made again, and what was made from it stays what it is.
    """

    node: str = ""
    version: int = 1
    made_from: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    told: str = ""

    @property
    def key(self) -> str:
        """The product's key."""
        return digest(self.node, self.version, self.made_from)

    def record(self) -> dict[str, Any]:
        """The content of a record: the key, and what it is the fingerprint of."""
        return {"key": self.key, **dataclasses.asdict(self)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Origin:
        """What a record holds; an empty origin where there is none."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in record.items() if name in names})


NOT_MADE = Origin()
"""Of what no node has made."""


@runtime_checkable
class Product(Protocol):
    """What bears a key."""

    @property
    def origin(self) -> Origin:
        """What it was made from."""
        ...


@runtime_checkable
class Matters(Protocol):
    """Parameters, and parts of products, that know what of them can change a result."""

    def what_matters(self) -> Any:
        """Plain values; None where nothing does."""
        ...


@runtime_checkable
class Tells(Protocol):
    """What tells a reader more than what can change a result."""

    def tells(self) -> Any:
        """Plain values; None where nothing is."""
        ...


def what_is_told(value: Any) -> Any:
    """What of a node's input stands in its product for a reader; see `Origin.told`."""
    if isinstance(value, Tells):
        return value.tells()
    return value.origin.told if isinstance(value, Product) else None


def what_counts(value: Any) -> Any:
    """What of a node's input is part of the key of what it makes; None where nothing is.

    Names of folders, devices and whatever else is a bare text or number never are: what can change a result is a
    product or a typed parameter.
    """
    if isinstance(value, Product):
        return value.origin.key
    if isinstance(value, Matters):
        return value.what_matters() or None
    if isinstance(value, pd.DataFrame):
        return _table_sum(value)
    return None


def _table_sum(table: pd.DataFrame) -> str:
    values = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return digest(list(table.columns), values)


def keyed(version: int = 1, **reads: Callable[[Arguments], Any]) -> Callable[[Callable[..., Any]], Keyed]:
    """Declare a node function, whose products get their origin from its inputs.

    Args:
        version: To be raised with every change by which the same inputs give another product.
        reads: Argument to a function of all arguments that says what of it counts, where that is not all of it.
    """
    return lambda function: Keyed(function, version, reads)


class Keyed:
    """A node function that knows what its products are made from.

    Attributes:
        divides: Whether its product comes of parts that several processes can make; see `plans.divided`.
    """

    divides: ClassVar[bool] = False

    def __init__(
        self, function: Callable[..., Any], version: int, reads: Mapping[str, Callable[[Arguments], Any]]
    ) -> None:
        """Take over a function; see `keyed`."""
        self.function = function
        self.version = version
        self.reads = reads
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__

    def __reduce__(self) -> str:
        """Another process finds it by its name."""
        return self.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it outside of a graph."""
        given = inspect.signature(self.function).bind(*args, **kwargs).arguments
        return stamped(self.function(*args, **kwargs), self.origin(given))

    def bind(self, **fixed: Any) -> Callable[..., Any]:
        """The function for a node of the graph, with some arguments fixed."""

        @wraps(self.function)
        def node(**inputs: Any) -> Any:
            return self.in_graph({**fixed, **inputs})

        node.__signature__ = _without(self.function, fixed)  # type: ignore[attr-defined]
        # The structure hands over typed parameters; Kedro must not make other ones by the annotations.
        node.__annotations__ = {}
        node.origin_of = lambda inputs: self.origin({**fixed, **inputs})  # type: ignore[attr-defined]
        node.divides = self.divides  # type: ignore[attr-defined]
        return node

    def in_graph(self, given: Arguments) -> Any:
        """What the node returns."""
        return self(**given)

    def flat(self, given: Arguments) -> dict[str, Any]:
        """Arguments by name in the order of the function, then those of `**others` in theirs."""
        signature = inspect.signature(self.function)
        flat = dict(_flat(signature, given))
        return {name: flat[name] for name in signature.parameters if name in flat} | flat

    def origin(self, given: Arguments) -> Origin:
        """What a product of these arguments is made from."""
        flat = self.flat(given)
        counts = {
            name: self.reads[name](flat) if name in self.reads and value is not None else what_counts(value)
            for name, value in flat.items()
        }
        return Origin(self.function.__name__, self.version, json.loads(json.dumps(_present(counts), default=_plain)))


def _flat(signature: inspect.Signature, given: Arguments) -> Iterator[tuple[str, Any]]:
    gathered = [p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD]
    for name, value in given.items():
        if name in gathered:
            yield from value.items()
        else:
            yield name, value


def _present(counts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sorted(counts.items()) if value is not None}


def _without(function: Callable[..., Any], fixed: Mapping[str, Any]) -> inspect.Signature:
    signature = inspect.signature(function)
    left = [parameter for name, parameter in signature.parameters.items() if name not in fixed]
    keyword = inspect.Parameter.KEYWORD_ONLY
    only = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return signature.replace(parameters=[p.replace(kind=keyword) if p.kind is only else p for p in left])


def stamped(result: Any, origin: Origin) -> Any:
    """The same result, each product in it with its origin."""
    if isinstance(result, tuple):
        return tuple(stamped(one, origin) for one in result)
    if isinstance(result, dict):
        return {name: stamped(one, origin) for name, one in result.items()}
    if isinstance(result, Product) and dataclasses.is_dataclass(result) and not isinstance(result, type):
        return dataclasses.replace(result, origin=origin)
    return result


def differences(then: Any, now: Any, place: str = "") -> Iterator[str]:
    """What has changed between two records of the same inputs, such as `epochs was 30, is 10`.

    >>> list(differences({"epochs": 30, "seeds": [0]}, {"epochs": 10, "seeds": [0]}))
    ['epochs was 30, is 10']
    """
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*then, *now]):
            inner = f"{place}.{name}" if place else str(name)
            yield from differences(then.get(name), now.get(name), inner)
    elif then != now:
        yield f"{place} was {_shown(then)}, is {_shown(now)}"


def _shown(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)
