# From the lock; docs/running.md says how to run it.
FROM python:3.11-slim

WORKDIR /project
ENV DO_NOT_TRACK=1 MLFLOW_DISABLE_TELEMETRY=true PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Packages first: they change less often than the code.
COPY requirements.lock ./
RUN pip install --requirement requirements.lock

COPY pyproject.toml README.md LICENSE .telemetry ./
COPY conf conf
COPY src src
RUN pip install --no-deps --no-build-isolation --editable .

# What runs leave lies outside.
ENV MLFLOW_TRACKING_URI=sqlite:////project/store/mlflow.db
VOLUME ["/project/data", "/project/store"]

ENTRYPOINT ["kedro", "run"]
