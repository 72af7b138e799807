"""Skips that are left in CI: printed with their reasons, and refused where no reason is known.

With ``CI`` set, as ``.ci/run`` is called, a run whose skips are not all in :data:`ALLOWED` fails.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections import Counter
from collections.abc import Callable

import pytest

_MISSING = re.compile(r"could not import '([\w.]+)'")

LATER_STAGES = frozenset(
    {"torch", "jax", "pandas", "ipykernel", "jupyter_client"}
    | {"braket", "pennylane_ionq", "qiskit_ionq"}
    | {"tensorboard", "mlflow", "wandb"}
)
"""Modules that the first stage of CI does not install; the tests that want them run in a later
one, where they are importable, so that this reason cannot come up any more."""

ALLOWED: dict[str, str] = {
    "PennyLane's own gradients do not do this": "a case of a table that the rival cannot run",
    r"(qiskit|cirq|pytket|bqskit).* is not installed": "a later stage of CI installs the rivals",
    r"no Python .* on this machine": "the next PennyLane wants a newer Python than CI has",
    "SCIPY_ARRAY_API is not set": "scikit-learn's check of other array libraries, which none has",
    "needs Numba": "a stage of CI hides it, for what runs without",
    "mpi4py and mpirun are not installed": "an MPI library is the machine's, and CI installs none",
    "Chromium and chromedriver are not installed": "CI installs both where apt-get is to be had",
}
"""Patterns of other reasons, and why they stand."""


def is_allowed(reason: str, installed: Callable[[str], bool]) -> bool:
    """Return True for a skip that CI may leave.

    Args:
        reason: as pytest prints it.
        installed: tells if a module can be imported.

    Returns:
        False where the reason is unknown, or names a module that is there or never will be.
    """
    missing = _MISSING.search(reason)
    if missing:
        module = missing[1].split(".")[0]
        return module in LATER_STAGES and not installed(module)
    return any(re.search(pattern, reason) for pattern in ALLOWED)


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every reason and how often it came; fail a CI run that has an unknown one."""
    if not os.environ.get("CI"):
        return
    reasons = Counter(
        str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    )
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count:4d}  {reason}")
    unknown = [reason for reason in reasons if not is_allowed(reason, _installed)]
    if unknown:
        terminalreporter.write_line(
            f"Skips without a known reason (tests/support/skips.py): {unknown}"
        )
        terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED
