"""The suite with a marked key: ``pytest -p support.canary``. The mark may show up nowhere.

``.ci/canary`` runs the default suite so.

Every key that anything wraps, whatever a test calls it, is sent with a mark at its end; the
emulator takes it off again. Wherever else the mark is seen, the test at hand fails:

* records of every log, at every level, formatted with their exceptions;
* errors of this package: text, details, pickle, traceback with the locals of its frames;
* clients, devices, options, ledgers: ``repr`` of them and of what they hold, pickle;
* what is printed, and what a failure reports;
* path and body of every request;
* every byte of every file a test leaves in its folder (ledgers above all), at the end.

A connection to another machine fails the test too.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import pickle
import sys
import threading
import traceback
import weakref

import pytest

MARK = ".CANARY-5f0c1b7e"
"""At the end of every key."""

EXEMPT = {
    "ionq/http/test_api_key.py": "looks at the wrapped text itself",
    "test_config.py::test_keys_are_nowhere_to_be_seen": "looks at the wrapped text itself",
    "test_secret.py::test_a_proxys_password": "looks at the wrapped text itself",
    "test_secret.py::test_hidden_options": "looks at the wrapped text itself",
    "test_client_life.py::test_clients_that_are_dropped": "drops what would be kept to look at",
    "test_watch.py::test_a_run_is_watched": "a browser keeps the page's address, token and all",
    "test_config.py::test_log_interval": "counts records, and here every level is on",
}
"""Tests that the mark would make fail, by a part of their id, and why. They mark a key of their
own, or have nothing to do with keys."""

PLACES = (
    "pennylane_qstore.ionq", "pennylane_qstore.execution.sender",
    "pennylane_qstore.execution.session", "pennylane_qstore.cli.main",
)  # fmt: skip
"""Modules through whose frames a key may pass."""

_dropped: list[object] = []
_found: list[str] = []
_lock = threading.Lock()
_errors: list[BaseException] = []
_holders: list[weakref.ref] = []
_looked_at = 0  # so many of them: again only where a file of tests ends, for it takes long
_started = threading.Event()


def look(where: str, text: object) -> None:
    """Remember where the mark was seen."""
    if MARK in str(text):
        with _lock:
            _found.append(where)


class _Listener(logging.Handler):
    def emit(self, record):
        text = logging.Formatter().format(record)
        look(f"log of {record.name}: {text.replace(MARK, '<KEY>')[:300]}", text)


def pytest_configure(config):
    from pennylane_qstore.device import IonQDevice
    from pennylane_qstore.errors import QStoreError
    from pennylane_qstore.execution.executor import Executor
    from pennylane_qstore.execution.options import Options
    from pennylane_qstore.ionq.client import IonQClient
    from pennylane_qstore.ionq.http import api_key as secret
    from pennylane_qstore.ionq.http.transport import Transport
    from pennylane_qstore.ionq.ledger.ledger import Ledger
    from pennylane_qstore.server.access import Access

    listener = _Listener(level=0)
    for name in ("pennylane_qstore", "aiohttp", "asyncio"):
        logging.getLogger(name).addHandler(listener)
    # The second net would hide what the first one lets through.
    hide = secret._hide_in_logs
    secret._hide_in_logs = lambda key: None if _started.is_set() else hide(key)

    _after(secret.Secret, "__init__", _mark)
    admits = Access.admits
    # A token that the service has wrapped itself, such as that of its page, has the mark there too.
    Access.admits = lambda self, key: admits(self, key.removesuffix(MARK)) or admits(self, key)
    _after(QStoreError, "__init__", lambda error, *_, **__: _errors.append(error))
    for kind in (Options, Executor, IonQDevice, IonQClient, Ledger):
        _after(kind, "__init__", lambda self, *_, **__: _holders.append(weakref.ref(self)))
        _look_before_the_end(kind)

    request = Transport.request

    async def watched(self, method, path, traffic, **more):
        look(f"{method} {path}", path)
        look(f"body of {method} {path}", (more.get("body") or b"").decode("latin-1"))
        return await request(self, method, path, traffic, **more)

    Transport.request = watched
    sys.addaudithook(_audit)


def _after(kind, name, extra):
    real = getattr(kind, name)

    def both(self, *args, **options):
        real(self, *args, **options)
        extra(self, *args, **options)

    setattr(kind, name, both)


def _look_before_the_end(kind):
    """Keep what a test drops while it runs until it can be looked at.

    Not looked at here: an object may end while its thread holds a lock that looking wants.
    """
    real = getattr(kind, "__del__", None)

    def last(self):
        if _started.is_set() and not sys.is_finalizing():
            _dropped.append(self)
        if real is not None:
            real(self)

    kind.__del__ = last


def _mark(secret, *_):
    if _started.is_set() and not secret._value.endswith(MARK):
        secret._value += MARK


def _audit(event, args):
    if event != "socket.connect" or not isinstance(args[1], tuple):
        return
    host = args[1][0]
    with contextlib.suppress(ValueError):
        if not ipaddress.ip_address(host).is_loopback:
            with _lock:
                _found.append(f"a connection to {host}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    exempt = any(part in item.nodeid for part in EXEMPT)
    logging.getLogger("pennylane_qstore").setLevel(logging.NOTSET if exempt else logging.DEBUG)
    (_started.clear if exempt else _started.set)()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    # What the test made is looked at before its fixtures take it down.
    try:
        return (yield)
    finally:
        _look_at_what_was_made()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    global _looked_at
    if nextitem is None or nextitem.path != item.path:
        _looked_at = 0  # everything that still lives, before the file's fixtures are taken down
        _look_at_what_was_made()
    result = yield
    _look_at_what_was_made()
    _holders[:] = [reference for reference in _holders if reference() is not None]
    _looked_at = len(_holders)
    with _lock:
        found, _found[:] = sorted(set(_found)), []
    assert not found, f"The key was seen in: {'; '.join(found)}"
    return result


def _look_at_what_was_made():
    errors, _errors[:] = list(_errors), []
    for error in errors:
        name = type(error).__name__
        look(f"text of {name}", f"{error} {error!r} {error.details!r}")
        look(f"traceback of {name}", "".join(traceback.format_exception(error)))
        look(f"locals in the traceback of {name}", _locals(error))
        look(f"pickle of {name}", _pickled(error))
    while _dropped:
        _look_at(_dropped.pop())
    for reference in _holders[_looked_at:]:
        thing = reference()
        if thing is not None:
            _look_at(thing)


def _look_at(thing):
    name = type(thing).__name__
    held = getattr(thing, "__dict__", {})
    with contextlib.suppress(AttributeError):  # what is only half made has no repr
        look(f"repr of {name}", f"{thing!r} {held!r} {[vars(v) for v in _own(held)]!r}")
    look(f"pickle of {name}", _pickled(thing))


def _locals(error):
    shown = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "")
        # A deferred result would be fetched to be shown; and tests may hold their key.
        if not module.startswith(PLACES):
            continue
        for value in frame.f_locals.values():
            with contextlib.suppress(Exception):  # what is only half made has no repr
                shown.append(repr(value))
    return " ".join(shown)


def _own(held):
    """Return what an object holds that is of this package, too.

    The compiler's room is not told of keys, and its templates take long to show.
    """
    return [
        value
        for value in held.values()
        if type(value).__module__.startswith("pennylane_qstore")
        and not type(value).__module__.startswith("pennylane_qstore.native")
        and hasattr(value, "__dict__")
    ]


def _pickled(thing):
    # Some hold what does not pickle (a test's callbacks): then nothing leaves.
    with contextlib.suppress(Exception):
        return pickle.dumps(thing).decode("latin-1")
    return ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        look("the report of a failure", report.longreprtext)
        for title, text in report.sections:
            look(title, text)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    if hasattr(session.config, "workerinput"):  # one of several processes: the first one looks
        return
    folder = session.config._tmp_path_factory.getbasetemp()
    mark = MARK.encode()
    files = [path for path in folder.rglob("*") if path.is_file()]
    marked = [str(path) for path in files if mark in path.read_bytes()]
    session.config.canary_files = (len(files), marked)
    if marked:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    count, marked = config.canary_files
    terminalreporter.write_line(f"canary: {count} files, {len(marked)} with the key {marked or ''}")
