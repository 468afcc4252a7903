"""Compare two `results.csv` number by number: `python benchmarks/compare_results.py OLD NEW [--within]`.

Prints the columns and detectors whose numbers differ by more than 1e-9. With `--within`, which of the new values lie
outside the old one's interval: for networks whose training draws chance in another order.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

KEYS = ["ood_set", "detector", "positive_class", "aggregation"]
METRICS = ("fpr95", "auroc", "aupr")
TOLERANCE = 1e-9


def read(path: str) -> pd.DataFrame:
    """A table by its keys; texts that are empty are empty texts."""
    return pd.read_csv(path).set_index(KEYS).sort_index()


def differing(old: pd.Series, new: pd.Series) -> pd.Series:
    """Where two columns differ."""
    if pd.api.types.is_numeric_dtype(old) and pd.api.types.is_numeric_dtype(new):
        same = np.isclose(old.astype(float), new.astype(float), rtol=0, atol=TOLERANCE, equal_nan=True)
        return pd.Series(~same, old.index)
    return old.fillna("").astype(str) != new.fillna("").astype(str)


def main(old_path: str, new_path: str, *, within: bool) -> int:
    """The number of columns that differ."""
    old, new = read(old_path), read(new_path)
    gone, added = (
        sorted(set(a.index.get_level_values("detector")) - set(b.index.get_level_values("detector")))
        for a, b in ((old, new), (new, old))
    )
    print(f"{len(old)} rows, {len(new)} rows; gone: {gone}; new: {added}")
    shared = old.index.intersection(new.index)
    columns = [name for name in old.columns if name in new.columns and name not in ("benchmark", "setting", "model")]
    found = 0
    for name in columns:
        rows = differing(old.loc[shared, name], new.loc[shared, name])
        if rows.any():
            found += 1
            detectors = sorted(set(shared[rows.to_numpy()].get_level_values("detector")))
            print(f"  {name}: {int(rows.sum())} rows differ, of {', '.join(detectors)}")
    for metric in METRICS if within else ():
        values, low, high = new.loc[shared, metric], old.loc[shared, f"{metric}_low"], old.loc[shared, f"{metric}_high"]
        outside = shared[((values < low) | (values > high)).to_numpy()]
        print(f"  {metric}: {len(outside)} of {len(shared)} new values outside the old interval {list(outside)[:5]}")
    print("all equal" if not found else f"{found} columns differ")
    return found


if __name__ == "__main__":
    arguments = [each for each in sys.argv[1:] if each != "--within"]
    sys.exit(bool(main(*arguments, within="--within" in sys.argv)))
