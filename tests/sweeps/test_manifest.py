"""The file of a sweep: goes on when asked, is replaced when asked, else is left alone."""

from __future__ import annotations

import pytest

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.sweeps.manifest import Manifest


def test_a_sweep_goes_on_or_is_replaced_as_asked(tmp_path):
    first = Manifest(tmp_path / "new", None)
    first.pruned.add("seed-1")
    first.save()
    again = Manifest(tmp_path / "new", True)
    assert (again.account, again.pruned) == (first.account, {"seed-1"})
    other = Manifest(tmp_path / "new", False)
    assert other.account != first.account
    assert other.pruned == set()
    with pytest.raises(ConfigurationError, match="--resume"):
        Manifest(tmp_path / "new", None)


def test_without_a_folder_nothing_is_kept(tmp_path):
    Manifest(None, None).save()
    assert Manifest(None, True).account != Manifest(None, True).account


@pytest.mark.parametrize("text", ["{", "[]", '{"account": "a"}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ConfigurationError, match="damaged"):
        Manifest(tmp_path, True)
