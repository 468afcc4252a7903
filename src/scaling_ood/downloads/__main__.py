"""Entry point of `python -m scaling_ood.downloads`."""

from scaling_ood.downloads.cli import main
from scaling_ood.terminal import print_in_any_locale

if __name__ == "__main__":
    print_in_any_locale()
    main(prog_name="python -m scaling_ood.downloads")
