"""Code that Numba compiles, where it is installed (the extra ``fast``) and its import has paid.

Without it everything works: whoever asks for a compiled module has another way.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

_IMPORT_S = 0.4
"""Seconds that Numba's import takes, about."""
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""Options of all compiled functions."""
_saved: dict[str, float] = {}
_lock = threading.Lock()  # of Numba's setting


@cache
def load(name: str) -> ModuleType | None:
    """Return a module of this package that needs Numba.

    Args:
        name: of the module, without the package's.

    Returns:
        The module; ``None`` where Numba is not installed, or told not to compile.
    """
    try:
        from numba import config

        return None if config.DISABLE_JIT else import_module(f"pennylane_qstore.{name}")
    except ImportError:
        return None


def pays(work: str, seconds: float) -> bool:
    """Return whether work like that of this process so far is worth the import of Numba.

    Args:
        work: its kind; each has to be worth the import.
        seconds: that compiled code would save now, about. An estimate from the size of the work,
            not measured, so that a process that starts again decides as before.

    Returns:
        True where it is.
    """
    _saved[work] = _saved.get(work, 0.0) + seconds
    return _saved[work] >= _IMPORT_S


def kept(function: Any, **options: Any) -> Any:
    """Compile a function, once for all processes of a user: its code is kept in a cache folder.

    By default it would be kept beside its file, which may be read-only or another user's.

    Args:
        function: of numbers and arrays.
        options: of Numba, beside :data:`OPTIONS`.

    Returns:
        The compiled function.
    """
    from numba import config, njit
    from platformdirs import user_cache_path

    with _lock:
        chosen = config.CACHE_DIR
        config.CACHE_DIR = chosen or str(user_cache_path("pennylane-qstore"))
        try:
            compiled = njit(cache=True, **OPTIONS, **options)(function)
            for file in Path(compiled.stats.cache_path).glob("*.nb?"):
                if not file.stat().st_size:  # a power cut leaves such files; Numba would fail
                    file.unlink(missing_ok=True)
        except (RuntimeError, OSError):  # no folder can be written to: every process compiles it
            compiled = njit(**OPTIONS, **options)(function)
        finally:
            config.CACHE_DIR = chosen
    return compiled
