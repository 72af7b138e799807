"""State of an optimizer as plain Python, and back again bit for bit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from pennylane_qstore.errors import ConfigurationError

VERSION = 1
"""Version of the states; another one is refused."""


class ResumableOptimizer(ABC):
    """An optimizer whose state can be saved, and taken over by one with the same settings."""

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Return the settings that have to be the same when training goes on."""

    @abstractmethod
    def _capture(self) -> dict[str, Any]:
        """Return the values that change from step to step."""

    @abstractmethod
    def _restore(self, state: Mapping[str, Any]) -> None:
        """Take over captured values, all of them or none."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a continued training depends on, ready for JSON."""
        return {"version": VERSION, "settings": self._settings(), **self._capture()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken, bit for bit.

        Raises:
            ConfigurationError: the state is of another version or of other settings, or damaged.
        """
        version = state.get("version") if isinstance(state, Mapping) else None
        if version != VERSION:
            raise ConfigurationError(
                f"The optimizer state has version {version!r}; this release reads version "
                f"{VERSION}."
            )
        try:
            saved, mine = dict(state["settings"]), self._settings()
            if saved != mine:
                differ = {k: mine.get(k) for k in (*mine, *saved) if saved.get(k) != mine.get(k)}
                raise ConfigurationError(
                    f"The optimizer state was saved with {saved}, but this optimizer has "
                    f"{differ}; make it with the settings that were saved."
                )
            self._restore(state)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"The optimizer state is damaged ({type(error).__name__}: {error}); the optimizer "
                "is as it was."
            ) from error


def plain_rng_state(state: Any) -> Any:
    """Return the state of a ``bit_generator`` with lists instead of arrays."""
    if isinstance(state, Mapping):
        return {key: plain_rng_state(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state
