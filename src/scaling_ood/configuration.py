"""Kedro's loader of configuration, which reads no file that would fill the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import click
import yaml
from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scaling_ood.wording import did_you_mean

MOST_COPIES = 100_000
"""Values that aliases may add to a file."""

DEEPEST = 100
"""Levels of mappings and lists in each other."""

_UNREAD = (yaml.YAMLError, OmegaConfBaseException, AttributeError, ValueError)
"""What Kedro and omegaconf raise for files that they cannot use."""


class ConfigLoader(OmegaConfigLoader):
    """The files of the environment are looked at before any value of them is made."""

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        *,
        base_env: str | None = None,
        default_run_env: str | None = None,
        **options: Any,
    ) -> None:
        """As Kedro's.

        Raises:
            click.ClickException: There is no configuration, or no such environment, or aliases make a file too large,
                or it is nested too deeply; names all such files.
        """
        self._files = self._found(str(conf_source), base_env, env or default_run_env)
        if problems := _problems(self._files, what_swells):
            raise _refused(problems)
        super().__init__(
            conf_source,
            env,
            runtime_params,
            base_env=base_env,
            default_run_env=default_run_env,
            **options,
        )
        # One id, one meaning: results can never be filed under another benchmark's name.
        running = env or default_run_env
        if running and running not in (base_env, "local"):
            self._globals["benchmark"] = running

    def _found(self, source: str, base: str | None, env: str | None) -> dict[str, bytes]:
        """Files of both environments, by name: of a folder, or of an archive as `kedro package` makes it."""
        system, protocol = self._initialise_filesystem_and_protocol(source)
        if protocol not in ("file", "tar", "zip"):
            return {}
        root = source if protocol == "file" else system.ls("", detail=False)[-1]
        inside = system.ls(root, detail=True) if system.isdir(root) else []
        known = sorted(Path(each["name"]).name for each in inside if each["type"] == "directory")
        if base and base not in known:
            told = "name the configuration, a folder or an archive of it: --conf-source"
            raise _refused([f"- {source}: it has no folder '{base}'; {told}"])
        if env and env not in known:
            raise _refused([f"- --env {env}: no such folder in {source}{did_you_mean(env, known)}"])
        names = sorted(name for each in {base, env} if each for name in system.find(f"{root}/{each}"))
        return {name: system.cat_file(name) for name in names if name.endswith((".yml", ".yaml"))}

    def __getitem__(self, key: str) -> Any:
        """As Kedro's.

        Raises:
            click.ClickException: A file is no YAML, no UTF-8 or no mapping, or a value refers to what is not there.
        """
        # What `${globals:...}` means is a matter of the whole process; the last loader would answer for all of them.
        self._register_globals_resolver()
        try:
            return super().__getitem__(key)
        except _UNREAD as error:
            problems = _problems(self._files, _why_unread)
            raise _refused(problems or [f"- {key}: {_one_line(error)}"]) from error


def _one_line(error: Exception) -> str:
    text, *more = str(error).split("\n")
    where = [line.strip() for line in more if "full_key" in line]
    return "; ".join([text, *where])


def _refused(problems: Iterable[str]) -> click.ClickException:
    return click.ClickException("\n".join(["The configuration was not read; nothing was run.", *problems]))


def _problems(files: Mapping[str, bytes], what: Callable[[bytes], str]) -> list[str]:
    return [f"- {name}: {problem}" for name, content in files.items() if (problem := what(content))]


def _why_unread(text: bytes) -> str:
    """What is wrong with a file by itself, in one line; empty where it can be read."""
    try:
        content = OmegaConf.load(StringIO(text.decode()))
    except _UNREAD as error:
        return " ".join(str(error).replace('in "<file>", ', "").split())
    return "" if isinstance(content, DictConfig) else "it is a list; parameters have names"


def what_swells(content: bytes) -> str:
    r"""Why YAML is not read; empty where it may be.

    PyYAML shares what aliases stand for, but omegaconf copies it, aliases of aliases too: nine lines make 10^9 values.
    They are counted by the events of the parser, before any value is made. Errors of syntax are left to the reader.

    >>> what_swells(b"a: &a [1, 2]\nb: *a")
    ''
    >>> what_swells(b"a: &a [*a]")
    "the anchor 'a' holds itself"
    """
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    sizes: dict[str, int] = {}
    copies = 0
    try:
        for event in yaml.parse(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, 1))
                if len(open_nodes) > DEEPEST:
                    return f"it has more than {DEEPEST} levels of mappings and lists in each other"
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, size = open_nodes.pop()
            elif isinstance(event, yaml.ScalarEvent):
                anchor, size = event.anchor, 1
            elif isinstance(event, yaml.AliasEvent) and event.anchor:
                if any(each == event.anchor for each, _ in open_nodes):
                    return f"the anchor '{event.anchor}' holds itself"
                anchor, size = None, sizes.get(event.anchor, 1)
                copies += size
            else:
                continue
            if anchor:
                sizes[anchor] = size
            parent, total = open_nodes[-1]
            open_nodes[-1] = (parent, total + size)
    except yaml.YAMLError:
        return ""
    total = open_nodes[0][1]
    if total > MOST_COPIES and copies:
        return f"its anchors make {total:,} values of it, of which {MOST_COPIES:,} are allowed: write out what is meant"
    return ""
