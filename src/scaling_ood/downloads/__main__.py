"""Entry point of `python -m scaling_ood.downloads`."""

from scaling_ood.downloads.cli import main

if __name__ == "__main__":
    main(prog_name="python -m scaling_ood.downloads")
