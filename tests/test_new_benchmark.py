"""`python -m scaling_ood.new_benchmark`: what it writes is valid as it stands, and what it refuses is left alone."""

import shutil
from pathlib import Path

import click
import own_photographs as own
import pytest
import yaml
from click.testing import CliRunner
from environments import CONF

from scaling_ood.configuration import ConfigLoader
from scaling_ood.new_benchmark import main, name_outputs
from scaling_ood.settings import CONFIG_LOADER_ARGS
from scaling_ood.structure import checked

ROOT = CONF.parent


def scenes(root: Path) -> None:
    for split in ("train", "val", "test"):
        for number in range(2):
            own.scene(root / f"photos/{split}/{number}.jpg", root / f"labels/{split}/{number}.png", split == "test")


PHOTOGRAPHS = {"multi_class": own.split_folders, "multi_label": own.coco, "segmentation": scenes}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder to run in, with nothing but the defaults of all benchmarks."""
    shutil.copytree(CONF / "base", tmp_path / "project/conf/base")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "project")
    (tmp_path / "project/src").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def command(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.mark.parametrize("setting", PHOTOGRAPHS)
def test_what_is_written_is_valid_commented_and_says_what_to_run(project, tmp_path, setting):
    PHOTOGRAPHS[setting](tmp_path / "photographs")
    done = command("mine", setting, tmp_path / "photographs")
    assert done.exit_code == 0, done.output
    assert "kedro run --env mine --pipelines data_preparation" in done.output
    text = (project / "conf/mine/parameters.yml").read_text()
    assert text.count("# ") >= 4
    assert yaml.safe_load((project / "conf/mine/globals.yml").read_text()) == {"data_root": f"{tmp_path}/photographs"}
    ((name, found),) = checked(ConfigLoader("conf", "mine", **CONFIG_LOADER_ARGS)["parameters"]).items()
    assert name == setting
    shared = found.spec.networks[found.spec.shared]
    assert "installed" in text
    assert "lite0" in shared.architecture
    assert 0 < shared.least_quality < 1


def test_a_folder_of_the_project_is_named_relative_to_it(project):
    own.split_folders(project / "data/01_raw/my photos")
    assert command("mine", "multi_class", "data/01_raw/my photos").exit_code == 0
    assert (project / "conf/mine/globals.yml").read_text() == "data_root: data/01_raw/my photos\n"


def test_configuration_may_be_elsewhere(project, tmp_path):
    own.split_folders(tmp_path / "photographs")
    (project / "conf").rename(tmp_path / "elsewhere")
    done = command("mine", "multi_class", tmp_path / "photographs", "--conf-source", tmp_path / "elsewhere")
    assert f"kedro run --env mine --conf-source {tmp_path}/elsewhere" in done.output
    assert (tmp_path / "elsewhere/mine/parameters.yml").is_file()


def test_all_that_is_wrong_with_what_is_given_is_told_at_once(project):
    done = command("my bench!", "multi_clas", "nowhere")
    assert done.exit_code == 1
    assert "NAME: benchmark 'my bench!': a name has letters, digits, _ and - alone" in done.output
    assert "SETTING: unknown setting 'multi_clas'; did you mean 'multi_class'?" in done.output
    assert "FROM: no folder nowhere" in done.output
    assert [path.name for path in (project / "conf").iterdir()] == ["base"]


def test_of_a_folder_in_a_store_a_copy_is_asked_for(project):
    done = command("mine", "multi_class", "s3://bucket/photographs")
    assert done.exit_code == 1
    assert "FROM: s3://bucket/photographs is in a store: name a copy of it on this machine" in done.output
    assert [path.name for path in (project / "conf").iterdir()] == ["base"]


@pytest.mark.parametrize(
    ("name", "told"), [("mine", "is there already, and stays as it is"), ("base", "no benchmark's")]
)
def test_what_is_there_is_never_overwritten(project, tmp_path, name, told):
    own.split_folders(tmp_path / "photographs")
    (project / "conf" / name).mkdir(exist_ok=True)
    before = {path: path.read_bytes() for path in (project / "conf").rglob("*.yml")}
    done = command(name, "multi_class", tmp_path / "photographs")
    assert done.exit_code == 1
    assert told in done.output
    assert {path: path.read_bytes() for path in (project / "conf").rglob("*.yml")} == before


def test_of_a_folder_that_does_not_tell_nothing_is_written(project, tmp_path):
    own.flat(tmp_path / "photographs")
    done = command("mine", "multi_class", tmp_path / "photographs")
    assert done.exit_code == 1
    assert "Nothing was written. which folder of" in done.output
    assert not (project / "conf/mine").exists()


def test_a_draft_that_would_not_be_valid_is_taken_back(project, tmp_path, monkeypatch):
    own.split_folders(tmp_path / "photographs")
    base = project / "conf/base/parameters.yml"
    base.write_text(base.read_text().replace("epochs: 30", "epoch: 30", 1))
    done = command("mine", "multi_class", tmp_path / "photographs")
    assert done.exit_code == 1
    assert "did you mean 'epochs'?" in done.output
    assert not (project / "conf/mine").exists()


@pytest.mark.parametrize("environment", ["own_outputs", "own_outputs_multi_label", "own_outputs_segmentation"])
def test_a_folder_of_outputs_gets_a_valid_benchmark_of_its_own(project, tmp_path, environment):
    shutil.copytree(CONF / environment, project / "conf" / environment)
    for folder, name in (("first", "mine"), ("second", "other"), ("first", "mine")):
        name_outputs(project / "conf", name, environment, tmp_path / folder)
    assert checked(ConfigLoader("conf", "mine", **CONFIG_LOADER_ARGS)["parameters"])
    assert yaml.safe_load((project / "conf/mine/globals.yml").read_text()) == {"data_root": f"{tmp_path}/first"}
    assert yaml.safe_load((project / "conf/other/globals.yml").read_text()) == {"data_root": f"{tmp_path}/second"}
    assert "#   kedro run --env mine\n" in (project / "conf/mine/parameters.yml").read_text()


@pytest.mark.parametrize(("name", "told"), [("mine", "and not of .*second; take another"), ("base", "no benchmark's")])
def test_the_name_of_another_folder_of_outputs_is_refused(project, tmp_path, name, told):
    shutil.copytree(CONF / "own_outputs", project / "conf/own_outputs")
    name_outputs(project / "conf", "mine", "own_outputs", tmp_path / "first")
    before = {path: path.read_bytes() for path in (project / "conf").rglob("*.yml")}
    with pytest.raises(click.ClickException, match=told):
        name_outputs(project / "conf", name, "own_outputs", tmp_path / "second")
    assert {path: path.read_bytes() for path in (project / "conf").rglob("*.yml")} == before
