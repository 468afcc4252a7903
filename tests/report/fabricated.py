"""Fabricated scores, results, examples and a whole report, as reporting would hand them over."""

import numpy as np
import pandas as pd
from scaling_ood.records import METRICS, RESULT_COLUMNS

from scaling_ood.metrics import detection_metrics, tied_with_best
from scaling_ood.report import Example

DETECTORS = {"msp": 0.9, "max_logit": 1.25, "energy": 1.28, "logit_avg": 0.2, "kl_matching": 0.95}
"""Detector to how far its OOD scores lie from the in-distribution ones."""

OOD_SETS = {
    "tiny_imagenet_animals": ("photographs", 0.9, 472),
    "raccoons": ("photographs", 1.6, 96),
    "camvid": ("photographs", 2.1, 101),
    "gaussian": ("noise", 3.4, 250),
    "rademacher": ("noise", 4.0, 250),
    "blobs": ("noise", 1.2, 250),
}
"""OOD set to its source, its distance and its number of images."""

KL_GAP = "not applicable: too few fit images (2.1 per class, 5 needed)"


def scores(detectors=DETECTORS, ood_sets=OOD_SETS, n_in=600, seed=0):
    """Correlated scores: the same images are hard for every detector."""
    rng = np.random.default_rng(seed)
    sets = {"test": (n_in, 0.0), **{name: (n, distance) for name, (_, distance, n) in ood_sets.items()}}
    names = np.concatenate([[name] * n for name, (n, _) in sets.items()])
    distance = np.concatenate([np.full(n, distance) for n, distance in sets.values()])
    common = rng.normal(size=len(names))
    return {
        detector: pd.DataFrame(
            {"image_set": names, "score": power * distance + common + 0.25 * rng.normal(size=len(names))}
        )
        for detector, power in detectors.items()
    }


def results(frames=None, ood_sets=OOD_SETS, positive_class="ood", seeds=1, **extra):
    """The results table that belongs to the scores, with marks of ties, and means."""
    frames = scores(ood_sets=ood_sets) if frames is None else frames
    rows = []
    for name, (source, _, n_out) in ood_sets.items():
        parts = [frame[frame["image_set"].isin(["test", name])] for frame in frames.values()]
        is_ood = (parts[0]["image_set"] == name).to_numpy()
        stacked = np.stack([part["score"].to_numpy() for part in parts])
        if positive_class == "in_dist":
            stacked, is_ood = -stacked, ~is_ood
        values = [detection_metrics(row, is_ood) for row in stacked]
        ties = {
            "auroc": tied_with_best(stacked, is_ood),
            # The real test is too slow for tables by the dozen.
            "fpr95": [value.fpr <= min(other.fpr for other in values) + 0.03 for value in values],
            "aupr": [value.aupr >= max(other.aupr for other in values) - 0.03 for value in values],
        }
        for index, detector in enumerate(frames):
            rows.append(
                {
                    "ood_set": name,
                    "detector": detector,
                    "n_in": int((parts[0]["image_set"] == "test").sum()),
                    "n_out": n_out,
                    "base_rate": is_ood.mean(),
                    "auroc": values[index].auroc,
                    "aupr": values[index].aupr,
                    "fpr95": values[index].fpr,
                    **{f"{metric}_tied": bool(tied[index]) for metric, tied in ties.items()},
                    "distinct_scores": is_ood.size,
                    "ood_source": source,
                    "noise_range": "pixel" if source == "noise" else None,
                }
            )
    frame = pd.DataFrame(rows)
    frame = pd.concat([frame, *(_means(frame, source) for source in (None, "photographs", "noise"))])
    for metric in METRICS:
        frame[f"{metric}_sd"] = 0.004 if seeds > 1 else np.nan
        # Narrower towards 0 and 1, longer towards 0.5, and never outside.
        half = 2 * np.sqrt(frame[metric] * (1 - frame[metric]) / 300)
        lean = 1 + 0.4 * (0.5 - frame[metric])
        frame[f"{metric}_low"] = (frame[metric] - half / lean).clip(0, 1)
        frame[f"{metric}_high"] = (frame[metric] + half * lean).clip(0, 1)
    constants = {
        "benchmark": "tiny_imagenet",
        "setting": "multi_class",
        "in_dist": "tiny_imagenet_objects",
        "positive_class": positive_class,
        "aggregation": "pooled",
        "seeds": seeds,
        "fpr_rule": "nearest",
        "model": "efficientnet_lite0_linear",
        "network": "classifier",
        "targets": "classes",
        **extra,
    }
    columns = dict.fromkeys([*RESULT_COLUMNS, "network", "targets"])
    return frame.assign(**constants).reindex(columns=list(columns)).reset_index(drop=True)


def _means(frame, source):
    """Rows of means over the sets of one source, or over all."""
    part = frame if source is None else frame[frame["ood_source"] == source]
    means = part.groupby("detector", sort=False)[list(METRICS)].mean().reset_index()
    name = "mean" if source is None else f"mean_{source}"
    return means.assign(ood_set=name, mean_of=";".join(dict.fromkeys(part["ood_set"])))


def gap_rows(table, detector, reason):
    """Rows of a detector without a number, one per OOD set and mean of the table."""
    rows = table.drop_duplicates("ood_set").copy()
    numbers = [column for column in RESULT_COLUMNS if column.startswith(METRICS)]
    return rows.assign(detector=detector, gap=reason, distinct_scores=None, **dict.fromkeys(numbers))


def granularity():
    """Metrics and dispersal: fine classes cost MSP more than MaxLogit; the coarse ones have no groups."""
    aurocs = {
        ("classes", "msp"): 0.622, ("classes", "grouped_msp"): 0.744, ("classes", "max_logit"): 0.679,
        ("classes", "kl_matching"): 0.641, ("coarse", "msp"): 0.750, ("coarse", "max_logit"): 0.702,
        ("coarse", "kl_matching"): 0.733, ("coarse", "grouped_msp"): np.nan,
    }  # fmt: skip
    metrics = [
        {"targets": targets, "detector": detector, "ood_set": ood_set, "auroc": auroc + shift,
         "fpr95": 1.2 - auroc - shift, "aupr": auroc + shift - 0.05}
        for ood_set, shift in (("unseen_families", 0.0), ("rademacher", 0.15))
        for (targets, detector), auroc in aurocs.items()
    ]  # fmt: skip
    masses = {"test": (0.19, 0.03), "unseen_families": (0.22, 0.06), "rademacher": (0.11, 0.04)}
    dispersal = [
        {"targets": targets, "image_set": name, "dispersal": value}
        for name, values in masses.items()
        for targets, value in zip(("classes", "coarse"), values, strict=True)
    ]
    return pd.DataFrame(metrics), pd.DataFrame(dispersal)


def example(image=None, true_class="red_fox"):
    """An image whose probability is spread over foxes."""
    if image is None:
        image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    families = {"red_fox": "canids", "kit_fox": "canids", "grey_fox": "canids", "coyote": "canids", "lynx": "felids"}
    return Example(
        image=image,
        true_class=true_class,
        top_probabilities=[("kit_fox", 0.31), ("red_fox", 0.27), ("grey_fox", 0.19), ("coyote", 0.08), ("lynx", 0.03)],
        top_logits=[("kit_fox", 11.2), ("red_fox", 11.06), ("grey_fox", 10.7), ("coyote", 9.8), ("lynx", 8.9)],
        rank="lowest 2 %",
        groups=families,
    )
