"""State of a training run: captured after every step, restored after a failure or a restart."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training import checkpoint as files
from pennylane_qstore.training.callbacks import Callback
from pennylane_qstore.training.devices import Devices
from pennylane_qstore.training.fingerprint import (
    CircuitCheck,
    check_settings,
    describe,
    start_of,
)
from pennylane_qstore.training.history import StepRecord
from pennylane_qstore.training.optimizer_adapters import OptimizerAdapter
from pennylane_qstore.training.program import Program, warn_of_another_start
from pennylane_qstore.training.run_options import Resume
from pennylane_qstore.training.stopping import EarlyStopping
from pennylane_qstore.training.values import decode, encode, naming_damage

_PARTS: dict[str, type | tuple[type, ...]] = {
    "run": str,
    "settings": dict,
    "begun": bool,
    "adapter": dict,
    "best": (int, type(None)),
    "best_params": object,
    "random": dict,
    "devices": list,
    "callbacks": dict,
    "steps": int,
}
"""Parts of a state, and their types."""


class RunState:
    """The values that a step changes, beside the history.

    Args:
        name: of the run.
        adapter: parameters and optimizer.
        devices: their random states and places in the ledger.
        stopping: the best step.
        callbacks: those that have a ``state_dict`` are kept.
        program: the functions of the run.
    """

    def __init__(
        self,
        name: str,
        adapter: OptimizerAdapter,
        devices: Devices,
        stopping: EarlyStopping,
        callbacks: Sequence[Callback],
        program: Program,
    ) -> None:
        self.run_id = f"{name}-{secrets.token_hex(4)}"
        self.begun = False
        self.best_params: Any = None
        self.pretrained: Any = None
        """The parameters after the last exact step, ready for JSON."""
        self.settings: dict[str, Any] = {}
        self.saved: dict[str, Any] = {}
        self._saved_steps = 0
        self.start: Any = None
        """Fingerprint of the parameters before the first step."""
        self.program = program
        self.circuits = CircuitCheck(adapter.optimizer)
        self._adapter, self._devices, self._stopping = adapter, devices, stopping
        # Named so that another start of the program gives the same names.
        kept = [c for c in callbacks if hasattr(c, "state_dict")]
        self._callbacks: dict[str, Any] = {f"{type(c).__name__} {i}": c for i, c in enumerate(kept)}

    def capture(self) -> dict[str, Any]:
        """Return the values as they stand, ready for JSON."""
        best = self._stopping.best
        return {
            "run": self.run_id,
            "settings": self.settings,
            "begun": self.begun,
            "adapter": self._adapter.state_dict(),
            "best": None if best is None else best.step,
            "best_params": self.best_params,
            "pretrained": self.pretrained,
            "circuits": self.circuits.recorded,
            "program": self.program.recorded,
            "start": self.start,
            "random": files.random_states(),
            "devices": self._devices.state(),
            "callbacks": {
                name: encode(callback.state_dict()) for name, callback in self._callbacks.items()
            },
        }

    def restore(self, saved: Mapping[str, Any], history: Sequence[StepRecord]) -> None:
        """Go on from captured values.

        Args:
            saved: from :meth:`capture`.
            history: the steps until then.

        Raises:
            ConfigurationError: they are of another optimizer, or damaged.
        """
        self.run_id, self.begun = saved["run"], saved["begun"]
        with naming_damage("The state of parameters and optimizer"):
            self._adapter.load_state_dict(saved["adapter"])
        best = saved["best"]
        self._stopping.best = None if best is None else history[best - 1]
        self.best_params = saved["best_params"]
        self.pretrained = saved.get("pretrained")
        self.circuits.restore(saved.get("circuits"))
        self.program.restore(saved.get("program"))
        self.start = saved.get("start")
        with naming_damage("The state of the random generators"):
            files.set_random_states(saved["random"])
        self._devices.restore(saved["devices"])
        for name, callback in self._callbacks.items():
            if name in saved["callbacks"]:
                with naming_damage(f"The state of the callback {name}"):
                    callback.load_state_dict(decode(saved["callbacks"][name]))

    def save(self, checkpoint: files.Checkpoint | None, history: Sequence[StepRecord]) -> None:
        """Keep the values as they stand, for the next failure or restart.

        Args:
            checkpoint: files that are written; None for none.
            history: all steps so far.
        """
        if len(history) > self._saved_steps:
            self.program.record()
        self.saved, self._saved_steps = self.capture(), len(history)
        if checkpoint is not None:
            checkpoint.save(self.saved, history)

    @contextmanager
    def undone_on_error(self, history: list[StepRecord]) -> Iterator[None]:
        """Leave everything as it was saved if a step fails, so that it can be repeated exactly.

        Args:
            history: all steps so far; the failed one is taken out.

        Yields:
            Nothing.
        """
        try:
            yield
        except BaseException:
            del history[self._saved_steps :]
            self.restore(self.saved, history)
            raise

    def resume(
        self,
        checkpoint: files.Checkpoint,
        saved: Mapping[str, Any],
        history: Sequence[StepRecord],
    ) -> None:
        """Take over the checkpoint of the same run.

        Args:
            checkpoint: for messages.
            saved: the checkpoint's state.
            history: the checkpoint's steps.

        Raises:
            ConfigurationError: it is of another run, as the message says; the values are as before.
        """
        check_settings(checkpoint, saved["settings"], self.settings)
        before, given = self.capture(), start_of(self._adapter.plain_params)
        try:
            self.restore(saved, history)
            with naming_damage("The state of the parameters"):
                reached = saved["adapter"]["params"], saved["best_params"]
                starts = [self.start, *(start_of(decode(place)) for place in reached)]
        except ConfigurationError as error:
            self.restore(before, [])
            shown = f"{str(checkpoint.path)!r} is the checkpoint of another run"
            raise ConfigurationError(f"{shown}, or of other planned steps. {error}") from error
        self.circuits.compare_next()
        self._saved_steps = len(history)
        if history and self.start is not None and given not in starts:
            warn_of_another_start(checkpoint.path, len(history))

    def is_data_dependent(
        self, first_cost: Callable[..., Any], history: Sequence[StepRecord]
    ) -> bool:
        """Return True if the program still gives the first step's circuit on that step's samples.

        Then the circuit depends on the samples, and circuits are no longer compared. Nothing is
        sent.

        Args:
            first_cost: objective on the samples of the first step.
            history: all steps so far.

        Returns:
            True where its first circuit is the recorded one.
        """
        args, before = self._adapter.params, self.circuits.recorded
        try:
            seen = self._devices.first_batch(first_cost, args, lambda _, tapes: describe(tapes[0]))
        finally:
            self.restore(self.saved, history)
        if seen == before:
            self.circuits.accept()
        return bool(seen == before)


def read_checkpoint(
    checkpoint: files.Checkpoint, resume: Resume
) -> tuple[dict[str, Any], list[StepRecord]] | None:
    """Read the checkpoint of a run that shall go on.

    Args:
        checkpoint: its files.
        resume: True to go on; False for a new run in its place; None refuses a checkpoint.

    Returns:
        State and history; None if there is nothing to go on with.

    Raises:
        ConfigurationError: there is a checkpoint, and ``resume`` is None; or it is damaged.
    """
    if not checkpoint.path.exists() or resume is False:
        return None
    shown = repr(str(checkpoint.path))
    if resume is None:
        raise ConfigurationError(
            f"{shown} is the checkpoint of an earlier run. Give resume=True (--resume) to go on "
            "with it, or resume=False (--force) to replace it by a new run."
        )
    state, history = checkpoint.load()
    missing = [name for name in _PARTS if name not in state]
    if missing:
        raise ConfigurationError(
            f"{shown} is not the checkpoint of a run: it has no {', '.join(missing)}."
        )
    wrong = [name for name, kind in _PARTS.items() if not _is_part(state[name], kind)]
    best = state["best"]
    if not wrong and best is not None and not 1 <= best <= len(history):
        wrong = ["best"]
    if wrong:
        raise ConfigurationError(f"The checkpoint {shown} is damaged: {', '.join(wrong)}.")
    return state, history


def _is_part(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and (kind in (bool, object) or not isinstance(value, bool))
