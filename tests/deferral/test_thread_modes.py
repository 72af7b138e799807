"""Modes of torch and JAX travel from the thread that made them into another."""

from __future__ import annotations

import threading

import pytest

from pennylane_qstore.deferral.thread_modes import ThreadModes


def in_thread(modes, run):
    results = []

    def main():
        with modes.entered():
            results.append(run())

    thread = threading.Thread(target=main)
    thread.start()
    thread.join(timeout=60)
    return results[0]


def test_without_torch_and_jax_there_is_nothing_to_enter(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    assert in_thread(ThreadModes(), lambda: 1) == 1


@pytest.mark.ml
def test_torchs_modes():
    torch = pytest.importorskip("torch")

    def modes():
        enabled = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        return (*enabled, torch.is_autocast_enabled("cpu"))

    assert in_thread(ThreadModes(), modes) == (True, False, False)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert in_thread(ThreadModes(), modes) == (False, False, True)
    with torch.inference_mode():
        assert in_thread(ThreadModes(), modes) == (False, True, False)


@pytest.mark.ml
def test_jaxs_settings():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    with jax.enable_x64(not before):
        modes = ThreadModes()
    assert in_thread(modes, lambda: jax.config.jax_enable_x64) is not before
    assert jax.config.jax_enable_x64 is before


@pytest.mark.ml
def test_jaxs_transformation_goes_on_in_another_thread():
    jax = pytest.importorskip("jax")

    def f(x):
        return in_thread(ThreadModes(), lambda: x * x)

    assert jax.grad(f)(3.0) == 6.0
