"""MLflow around a `kedro run`: where the store is, what the parent run says, what a killed run leaves behind."""
