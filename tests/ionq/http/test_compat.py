"""The client's hook of CPython; and that the client does without PennyLane."""

from __future__ import annotations

import subprocess
import sys


def test_what_is_kept_forever_is_not_destroyed():
    code = """
from pennylane_qstore.ionq.http import compat
class Loud:
    def __del__(self):
        print("destroyed")
kept, dropped = Loud(), Loud()
compat.keep_forever(kept)
del kept
del dropped
"""
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "destroyed\n"


def test_the_client_imports_no_pennylane():
    code = """
import importlib.util, sys, types
package = types.ModuleType("pennylane_qstore")
package.__path__ = importlib.util.find_spec("pennylane_qstore").submodule_search_locations
sys.modules["pennylane_qstore"] = package  # without its __init__, which is the device's
import pennylane_qstore.ionq.client
print([m for m in ("pennylane", "autograd", "autoray") if m in sys.modules])
"""
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"
