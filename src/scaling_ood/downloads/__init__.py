"""Fetches public photographs from their hosts: `python -m scaling_ood.downloads samples`, and `… paper`.

How an archive is verified, strongest first:

- Where a checksum is published and widely confirmed, it is demanded (Tiny-ImageNet, Places365, DTD, CIFAR-10).
- The other sources are GitHub archives of a pinned commit or a release asset that its owners promise to leave alone.
  Nobody publishes their checksums and none was known when this was written, so none is claimed. The CRC of every file
  is checked, the number of files of every kind is compared with what is expected, and the names of all files are
  compared, through their SHA-256, with a known listing. LSUN has neither a pinned address nor a checksum.
- The SHA-256 of each archive is written to `downloads.lock.json` beside the data at its first download ("trust on first
  use") and demanded afterwards, together with a SHA-256 over the unpacked files, so that later changes are noticed.
"""

from scaling_ood.downloads.by_hand import BY_HAND, ByHand
from scaling_ood.downloads.fetching import fetch, fetch_all
from scaling_ood.downloads.paper import PAPER
from scaling_ood.downloads.samples import SAMPLES
from scaling_ood.downloads.source import DownloadError, Expected, Source

__all__ = ["BY_HAND", "PAPER", "SAMPLES", "ByHand", "DownloadError", "Expected", "Source", "fetch", "fetch_all"]
