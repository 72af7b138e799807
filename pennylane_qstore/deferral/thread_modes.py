"""Modes of torch and JAX, which both keep for each thread."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from pennylane_qstore.compat.interfaces import jax_core, jax_modes


class ThreadModes:
    """Modes of torch and JAX in the thread that makes this, to be entered in another.

    With JAX that includes the transformation under way, so that a function that is being
    differentiated may hand its circuits to tasks.
    """

    def __init__(self) -> None:
        self._torch = sys.modules.get("torch")
        self._jax = sys.modules.get("jax")
        if self._torch is not None:
            self._inference = self._torch.is_inference_mode_enabled()
            self._grad = self._torch.is_grad_enabled()
            self._device = self._torch.get_default_device()
            self._autocast = {
                kind: self._torch.get_autocast_dtype(kind)
                for kind in ("cpu", "cuda")
                if self._torch.is_autocast_enabled(kind)
            }
        if self._jax is not None:
            self._settings = jax_modes(self._jax)
            self._core = jax_core()
            with self._core.take_current_trace() as trace:
                self._trace = trace

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Set the same modes in the calling thread, which has just begun."""
        with contextlib.ExitStack() as stack:
            enter = stack.enter_context
            if self._torch is not None:
                enter(self._torch.inference_mode(self._inference))
                enter(self._torch.set_grad_enabled(self._grad))
                if self._device.type != "cpu":
                    enter(self._device)
                for kind, dtype in self._autocast.items():
                    enter(self._torch.autocast(kind, dtype=dtype))
            if self._jax is not None:
                own = jax_modes(self._jax)
                for name, value in self._settings.items():
                    if value != own[name]:
                        enter(getattr(self._jax, name)(value))
                enter(self._core.set_current_trace(self._trace))
            yield
