"""The commands `python -m scaling_ood.downloads samples [DESTINATION]` and `… paper [DESTINATION]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from scaling_ood.downloads.by_hand import BY_HAND
from scaling_ood.downloads.fetching import fetch_all
from scaling_ood.downloads.paper import PAPER
from scaling_ood.downloads.samples import SAMPLES
from scaling_ood.downloads.source import Source

SAMPLES_DESTINATION = Path("data/01_raw/samples")
PAPER_DESTINATION = Path("data/01_raw")
PAPER_SETS = tuple(dict.fromkeys([*(source.name.split("/")[0] for source in PAPER), *(each.name for each in BY_HAND)]))


@click.group()
def main() -> None:
    """Fetch public data sets from their own hosts."""


@main.command()
@click.argument("destination", type=click.Path(file_okay=False, path_type=Path), default=SAMPLES_DESTINATION)
@click.option(
    "--only", "names", multiple=True, type=click.Choice([source.name for source in SAMPLES]), help="This set."
)
def samples(destination: Path, names: tuple[str, ...]) -> None:
    """Fetch the photographs of the `samples` benchmarks into DESTINATION (default data/01_raw/samples).

    What is complete is verified and not fetched again. Ends with exit code 1 if a set is missing or is not what was
    expected.
    """
    _fetch([source for source in SAMPLES if not names or source.name in names], destination)
    click.echo(f"\nComplete. Read them with: kedro run --env samples --params data_root={destination}")


@main.command()
@click.argument("destination", type=click.Path(file_okay=False, path_type=Path), default=PAPER_DESTINATION)
@click.option("--only", "names", multiple=True, type=click.Choice(PAPER_SETS), help="This set.")
def paper(destination: Path, names: tuple[str, ...]) -> None:
    """Fetch the public data of the paper's multi-class benchmarks into DESTINATION (default data/01_raw).

    Of the sets that need an account or a browser it says what to get, from where, on what terms, and where to put it.
    Ends with exit code 1 if a set that can be fetched is missing or is not what was expected.
    """
    for each in BY_HAND:
        if (not names or each.name in names) and not each.is_there(destination):
            click.echo(f"{each.message(destination)}\n")
    sources = [source for source in PAPER if not names or source.name.split("/")[0] in names]
    if sources:
        _fetch(sources, destination)


def _fetch(sources: Sequence[Source], destination: Path) -> None:
    try:
        problems = fetch_all(sources, destination, click.echo)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if problems:
        raise click.ClickException(f"{len(problems)} of {len(sources)} sets are missing.\n\n" + "\n\n".join(problems))
