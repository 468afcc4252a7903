"""Optional packages are imported, or named with what they are for."""

import pytest

from scaling_ood.optional import MissingLibraryError, library


def test_an_installed_package_is_imported():
    import json

    assert library("json", "a test") is json


def test_a_missing_one_is_named_with_its_purpose():
    message = r"^the database x needs the package no_such_package, .*: pip install -e '\.\[no_such_package\]' in the"
    with pytest.raises(MissingLibraryError, match=message):
        library("no_such_package", "the database x")


def test_a_package_that_lacks_another_one_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "needy_package.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="'no_such_package'"):
        library("needy_package", "a test")
