"""Loss curves of training runs, read from the files beside their checkpoints."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pennylane_qstore.run_names import in_job_names

logger = logging.getLogger(__name__)

_HISTORY = ".history.jsonl"
_PLACES = ("", "*/", "*/*/")
"""In folders of folders: that of a sweep has one for each trial."""
_POINTS = 300
_VALUES = ("loss", "val_loss")


@dataclass(slots=True)
class RunHistory:
    """The steps of a run so far.

    Attributes:
        run: name of the run in the ledger.
        steps: number of steps made.
        curves: the values of each step, by name; ``None`` where a step has none.
        spent_usd: billed, in US dollars.
        queue_s: waited in the queue, in seconds, over all jobs.
    """

    run: str
    steps: int = 0
    curves: dict[str, list[float | None]] = field(default_factory=lambda: {n: [] for n in _VALUES})
    spent_usd: float = 0.0
    queue_s: float = 0.0

    @property
    def loss(self) -> float | None:
        """The loss of the last step."""
        return self.curves["loss"][-1] if self.steps else None

    def add(self, record: dict[str, Any]) -> None:
        """Take a step in, as its line has it."""
        self.steps += 1
        self.curves["loss"].append(record["loss"])
        self.curves["val_loss"].append((record.get("metrics") or {}).get("val_loss"))
        self.spent_usd = record.get("spent_usd", 0.0)
        self.queue_s += record.get("queue_s", 0.0)

    def drawn(self, points: int = _POINTS) -> dict[str, Any]:
        """Return the curves, thinned out to so many steps, the last one among them.

        Args:
            points: steps at most.

        Returns:
            ``steps`` and a list for each value that there is.
        """
        every = -(-self.steps // points) or 1
        kept = range((self.steps - 1) % every, self.steps, every)
        curves = {name: [values[i] for i in kept] for name, values in self.curves.items()}
        there = {name: c for name, c in curves.items() if any(v is not None for v in c)}
        return {"steps": [i + 1 for i in kept], **there}


class Histories:
    """The runs whose checkpoints lie in folders. Files are read, never written.

    Args:
        folders: of checkpoints; or checkpoints themselves.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = folders
        self._read: dict[Path, tuple[tuple[int, int], RunHistory]] = {}

    def by_run(self) -> dict[str, RunHistory]:
        """Return the histories by the name that the run's jobs have, as they stand now.

        What cannot be read, since it is another program's or is being replaced, is left out.
        """
        for path in dict.fromkeys(self._files()):
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                self._update(path)
        return {in_job_names(history.run): history for _, history in self._read.values()}

    def _files(self) -> Iterator[Path]:
        for folder in self._folders:
            if folder.is_dir():
                for place in _PLACES:
                    yield from folder.glob(f"{place}*{_HISTORY}")
            else:
                yield folder.with_name(folder.name + _HISTORY)

    def _update(self, path: Path) -> None:
        """Read a history again if its checkpoint has been replaced."""
        checkpoint = path.with_name(path.name.removesuffix(_HISTORY))
        stat = checkpoint.stat()
        version = (stat.st_mtime_ns, stat.st_ino)
        if path in self._read and self._read[path][0] == version:
            return
        state = json.loads(checkpoint.read_bytes())
        history = RunHistory(str(state["run"]))
        with path.open("rb") as file:
            for line, _ in zip(file, range(state["steps"]), strict=False):
                history.add(json.loads(line))
        self._read[path] = version, history
