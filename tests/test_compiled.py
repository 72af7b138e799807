"""Compiled code is loaded where Numba is, once it pays, and kept between processes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import platformdirs
import pytest

from pennylane_qstore import compiled

needs_numba = pytest.mark.skipif(compiled.load("text_kernel") is None, reason="needs Numba")


def test_without_numba_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "pennylane_qstore.text_kernel", raising=False)
    assert compiled.load.__wrapped__("text_kernel") is None


@needs_numba
def test_where_numba_is_told_not_to_compile_nothing_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert compiled.load.__wrapped__("text_kernel") is None


def test_what_is_saved_adds_up_until_the_import_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_IMPORT_S", 0.4)
    monkeypatch.setattr(compiled, "_saved", {})
    assert not compiled.pays("engine", 0.3)  # another kind
    assert [compiled.pays("text", seconds) for seconds in (0.1, 0.2, 0.15, 0.0)] == [
        False,
        False,
        True,
        True,
    ]


@needs_numba
@pytest.mark.parametrize("home", ["folder", "file"])
def test_compiled_code_is_kept_in_the_cache_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    import numba

    source, cache = tmp_path / "double.py", tmp_path / "cache"
    source.write_text("def double(number):\n    return 2 * number\n")
    (tmp_path / "__pycache__").write_text("nothing can be written here")
    if home == "file":
        cache.write_text("nor here")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: cache / name)
    kernel = compiled.load("text_kernel")
    numbas = type(kernel.read._cache._impl)  # type: ignore[union-attr]
    monkeypatch.setattr(numbas, "_locator_classes", numbas._locator_classes[:2])  # not the home's
    spec = importlib.util.spec_from_file_location("double", source)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    double = compiled.kept(module.double)
    assert double(2) == 4
    kept_in = double.stats.cache_path
    if home == "file":  # every process compiles it
        assert kept_in is None
    else:
        assert Path(kept_in).is_relative_to(cache / "pennylane-qstore")
        files = list(Path(kept_in).glob("double*"))
        assert files
        for file in files:
            file.write_bytes(b"")  # what a power cut leaves
        assert compiled.kept(module.double)(3) == 6
    assert not numba.config.CACHE_DIR
