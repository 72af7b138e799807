"""Checkpoints of a training run: a JSON file of its state, and a JSON-lines file of its history.

Every number comes back bit for bit. The state file holds only values that change from step to
step and is replaced atomically; the history is appended to, and the state file says how many of
its lines count, so that a checkpoint takes the same time at every step and a process may be killed
between the two writes. Checksums over the state and over the lines that count detect a change.
No pickle: a foreign checkpoint can be wrong, but it cannot run anything.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pennylane_qstore.compat.pennylane import set_simulator_generator, simulator_generator
from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.files import permissions, replace_file, sync_folder
from pennylane_qstore.training.history import StepRecord, read_records
from pennylane_qstore.training.values import decode, encode, naming_damage
from pennylane_qstore.validation import check_count

FORMAT = 3
"""Version of the state file. Read as well: 2, without checksums, and 1, which holds the history."""

_SINCE_1 = {"learner": "adapter"}  # names in the state that have changed
_SEAL = b', "checksum": "%b"}'
_SEAL_LENGTH = len(_SEAL) - 2 + 64


class Checkpoint:
    """The two files of a run.

    Args:
        path: of the state file; the history is beside it, in ``<name>.history.jsonl``. A link is
            followed: the files are where it points to.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path)) if path.is_symlink() else path
        self.history_path = self.path.with_name(f"{self.path.name}.history.jsonl")
        self._steps = self._bytes = 0  # of the history, as the state file on disk counts them
        self._lines = hashlib.sha256()  # of these bytes

    def save(self, state: Mapping[str, Any], history: Sequence[StepRecord]) -> None:
        """Append the steps since the last call, then replace the state.

        Killed before the state is replaced, the run goes on from the state before: lines beyond
        those that it counts are written over.

        Args:
            state: of the run, ready for JSON.
            history: all steps of the run.
        """
        records = history[self._steps :]
        text = "".join(f"{json.dumps(asdict(record))}\n" for record in records).encode()
        if text:
            self._append(text)
        lines = self._lines.copy()
        lines.update(text)
        write(self.path, {**state, "steps": len(history), "history_checksum": lines.hexdigest()})
        self._steps, self._bytes, self._lines = len(history), self._bytes + len(text), lines

    def load(self) -> tuple[dict[str, Any], list[StepRecord]]:
        """Read the state and the steps that it counts.

        Returns:
            The state, and the history.

        Raises:
            ConfigurationError: a file cannot be read, is damaged, or is no checkpoint.
        """
        state = read(self.path)
        if state["format"] == 1:
            state = {_SINCE_1.get(name, name): value for name, value in state.items()}
            with naming_damage(f"The checkpoint {str(self.path)!r}"):
                rows = state.pop("history", [])
                state["steps"] = len(rows)
                return state, read_records(rows)
        steps, checksum = state.get("steps", 0), state.pop("history_checksum", None)
        with naming_damage(f"The checkpoint {str(self.path)!r}"):
            check_count("steps", steps, least=0, most=sys.maxsize)
        return state, self._read_history(steps, checksum)

    def _append(self, text: bytes) -> None:
        """Write lines behind those that count."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            number = os.open(self.history_path, flags, permissions(self.path) or 0o666)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise ConfigurationError(
                f"The history {str(self.history_path)!r} is a link, which is not followed: "
                "whatever it points to would be written over."
            ) from error
        with open(number, "r+b") as file:
            file.truncate(self._bytes)
            file.seek(self._bytes)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if not self._bytes:
            sync_folder(self.path.parent)

    def _read_history(self, steps: int, checksum: str | None) -> list[StepRecord]:
        if steps == 0:
            return []  # not written yet, or another run's
        subject = f"The history {str(self.history_path)!r}"
        try:
            with self.history_path.open("rb") as file:
                lines = list(islice(file, steps))
        except OSError as error:
            raise ConfigurationError(f"{subject} cannot be read: {error}") from error
        if len(lines) < steps:
            raise ConfigurationError(
                f"{subject} has {len(lines)} steps, but its checkpoint {str(self.path)!r} counts "
                f"{steps}: one of them is another run's."
            )
        content = hashlib.sha256(b"".join(lines))
        if checksum is not None and content.hexdigest() != checksum:
            raise ConfigurationError(
                f"{subject} is not as it was written: its checksum differs from the one in "
                f"{str(self.path)!r}."
            )
        with naming_damage(subject):
            records = read_records([json.loads(line) for line in lines])
        self._steps, self._bytes, self._lines = steps, sum(map(len, lines)), content
        return records


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Replace a file by a state; see :func:`.replace_file`.

    Args:
        path: of the file; its folder is made.
        state: ready for JSON.
    """
    # Not json.dump: only dumps is written in C.
    text = json.dumps({"format": FORMAT, **state}).encode()
    replace_file(path, text[:-1] + _SEAL % hashlib.sha256(text).hexdigest().encode())


def read(path: Path) -> dict[str, Any]:
    """Return the state in a file.

    Raises:
        ConfigurationError: it cannot be read, is not as it was written, or is no checkpoint of a
            version that is known.
    """
    shown = f"The checkpoint {str(path)!r}"
    try:
        content = path.read_bytes()
        state = json.loads(content.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{shown} cannot be read: {error}") from error
    version = state.get("format") if isinstance(state, dict) else None
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise ConfigurationError(
            f"{str(path)!r} is not a checkpoint that this release reads: its format is "
            f"{version!r}, allowed are 1 to {FORMAT}."
        )
    checksum = state.pop("checksum", None)
    if version == FORMAT or checksum is not None:
        text = content[:-_SEAL_LENGTH] + b"}"
        seal = _SEAL % hashlib.sha256(text).hexdigest().encode()
        if not content.endswith(seal):
            raise ConfigurationError(
                f"{shown} is not as it was written: its checksum does not fit its content."
            )
    return dict(state)


def random_states() -> dict[str, Any]:
    """Return the states of the random generators of Python, NumPy, and torch if it is loaded."""
    version, words, gauss = random.getstate()
    states = {
        "python": encode((version, np.array(words, dtype=np.uint32), gauss)),
        "numpy": encode(np.random.get_state(legacy=False)),  # noqa: NPY002 - stock SPSA's
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = encode(torch.get_rng_state())
    return states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Bring the process's random generators to the states of :func:`random_states`."""
    version, words, gauss = decode(states["python"])
    random.setstate((version, tuple(words.tolist()), gauss))
    np.random.set_state(decode(states["numpy"]))  # noqa: NPY002
    if "torch" in states:
        import torch

        torch.set_rng_state(decode(states["torch"]))


def device_state(device: Any) -> Any:
    """Return the state that a device's next results depend on; None if it has none."""
    if hasattr(device, "state_dict"):
        return encode(device.state_dict())
    rng = simulator_generator(device)
    return None if rng is None else encode(rng)


def set_device_state(device: Any, state: Any) -> None:
    """Bring a device back to a state.

    Args:
        device: ours, or a simulator of PennyLane.
        state: from :func:`device_state`.

    Raises:
        ConfigurationError: the state is damaged, or another device's.
    """
    if state is None:
        return
    with naming_damage(f"The state of {device!r}"):
        value = decode(state)
        if hasattr(device, "load_state_dict"):
            device.load_state_dict(value)
        else:
            set_simulator_generator(device, value)
