"""The command: what it says, its one message, its exit codes."""

import pytest
from click.testing import CliRunner

from scaling_ood.downloads import SAMPLES, cli


@pytest.fixture
def command(monkeypatch, tmp_path):
    def run(*sources):
        monkeypatch.setattr(cli, "SAMPLES", sources)
        return CliRunner().invoke(cli.main, ["samples", str(tmp_path / "data")])

    return run


def test_terms_come_first_and_the_counts_follow(command, source):
    result = command(source)
    assert result.exit_code == 0
    assert "  terms: Free for all.\n  fetched: 3 binary files\n" in result.output
    assert "kedro run --env samples" in result.output


def test_a_missing_set_is_one_message_without_a_traceback(command, source, unreachable):
    result = command(source, unreachable)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "  fetched: 3 binary files" in result.output
    assert "  failed" in result.output
    assert result.output.count("Error:") == 1
    assert "1 of 2 sets are missing" in result.output
    assert "Traceback" not in result.output


def test_a_destination_that_cannot_be_made_is_named(source, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "SAMPLES", (source,))
    (tmp_path / "file").touch()
    result = CliRunner().invoke(cli.main, ["samples", str(tmp_path / "file" / "data")])
    assert result.exit_code == 1
    assert str(tmp_path / "file") in result.output


def test_every_source_is_pinned_and_states_its_terms():
    assert len({source.name for source in SAMPLES}) == len(SAMPLES)
    for source in SAMPLES:
        assert source.checksum or "/archive/" in source.url or "/releases/download/" in source.url
        assert "master" not in source.url
        assert source.terms
        assert source.names
        assert all(line.count > 0 for line in source.expected)
