"""The command `python -m scaling_ood.downloads samples [DESTINATION]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from scaling_ood.downloads.fetching import Outcome, fetch_all
from scaling_ood.downloads.samples import SAMPLES
from scaling_ood.downloads.source import DownloadError

DEFAULT_DESTINATION = Path("data/01_raw/samples")


@click.group()
def main() -> None:
    """Fetch public data sets from their own hosts."""


@main.command()
@click.argument("destination", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_DESTINATION)
@click.option(
    "--only", "names", multiple=True, type=click.Choice([source.name for source in SAMPLES]), help="This set."
)
def samples(destination: Path, names: tuple[str, ...]) -> None:
    """Fetch the photographs of the `samples` benchmarks into DESTINATION (default data/01_raw/samples).

    What is complete is verified and not fetched again; an interrupted transfer goes on where it stopped. Ends with exit
    code 1 if a set is missing or is not what was expected.
    """
    wanted = [source for source in SAMPLES if not names or source.name in names]
    try:
        outcomes = fetch_all(wanted, destination, click.echo)
    except (DownloadError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"\n{summary(outcomes)}")
    if failed := [outcome.problem for outcome in outcomes if outcome.problem]:
        raise click.ClickException(f"{len(failed)} of {len(outcomes)} sets are missing.\n\n" + "\n\n".join(failed))
    click.echo(f"\nComplete. Read them with: kedro run --env samples --params data_root={destination}")


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line per set: how it ended and the counts that were checked."""
    width = max(len(outcome.source.name) for outcome in outcomes)
    return "\n".join(f"{outcome.source.name:<{width}}  {outcome.state}{_counts(outcome)}" for outcome in outcomes)


def _counts(outcome: Outcome) -> str:
    if outcome.problem:
        return ""
    return ": " + ", ".join(f"{line.count:,} {line.what}" for line in outcome.source.expected)
