"""What a network reaches that knows nothing."""

from __future__ import annotations

ONE_IN = 1000
"""Of networks that know nothing one in so many is above the bound."""


def chance_bound(level: float, judged: int) -> float:
    """What a quality must exceed to be more than chance: the upper quantile of a binomial share.

    Args:
        level: Quality of a network that knows nothing, a fraction. Of top-1 accuracy the share of the commonest class,
            which always saying that one gets; of mAP the mean share of images that show a class, which an order by
            chance gets; of mIoU the share of the commonest class over the number of classes, which calling every pixel
            that one gets.
        judged: How many answers: images, images times classes for mAP, pixels.

    >>> chance_bound(0.001, 1000)
    0.005
    """
    from scipy import stats  # takes longer to import than most commands take

    return float(stats.binom.isf(1 / ONE_IN, judged, level)) / judged
