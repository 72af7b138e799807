"""The file of a sweep: its account in the ledger, and which trials are over for good."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_hex
from typing import Any

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.checkpoint import write
from pennylane_qstore.training.run_options import Resume

NAME = "sweep.json"


class Manifest:
    """The file ``sweep.json`` in the folder of a sweep.

    Args:
        folder: of the sweep; None keeps nothing.
        resume: True (or "edited") goes on, False begins anew, None refuses to replace a sweep.

    Attributes:
        account: name under which the ledger has what all trials have spent together.
        pruned: labels of the trials that were pruned.

    Raises:
        ConfigurationError: there is a sweep, and nobody said what to do with it; or it is damaged.
    """

    def __init__(self, folder: Path | None, resume: Resume) -> None:
        self.path = None if folder is None else folder / NAME
        self.account = f"sweep-{token_hex(8)}"
        self.pruned: set[str] = set()
        if self.path is None or not self.path.exists() or resume is False:
            return
        if resume is None:
            raise ConfigurationError(
                f"{str(self.path)!r} is an earlier sweep. Give resume=True (--resume) to go on "
                "with it, or resume=False (--force) to replace it by a new one."
            )
        try:
            kept: Any = json.loads(self.path.read_text(encoding="utf-8"))
            self.account, self.pruned = str(kept["account"]), set(map(str, kept["pruned"]))
        except (ValueError, TypeError, KeyError):
            raise ConfigurationError(f"The sweep {str(self.path)!r} is damaged.") from None

    def save(self) -> None:
        """Write the file, atomically."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write(self.path, {"account": self.account, "pruned": sorted(self.pruned)})
