"""Out-of-distribution detection at real-world scale, as a Kedro project."""

__version__ = "0.1.0"
