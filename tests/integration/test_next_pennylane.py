"""The next PennyLane: our tests of device and compiler, on its pre-release.

    QSTORE_CONFORMANCE_ENVS=~/.cache/qstore \\
        pytest -m conformance tests/integration/test_next_pennylane.py

It wants a newer Python than 0.45 does; without one on this machine the test is skipped. The
environment is kept where ``QSTORE_CONFORMANCE_ENVS`` says.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.conformance

ROOT = Path(__file__).parents[2]
NEXT, PYTHONS = "pennylane>=0.46.0.dev0", ("3.12", "3.13", "3.14")
OUTSIDE = ("measurements", "samples", "device_life", "training_tools", "interfaces", "differential")
TESTS = (
    *("test_device.py", "test_operations.py", "compat/test_pennylane.py", "training/test_spsa.py"),
    *("native", "measurement", "execution", "deferral"),
    *(f"integration/test_{name}.py" for name in OUTSIDE),
)


def newer_python() -> str | None:
    """A Python that the next PennyLane runs on: on the path, or one of pyenv's."""
    installed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        kept = sorted(installed.glob(f"{version}.*/bin/python"))
        found = str(kept[-1]) if kept else shutil.which(f"python{version}")
        if (
            found
            and not subprocess.run([found, "-c", "import ssl, sqlite3"], check=False).returncode
        ):
            return found
    return None


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = newer_python()
    if base is None:
        pytest.skip(f"no Python {' or '.join(PYTHONS)} on this machine")
    kept = os.environ.get("QSTORE_CONFORMANCE_ENVS")
    place = (Path(kept) if kept else tmp_path_factory.mktemp("environment")) / "pennylane-next"
    if not (place / "installed").exists():
        subprocess.run([base, "-m", "venv", "--clear", str(place)], check=True)
        install = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        for what in (["-e", f"{ROOT}[test]"], ["--pre", "--upgrade", NEXT]):
            subprocess.run([*install, *what], check=True, timeout=1500)
        (place / "installed").touch()
    return place / "bin" / "python"


def test_our_tests_pass_on_it(python: Path) -> None:
    said = "import pennylane; print(pennylane.__version__)"
    version = subprocess.run([python, "-c", said], capture_output=True, text=True, check=True)
    assert version.stdout >= "0.46"
    tests = [str(ROOT / "tests" / name) for name in TESTS]
    assert [test for test in tests if not Path(test).exists()] == []
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", *tests]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=3000)
    print(version.stdout.strip(), done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout[-4000:]
