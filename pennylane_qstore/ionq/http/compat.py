"""The client's private hook of CPython, apart from the package's: those import PennyLane.

A process that only sends jobs starts without PennyLane, which takes a second to import.
"""

from __future__ import annotations

import ctypes
from typing import Any


def keep_forever(thing: Any) -> None:
    """Keep an object from being destroyed, whatever happens to its references.

    A forked child inherits the parent's sockets and selector. Destroying its copies would
    take the sockets out of the selector that the parent still uses. Read in CPython 3.11 to 3.13.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
