"""State of an optimizer as plain Python, and back again bit for bit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np

from pennylane_qstore.errors import ConfigurationError

VERSION = 1
"""Version of the states; another one is refused."""


class ResumableOptimizer(ABC):
    """An optimizer whose state can be saved, and taken over by one with the same settings."""

    later_settings: tuple[str, ...] = ()
    """Settings that states of earlier releases have not."""

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
            mine = self._settings()
            saved = {**{k: mine[k] for k in self.later_settings}, **state["settings"]}
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


def call_text(made: Any, settings: Mapping[str, Any]) -> str:
    """Return an object as the call that makes it, without arguments that have their defaults.

    Args:
        made: the object.
        settings: arguments by name; others are left out, and so are those that are None.

    Returns:
        One line.
    """
    kinds = type(made).__mro__[::-1]
    defaults = {
        name: list(given) if isinstance(given := parameter.default, tuple) else given
        for kind in kinds
        if "__init__" in vars(kind)
        for name, parameter in signature(kind).parameters.items()
    }
    shown = {name: settings[name] for name in defaults if settings.get(name) is not None}
    shown = {name: value for name, value in shown.items() if value != defaults[name]}
    return f"{type(made).__name__}({', '.join(f'{n}={value!r}' for n, value in shown.items())})"


def as_json(value: Any) -> Any:
    """Return a setting, or the state of a ``bit_generator``, as JSON gives it back."""
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    simple = value is None or isinstance(value, bool | int | float | str)
    return value if simple else type(value).__name__


def planned_steps(optimizer: Any) -> float | None:
    """Return the number of steps that an optimizer was planned for; None where it has none."""
    steps: float | None = getattr(optimizer, "given", {}).get("maxiter")
    return steps
