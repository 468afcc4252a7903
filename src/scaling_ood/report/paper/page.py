"""One self-contained HTML page with all tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from scaling_ood.report.html import page
from scaling_ood.report.paper.comparing import typed
from scaling_ood.report.paper.sources import states_of
from scaling_ood.report.table import Table


def render_page(tables: Sequence[Table], comparison: pd.DataFrame) -> str:
    """The page: how far each benchmark has come, then the tables.

    Args:
        tables: In their order on the page.
        comparison: What they were laid out from.
    """
    return page("paper/tables.html", tables=tables, states=states_of(typed(comparison)))
