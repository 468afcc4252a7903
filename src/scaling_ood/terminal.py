"""What a terminal shows: nothing that ends a run where it cannot show a character, and no advice that misleads."""

from __future__ import annotations

import io
import logging
import sys


def print_in_any_locale() -> None:
    """Write escapes where standard output or error cannot show a character, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


_ADVICE = ("Using synchronous mode", "No nodes ran.", "There are ", "Workflow tracking is disabled")
"""How messages about runners begin that say how to run. Here the same command goes on where it stopped."""

_RUNNERS = (
    "kedro.runner.sequential_runner",
    "kedro.runner.thread_runner",
    "scaling_ood.part_run",
    "kedro_viz.integrations.kedro.run_hooks",
)


def silence_advice() -> None:
    """Drop what Kedro's runners advise, and Kedro-Viz of them."""
    for name in _RUNNERS:
        logging.getLogger(name).addFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_ADVICE)
