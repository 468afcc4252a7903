"""`python -m scaling_ood`: the `kedro run` of an installed package, in any folder.

What is stored lies in that folder; `--conf-source` names the configuration, a folder or the archive of `kedro package`.
"""

import os
from pathlib import Path

# Before Kedro is imported, which else logs in a way of its own.
os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(Path(__file__).with_name("logging.yml")))


def main() -> None:
    """Run it."""
    from kedro.framework.project import configure_project

    configure_project("scaling_ood")
    from scaling_ood.cli import run
    from scaling_ood.session import PACKAGED

    run(prog_name=PACKAGED)


if __name__ == "__main__":
    main()
