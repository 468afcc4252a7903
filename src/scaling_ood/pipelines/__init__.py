"""The four stages, one Kedro pipeline each."""
