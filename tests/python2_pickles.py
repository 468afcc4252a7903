"""Pickles as Python 2 wrote them, opcode by opcode: its text is bytes, which Python 3 cannot write any more."""

import struct
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Global:
    module: str
    name: str


@dataclass(frozen=True)
class Call:
    function: Global
    arguments: tuple
    state: object = None


@dataclass(frozen=True)
class Persistent:
    """Something that is kept elsewhere, as the storages of a checkpoint are."""

    name: tuple


def python2_pickle(value):
    return b"\x80\x02" + _written(value) + b"."


def _written(value):  # noqa: PLR0911
    match value:
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return b"J" + struct.pack("<i", value)
        case float():
            return b"G" + struct.pack(">d", value)
        case None:
            return b"N"
        case str() | bytes():
            data = value.encode("ascii") if isinstance(value, str) else value
            return (b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<i", len(data))) + data
        case list():
            return b"](" + b"".join(map(_written, value)) + b"e"
        case tuple():
            return b"(" + b"".join(map(_written, value)) + b"t"
        case dict():
            return b"}(" + b"".join(_written(key) + _written(each) for key, each in value.items()) + b"u"
        case Global():
            return f"c{value.module}\n{value.name}\n".encode()
        case Call():
            made = _written(value.function) + _written(value.arguments) + b"R"
            return made if value.state is None else made + _written(value.state) + b"b"
        case Persistent():
            return _written(value.name) + b"Q"
        case np.ndarray():
            kind = value.dtype.str[1:]
            dtype = Call(Global("numpy", "dtype"), (kind, 0, 1), (3, value.dtype.str[0], None, None, None, -1, -1, 0))
            make = Global("numpy.core.multiarray", "_reconstruct")
            arguments = (Global("numpy", "ndarray"), (0,), "b")
            return _written(Call(make, arguments, (1, value.shape, dtype, False, value.tobytes())))
    raise TypeError(type(value))
