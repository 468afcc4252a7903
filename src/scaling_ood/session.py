"""A `kedro run` as a person meets it: what they can put right ends in its message alone, with commands that work."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

import click
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import DatasetError, DatasetNotFoundError
from kedro.pipeline import Pipeline

from scaling_ood import storage
from scaling_ood.terminal import silence_advice
from scaling_ood.tracking.underway import underway
from scaling_ood.wording import in_bytes, nearest

USER_ERRORS = (ValueError, ArithmeticError, OSError, RuntimeError, DatasetError)
"""What a person can put right. Everything else is a bug and keeps its traceback."""

RUNNERS = ("SequentialRunner", "ThreadRunner")
"""Kedro's runners that call hooks, without which nothing is checked and nothing is tracked."""

PACKAGED = "python -m scaling_ood"
"""What stands for `kedro run` where the package is installed, and no project is there."""

MOST_LISTED = 40
"""Words that a message lists beside the nearest one."""

_SELECTS = {
    "pipeline_names": "pipelines",
    "namespaces": "namespaces",
    "node_names": "nodes",
    "from_nodes": "from-nodes",
    "to_nodes": "to-nodes",
    "tags": "tags",
    "from_inputs": "from-inputs",
    "to_outputs": "to-outputs",
}
"""What of a run's options says which part of the graph it makes, and its names on the command line."""

_SHM = "/dev/shm"
_SHARED_MEMORY = re.compile(
    r"signal: Bus error|unable to (?:write to|allocate|open|mmap|resize).*(?:/torch_|shm|shared)"
)
"""What torch says where a worker process cannot hand over its images."""

_NO_CREDENTIALS = re.compile(r"Unable to find credentials '([^']*)'")
"""What Kedro says where an entry of the catalog names credentials that are nowhere."""

_COMMAND = re.compile(r"kedro run(?: --(?:pipelines|to-outputs) [\w.,]+|$)", re.MULTILINE)


class Session(KedroSession):
    """Kedro's session; `settings.py` names it."""

    def run(self, *args: Any, **options: Any) -> dict[str, Any]:
        """As Kedro's.

        Raises:
            click.ClickException: In place of what a person can put right; SCALING_OOD_TRACEBACK=1 keeps the error.
        """
        if options.get("runner"):
            refuse_runner(type(options["runner"]).__name__)
        silence_advice()
        if one_of_several := self._given() != _for_one_process(self._given()):
            from scaling_ood.part_run import PartRunner  # with all that a run imports

            options["runner"] = PartRunner()
        try:
            outputs: dict[str, Any] = super().run(*args, **options)
        except Exception as error:
            from scaling_ood import structure  # with all that a graph is made of: a run has imported it

            text = message_of(error, options)
            if isinstance(error, ValueError) and not structure.setting_specs():
                text = structure.no_setting()
            if not text or os.environ.get("SCALING_OOD_TRACEBACK"):
                raise
            raise click.ClickException(self._completed(text)) from error
        if underway.problem:
            told = f"MLflow did not take all of this run ({underway.problem}). All results are there."
            if underway.unsent:
                told += " Send it when the store answers again: kedro run --pipelines upload"
            if "upload" in (options.get("pipeline_names") or ()):
                raise click.ClickException(self._completed(told))
            click.echo(self._completed(told))
        if one_of_several:
            click.echo(self._completed(options["runner"].told) + selection(options))
        return outputs

    def _given(self) -> dict[str, Any]:
        return dict(self.store.get("runtime_params") or {})

    def _completed(self, text: str) -> str:
        told = completed(text, self.store.get("env"), _for_one_process(self._given()))
        context = click.get_current_context(silent=True)
        packaged = context is not None and context.command_path == PACKAGED
        return (
            told.replace("kedro run", f"{PACKAGED} --conf-source {shlex.quote(self._conf_source)}")
            if packaged
            else told
        )


def refuse_runner(name: str) -> None:
    """Make sure that a runner serves.

    Raises:
        click.ClickException: It does not; names those that do.
    """
    if name not in RUNNERS:
        why = "does not serve: it calls no hooks, so nothing would be checked or tracked"
        told = why if name == "ParallelRunner" else f"is not known{nearest(name, RUNNERS)}"
        raise click.ClickException(f"--runner {name} {told} (known: {', '.join(RUNNERS)})")


def message_of(error: BaseException, options: Mapping[str, Any]) -> str:
    """What to tell a person of an error; empty for bugs.

    Args:
        error: Of a run. Kedro wraps what is raised while the catalog loads or saves, twice at times.
        options: Of the run, as `KedroSession.run` takes them.
    """
    while isinstance(error, DatasetError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, click.ClickException):
        return error.message
    if told := storage.problem(error):
        return told
    if isinstance(error, KeyError) and (found := _NO_CREDENTIALS.search(str(error))):
        return f"credentials: no credentials.yml of this environment or of conf/base has an entry '{found[1]}'"
    unknown = _unknown_words(options) if isinstance(error, ValueError | ImportError) else []
    if unknown or not isinstance(error, USER_ERRORS) or isinstance(error, DatasetNotFoundError):
        return "\n".join(unknown)
    return _out_of_shared_memory(error) or str(error)


def completed(text: str, environment: str | None, params: Mapping[str, Any]) -> str:
    """A message whose commands have the options of the present one.

    >>> completed("Renew it: kedro run --to-outputs a.b", "voc", {"runtime": {"workers": 0}, "device": "cpu"})
    'Renew it: kedro run --to-outputs a.b --env voc --params runtime.workers=0,device=cpu'
    """
    given = f" --env {shlex.quote(environment)}" if environment else ""
    if params:
        given += f" --params {shlex.quote(','.join(f'{name}={_typed(value)}' for name, value in _dotted(params)))}"
    return _COMMAND.sub(lambda command: command.group() + given, text)


def selection(options: Mapping[str, Any]) -> str:
    """The options of a command line that select as a run did.

    >>> selection({"pipeline_names": ["reporting", "upload"], "namespaces": ["mine"], "tags": []})
    ' --pipelines reporting,upload --namespaces mine'
    """
    return "".join(f" --{name} {','.join(options[key])}" for key, name in _SELECTS.items() if options.get(key))


def _for_one_process(params: Mapping[str, Any]) -> dict[str, Any]:
    """Run-time parameters without those that make this process one of several."""
    left = {name: value for name, value in params.items() if name != "part"}
    if isinstance(runtime := left.get("runtime"), Mapping):
        kept = {name: value for name, value in runtime.items() if name != "part"}
        left["runtime"] = {name: value for name, value in kept.items() if (name, value) != ("engine", "split")}
    return {name: value for name, value in left.items() if value != {} or params[name] == {}}


def _dotted(params: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Run-time parameters as they were given on the command line."""
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _unknown_words(options: Mapping[str, Any]) -> list[str]:
    """What the options of a run name and is nowhere; Kedro finds out before any hook does."""
    pipelines.set_requested(None)
    chosen = options.get("pipeline_names") or ["__default__"]
    graph = sum((pipelines[name] for name in chosen if name in pipelines), Pipeline([]))
    namespaces = {prefix for node in graph.nodes for prefix in _levels(node.namespace or "")}
    nodes, datasets = {node.name for node in graph.nodes}, graph.datasets()
    known = {
        "pipeline_names": set(pipelines),
        "namespaces": namespaces,
        "node_names": nodes,
        "from_nodes": nodes,
        "to_nodes": nodes,
        "tags": {tag for node in graph.nodes for tag in node.tags},
        "from_inputs": datasets,
        "to_outputs": datasets,
    }
    return [
        f"--{_SELECTS[key]} {word}: there is no such name{_nearest(word, names)}"
        for key, names in known.items()
        for word in options.get(key) or ()
        if word not in names
    ]


def _levels(namespace: str) -> Iterator[str]:
    return accumulate(namespace.split("."), "{}.{}".format)


def _nearest(word: str, names: set[str]) -> str:
    beside = {name for name in names if name.rpartition(".")[0] == word.rpartition(".")[0]} or names
    return nearest(word, names) + (f" (known: {', '.join(sorted(beside))})" if len(beside) <= MOST_LISTED else "")


def _out_of_shared_memory(error: BaseException) -> str:
    """What to do where a worker process found no room for its images; empty for any other error."""
    if not _SHARED_MEMORY.search(str(error)):
        return ""
    size = in_bytes(shutil.disk_usage(_SHM).total) if os.path.isdir(_SHM) else "nothing"
    return (
        f"A process that decodes images ran out of shared memory: {_SHM} has {size}. Decode them in the main process "
        "(--params runtime.workers=0), or make it larger (docker run --shm-size=2g)"
    )
