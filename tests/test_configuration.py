"""Configuration that would fill the memory is refused before any of it is made; all other files are read as ever."""

import tarfile
import time
from pathlib import Path

import click
import pytest
from environments import BENCHMARKS

from scaling_ood import settings
from scaling_ood.configuration import MOST_COPIES, ConfigLoader, what_swells

PROJECT = Path(__file__).parents[1]


def laughs(levels: int, times: int = 10) -> str:
    """Lists of lists of ..., 10^levels values in as many lines."""
    lines = ["a0: &a0 [1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * times)}]" for n in range(1, levels + 1)]
    return "\n".join(lines)


def loader(folder: Path, env: str = "mine") -> ConfigLoader:
    return ConfigLoader(str(folder), env, **settings.CONFIG_LOADER_ARGS)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for env in ("base", "mine", "local"):
        (tmp_path / env).mkdir()
    (tmp_path / "base/parameters.yml").write_text("shared: &shared {epochs: 3}\nfirst: *shared\nsecond: *shared\n")
    return tmp_path


@pytest.mark.parametrize("name", ["parameters.yml", "globals.yml", "catalog/more.yaml", "mlflow.yml"])
def test_nested_anchors_are_refused_in_a_second_by_file_and_number(conf: Path, name: str) -> None:
    path = conf / "mine" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(laughs(8))
    started = time.perf_counter()
    with pytest.raises(click.ClickException, match=r"nothing was run") as caught:
        loader(conf)
    assert time.perf_counter() - started < 1
    assert f"- {path}: its anchors make 2" in caught.value.message
    assert f"of which {MOST_COPIES:,} are allowed" in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a {b: *a}", "the anchor 'a' holds itself"),
        ("a: " + "[" * 5000 + "]" * 5000, "more than 100 levels"),
        (
            "base: &b\n" + "\n".join(f"  k{n}: {n}" for n in range(1000)) + "\nall:\n" + "  - {<<: *b}\n" * 200,
            "make 402,605 values",
        ),
    ],
)
def test_other_files_that_swell(text: str, message: str) -> None:
    assert message in what_swells(text.encode())


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "a: &a [1, 2]\nb: *a\nc: {<<: *a}", "a: [", "\tb", "[" + "1, " * 200_000 + "1]", laughs(4)],
    ids=["nothing", "plain", "a few", "cut", "tab", "long, without anchors", "20,000"],
)
def test_other_files_are_left_to_the_reader(text: str) -> None:
    assert what_swells(text.encode()) == ""


@pytest.mark.parametrize("name", ["parameters.yml", "globals.yml", "catalog.yml"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a:\n\tb: 1\n", "cannot start any token"),
        (b"a: 1\na: 2\n", "duplicate key a"),
        ("a: \xfc\n".encode("latin1"), "'utf-8' codec"),
        (b"- a\n- b\n", "it is a list"),
        (b"a: !!python/object/apply:os.mkdir ['ran']\n", "os.mkdir"),
        (b"a: 1\n---\nb: 2\n", "single document"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(conf: Path, name: str, content: bytes, message: str) -> None:
    (conf / "mine" / name).write_bytes(content)
    with pytest.raises(click.ClickException, match=r"nothing was run") as caught:
        loader(conf)[name.removesuffix(".yml")]
    assert f"- {conf / 'mine' / name}: " in caught.value.message
    assert message in caught.value.message
    assert len(caught.value.message.splitlines()) == 2


@pytest.mark.parametrize(("content", "message"), [("a: ${b}\nb: ${a}\n", "Recursive"), ("a: ${b}\n", "'b' not found")])
def test_a_value_that_refers_to_nothing_or_to_itself_is_named(conf: Path, content: str, message: str) -> None:
    (conf / "mine/parameters.yml").write_text(content)
    with pytest.raises(click.ClickException, match=rf"- parameters: .*{message}.*full_key: a"):
        loader(conf)["parameters"]


def test_an_unknown_environment_is_told_with_the_nearest(conf: Path) -> None:
    with pytest.raises(click.ClickException, match=r"--env mien: no such .*'mine'\? \(known: base, local, mine\)"):
        loader(conf, "mien")


def test_what_is_read_is_what_kedro_reads(conf: Path) -> None:
    assert loader(conf)["parameters"]["second"] == {"epochs": 3}


def test_the_project_reads_its_own_files_through_it() -> None:
    assert settings.CONFIG_LOADER_CLASS is ConfigLoader
    for env in ("base", *BENCHMARKS):
        ConfigLoader(str(PROJECT / "conf"), env, **settings.CONFIG_LOADER_ARGS)


def test_tags_of_python_build_nothing(conf: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    (conf / "mine/parameters.yml").write_text(f"a: !!python/object/apply:os.mkdir ['{trace}']")
    with pytest.raises(Exception, match=r"could not determine a constructor"):
        loader(conf)["parameters"]
    assert not trace.exists()


@pytest.mark.parametrize("stated", ["", "benchmark: another\n"])
def test_a_benchmarks_id_is_the_name_of_its_folder_whatever_its_files_say(conf: Path, stated: str) -> None:
    (conf / "base/globals.yml").write_text("benchmark: base\n")
    (conf / "mine/globals.yml").write_text(f"more: 1\n{stated}")
    (conf / "mine/parameters.yml").write_text("id: ${globals:benchmark}\n")
    assert loader(conf)["parameters"]["id"] == "mine"


def test_what_two_loaders_read_does_not_mix(conf: Path) -> None:
    (conf / "base/globals.yml").write_text("benchmark: base\n")
    (conf / "base/parameters.yml").write_text("id: ${globals:benchmark}\n")
    (conf / "other").mkdir()
    mine, other = loader(conf), loader(conf, "other")
    assert [each["parameters"]["id"] for each in (mine, other, mine)] == ["mine", "other", "mine"]


def archived(folder: Path) -> Path:
    place = folder.parent / "conf.tar.gz"
    with tarfile.open(place, "w:gz") as archive:
        archive.add(folder, "conf")
    return place


def test_an_archive_is_read_and_checked_as_its_folder_is(conf: Path) -> None:
    (conf / "mine/parameters.yml").write_text("second: 2\n")
    assert loader(archived(conf))["parameters"] == loader(conf)["parameters"]
    (conf / "mine/parameters.yml").write_text(laughs(8))
    with pytest.raises(click.ClickException, match=r"- conf/mine/parameters.yml: its anchors make 2"):
        loader(archived(conf))


def test_an_environment_that_an_archive_lacks_is_told_with_the_nearest(conf: Path) -> None:
    with pytest.raises(click.ClickException, match=r"--env mien: no such folder in .*; did you mean 'mine'\?"):
        loader(archived(conf), "mien")


def test_where_there_is_no_configuration_the_option_that_names_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"it has no folder 'base'; name the configuration.*--conf-source"):
        loader(tmp_path / "conf")
