"""What is printed never ends a run: a terminal of another encoding sees escapes in place of what it cannot show."""

from __future__ import annotations

import io
import sys


def print_in_any_locale() -> None:
    """Write escapes where standard output or error cannot show a character, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
