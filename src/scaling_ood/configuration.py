"""Kedro's loader of configuration, which reads no file that would fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml
from kedro.config import OmegaConfigLoader

MOST_COPIES = 100_000
"""Values that aliases may add to a file."""

DEEPEST = 100
"""Levels of mappings and lists in each other."""


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
            click.ClickException: Aliases make a file too large, or it is nested too deeply; names all such files.
        """
        folders = {Path(conf_source) / (base_env or ""), Path(conf_source) / (env or default_run_env or "")}
        problems = [problem for folder in sorted(folders) for problem in _problems(folder)]
        if problems:
            raise click.ClickException("\n".join(["The configuration was not read; nothing was run.", *problems]))
        super().__init__(
            conf_source,
            env,
            runtime_params,
            base_env=base_env,
            default_run_env=default_run_env,
            **options,
        )


def _problems(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.y*ml")):
        if path.is_file() and (problem := what_swells(path.read_bytes())):
            yield f"- {path}: {problem}"


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
