"""A plugin for pytest that hides Numba: ``-p support.without_numba``."""

import sys

sys.modules["numba"] = None  # type: ignore[assignment]
