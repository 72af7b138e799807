"""The private hooks of CPython and aiohttp."""

from __future__ import annotations

import dataclasses
import sys
import threading
import traceback

import pennylane as qml
import pytest
from support.waiting import wait_until

import pennylane_qstore as qstore
from pennylane_qstore.compat.python import (
    forget_applications,
    interrupt,
    is_foreign_thread,
    stack_of,
)
from pennylane_qstore.errors import QStoreError


def test_the_stack_of_another_thread():
    go = threading.Event()

    def waits_here():
        go.wait()

    thread = threading.Thread(target=waits_here)
    thread.start()
    try:
        wait_until(lambda: any(f.f_code is waits_here.__code__ for f in stack_of(thread)))
    finally:
        go.set()
        thread.join()
    own = stack_of(threading.current_thread())
    assert own[0].f_code is sys._getframe(0).f_code
    assert stack_of(thread) == []


def test_a_thread_that_python_did_not_start_is_told():
    import _thread

    seen = []
    assert not is_foreign_thread()
    _thread.start_new_thread(lambda: seen.append(is_foreign_thread()), ())
    wait_until(lambda: seen)
    assert seen == [True]


def test_another_thread_is_interrupted():
    started, ended = threading.Event(), []

    def run():
        try:
            started.set()
            while True:
                sum(range(10))
        except KeyboardInterrupt:
            ended.append("KeyboardInterrupt")

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    interrupt(thread)
    thread.join(timeout=60)
    assert ended == ["KeyboardInterrupt"]


def test_what_is_kept_forever_is_not_destroyed(other_process):
    code = """
from pennylane_qstore.compat.python import keep_forever
from pennylane_qstore.errors import QStoreError
class Loud:
    def __del__(self):
        print("destroyed")
kept, dropped = Loud(), Loud()
keep_forever(kept)
del kept
del dropped
"""
    assert other_process(code) == "destroyed\n"


def test_aiohttp_keeps_applications_in_the_cache_that_is_cleared():
    from aiohttp import web_app

    assert web_app._cached_build_middleware.cache_info().maxsize > 0
    forget_applications()
    assert web_app._cached_build_middleware.cache_info().currsize == 0


def test_objects_whose_constructor_raised_have_a_repr():
    """CPython 3.11 shows no traceback with locals where one has none."""
    kinds = [kind for kind in (getattr(qstore, n) for n in qstore.__all__) if type(kind) is type]
    for kind in kinds:
        own = str(getattr(kind.__repr__, "__module__", "")).startswith("pennylane_qstore")
        if own and not dataclasses.is_dataclass(kind):
            assert kind.__name__ in repr(kind.__new__(kind))
    with pytest.raises(QStoreError) as raised:
        qml.device("qstore.ionq", wires=1, api_key="a key that nobody sees", nonsense=1)
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert "IonQDevice, not made" in "".join(shown.format())
