"""A detector in production: packaged by a run, served by MLflow, asked by strangers."""

import base64
import io
import json
import re
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from kedro_project import SETTINGS, Project, as_if_alone
from serving_process import TOOLS, served

from scaling_ood.products.packages import read_package

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DETECTOR = {"multi_class": "mahalanobis", "multi_label": "isolation_forest", "segmentation": "max_logit"}
PRODUCTION = (ROOT / "docs/production.md").read_text("utf-8")


@pytest.fixture(scope="module")
def packaged(finished, tmp_path_factory) -> Project:
    """The finished project, after its detectors were packaged."""
    project = finished.twin(tmp_path_factory.mktemp("packaged") / "project")
    told = project.run("--pipelines", "packaging").output
    for setting in SETTINGS:
        assert f"Registered models:/scaling-ood-test-{setting}/1" in told
    return project


def folder_of(project, setting):
    return project.product("06_models/*/package", setting)


def rows_of(project, setting, image_set="test"):
    rows = project.manifest(setting)
    return rows[rows["image_set"] == image_set]


def images_of(project, setting, image_set="test"):
    """Test images in Base64, in the order of the manifest."""
    places = project.preparation(setting)["places"]
    rows = rows_of(project, setting, image_set)
    folders = rows["data_set"].map({name: place["folder"] for name, place in places.items()})
    raw = project.product("01_raw/*", setting)
    files = [raw / folder / path for folder, path in zip(folders, rows["path"], strict=True)]
    return [base64.b64encode(file.read_bytes()).decode() for file in files]


def stored_scores(project, setting, image_set="test"):
    frame = pd.read_parquet(project.product(f"07_model_output/*/scores/{DETECTOR[setting]}/frame.parquet", setting))
    return frame.loc[frame["image_set"] == image_set, "score"].to_numpy()


def test_a_model_is_registered_with_its_table_its_threshold_and_what_it_needs(packaged):
    client = mlflow.MlflowClient(f"sqlite:///{packaged.path}/mlflow.db")
    for setting in SETTINGS:
        (found,) = client.search_model_versions(f"name = 'scaling-ood-test-{setting}'")
        assert found.tags["detector"] == DETECTOR[setting]
        assert found.description.startswith("```\n")
        assert DETECTOR[setting] in found.description
        with as_if_alone(packaged.path):
            model = mlflow.models.get_model_info(str(folder_of(packaged, setting)))
        assert model.metadata["threshold"]["false_alarm_rate"] == float(found.tags["false_alarm_rate"])
        assert model.signature.inputs.input_names() == ["image", "path"]
        (run,) = packaged.tracked(f"tags.kind = 'package' and tags.setting = '{setting}'")
        assert [each.path for each in client.list_artifacts(run.info.run_id, "tables")] == ["tables/results.csv"]
        record = json.loads(packaged.product("06_models/*/package.json", setting).read_text())
        assert (record["name"], record["uri"]) == (found.name, f"models:/{found.name}/1")


def test_the_model_is_data_and_one_line_that_imports_the_package(packaged):
    for setting in SETTINGS:
        folder = folder_of(packaged, setting)
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        data = {f"artifacts/package/{name}" for name in ("package.json", "results.csv")}
        tensors = {f"artifacts/package/{name}.safetensors" for name in ("network", "learned")}
        assert data | tensors | {"loader.py"} <= files
        assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt", ".pth"))]
        assert "python_model" not in (folder / "MLmodel").read_text()
        needed = (folder / "requirements.txt").read_text().splitlines()
        assert needed[0] == "scaling-ood==0.1.0"
        assert {"mlflow", "torch", "pillow"} <= {each.split("==")[0] for each in needed}
        table = read_package(folder / "artifacts/package").results
        assert set(table["detector"]) == {DETECTOR[setting]}
        assert table["tpr_at_5_fpr"].notna().all()


def test_mlflow_serves_it_and_the_scores_are_the_pipelines(packaged):
    command = (f"{TOOLS}/mlflow", "models", "serve", "-m", "models:/scaling-ood-test-multi_class/1")
    with served(*command, "--env-manager", "local", "-p", "{port}", cwd=packaged.path) as server:
        for image_set in ("test", "aquatica"):
            images = images_of(packaged, "multi_class", image_set)
            answers = [each for start in (0, 50) for each in server.scores(images[start : start + 50] or images[:1])]
            scores = [each["score"] for each in answers][: len(images)]
            np.testing.assert_allclose(scores, stored_scores(packaged, "multi_class", image_set), rtol=1e-5)
        known = {*packaged.preparation()["classes"]}
        assert {each["class"] for each in answers} <= known
        for body in (b"{", b"null", {"dataframe_records": [{"image": "http://127.0.0.1/a.png"}]}, {"inputs": ["a"]}):
            assert server.ask(body)[0] == 400
        assert server.ask(b"image\nabc", "text/csv")[0] == 400
        assert server.ask(b"<a/>", "application/xml")[0] == 415
        assert server.ask({"dataframe_records": [{"path": "/etc/passwd"}]})[0] == 400
        assert len(server.scores(images[:2])) == 2


def test_the_guarded_server_also_refuses_what_is_too_large_or_too_deep(packaged):
    model = str(folder_of(packaged, "multi_label"))
    command = (sys.executable, "-m", "scaling_ood.serving", model, "--port", "{port}", "--most-megabytes", "5")
    root = packaged.product("01_raw/*", "multi_label")
    with served(*command, cwd=packaged.path, SCALING_OOD_IMAGE_ROOT=str(root)) as server:
        images = images_of(packaged, "multi_label")
        answers = server.scores(images)
        np.testing.assert_allclose([e["score"] for e in answers], stored_scores(packaged, "multi_label"), rtol=1e-5)
        assert all(isinstance(each["classes"], list) for each in answers)
        assert server.ask(b"x" * 6_000_000)[0] == 413
        assert server.ask(b"[" * 200_000)[0] == 400
        row = rows_of(packaged, "multi_label").iloc[0]
        folder = packaged.preparation("multi_label")["places"][row["data_set"]]["folder"]
        status, content = server.ask({"dataframe_records": [{"path": f"{folder}/{row['path']}"}]})
        assert (status, content["predictions"][0]["score"]) == (200, pytest.approx(answers[0]["score"]))
        assert server.ask({"dataframe_records": [{"path": "../../../../conf/base/catalog.yml"}]})[0] == 400
        assert len(server.scores(images)) == len(images)


def test_scenes_get_a_map(packaged):
    with as_if_alone(packaged.path):
        model = mlflow.pyfunc.load_model(str(folder_of(packaged, "segmentation")))
        images = images_of(packaged, "segmentation")
        answers = model.predict(pd.DataFrame({"image": images}))
    assert list(answers.columns) == ["score", "is_anomaly", "map"]
    threshold = model.metadata.metadata["threshold"]
    for text, share in zip(answers["map"], answers["score"], strict=True):
        shown = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
        assert shown.shape == (48, 80)
        assert np.mean(shown > threshold["pixel_threshold"]) == share


def test_the_clients_of_the_guide_work(packaged, tmp_path, monkeypatch, capsys):
    (tmp_path / "photo.jpg").write_bytes(base64.b64decode(images_of(packaged, "multi_class")[0]))
    monkeypatch.chdir(tmp_path)
    asking, opening = re.findall(r"^```python\n(.*?)^```", PRODUCTION, re.MULTILINE | re.DOTALL)
    model = folder_of(packaged, "multi_class")
    with served(
        sys.executable, "-m", "scaling_ood.serving", str(model), "--port", "{port}", cwd=packaged.path
    ) as server:
        exec(asking.replace("5001", str(server.port)), {})
    shown = capsys.readouterr().out
    score = stored_scores(packaged, "multi_class")[0]
    assert float(re.search(r"'score': ([\d.e+-]+)", shown)[1]) == pytest.approx(score, rel=1e-5)
    namespace = {}
    with as_if_alone(packaged.path):
        opening = re.sub(r'"data/06_models/[^"]*"', repr(str(model)), opening)
        exec(opening.replace("photo.jpg", f"{tmp_path}/photo.jpg"), namespace)
    assert namespace["answers"]["score"].item() == pytest.approx(score, rel=1e-5)


def test_what_is_missing_or_has_no_meaning_is_told_before_or_in_words(packaged, tmp_path):
    project = packaged.twin(tmp_path / "project")
    given = "multi_class.packaging.detector=vim"
    project.kedro("run", "--pipelines", "packaging", "--namespaces", "multi_class", "--params", given).refused(
        "the detector vim cannot be packaged: not applicable", "multi_class.packaging.detector"
    )
    given = "multi_class.packaging.false_alarm_rate=0.001"
    project.kedro("run", "--pipelines", "packaging", "--namespaces", "multi_class", "--params", given).refused(
        "0.10% false alarms takes at least 999 in-distribution scores, and there are 72"
    )
    (project.product("07_model_output/*/scores/mahalanobis") / "record.json").unlink()
    project.kedro("run", "--pipelines", "packaging").refused(
        "Some inputs are missing; nothing was run", "kedro run --to-outputs multi_class.mahalanobis.scores"
    )
