"""Count the package's own Python frames between ``device.execute`` and the socket, and back.

    python tests/benchmarks/count_frames.py [--names]

One QNode call of a structure that is compiled already, on the embedded emulator. Three figures:

- hops to the socket: own functions that wait for aiohttp when it is handed the POST: first those
  on the stack of the thread that called ``execute``, then those of the event loop's tasks;
- calls out: own functions called from ``execute`` until then, in both threads;
- calls back: own functions called from then until ``execute`` returns.

The emulator runs in this process, too; its own frames are left out.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import aiohttp
import pennylane as qml

import pennylane_qstore
from pennylane_qstore.device import IonQDevice

ROOT = str(Path(pennylane_qstore.__file__).parent)
SERVICE = (f"{ROOT}/emulator", f"{ROOT}/server")


def is_own(code: CodeType) -> bool:
    """Tell whether a function is the client's: the package's, and not of the emulator."""
    named = not code.co_name.startswith("<")
    return code.co_filename.startswith(ROOT) and not code.co_filename.startswith(SERVICE) and named


def name_of(code: CodeType) -> str:
    return f"{code.co_filename.removeprefix(ROOT + '/')}:{code.co_qualname}"


def own_stack(frame: FrameType | None, outermost: CodeType | None = None) -> list[str]:
    """Return the own functions on a stack, outermost first, from ``outermost`` on."""
    names: list[str] = []
    while frame is not None:
        if is_own(frame.f_code):
            names.append(name_of(frame.f_code))
        if frame.f_code is outermost:
            break
        frame = frame.f_back
    return names[::-1]


def waiting_coroutines(coroutine: Any) -> list[str]:
    """Return the own functions of a suspended task, outermost first."""
    names: list[str] = []
    while coroutine is not None and (code := getattr(coroutine, "cr_code", None)):
        if is_own(code):
            names.append(name_of(code))
        coroutine = coroutine.cr_await
    return names


class Count:
    """Frames that a profiled call went through."""

    def __init__(self, outermost: CodeType, socket: CodeType) -> None:
        self.outermost, self.socket = outermost, socket
        self.caller = threading.get_ident()
        self.running = False
        self.hops: list[str] = []
        self.out: list[str] = []
        self.back: list[str] = []

    def profile(self, frame: FrameType, event: str, _: Any) -> None:
        """Note a call; the hook of ``sys.setprofile``."""
        code = frame.f_code
        if code is self.outermost and threading.get_ident() == self.caller:
            self.running = event == "call"
        if not self.running or event != "call":
            return
        if code is self.socket and not self.hops:
            caller = own_stack(sys._current_frames()[self.caller], self.outermost)
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            waiting = [n for task in tasks for n in waiting_coroutines(task.get_coro())]
            self.hops = caller + waiting + own_stack(frame)
        elif is_own(code):
            (self.back if self.hops else self.out).append(name_of(code))


def measure(call: Callable[[], Any]) -> Count:
    """Return what one call of ``call`` went through; the first one is not counted."""
    execute = IonQDevice.execute
    outermost = getattr(execute, "__wrapped__", execute).__code__
    count = Count(outermost, aiohttp.ClientSession._request.__code__)
    # Threads take the hook when they start: the event loop's has to start under it.
    threading.setprofile(lambda *event: count.profile(*event))
    call()
    count.hops, count.out, count.back = [], [], []
    sys.setprofile(count.profile)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return count


def main() -> None:
    """Print the figures."""
    device = qml.device("qstore.ionq", wires=2, seed=1)

    @qml.qnode(device, shots=100)
    def circuit(x: float) -> Any:
        qml.RX(x, wires=0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    count = measure(lambda: circuit(0.4))
    if "--names" in sys.argv:
        for title in ("hops", "out", "back"):
            print(title, *getattr(count, title), sep="\n  ")
    print(f"hops to the socket {len(count.hops)}")
    print(f"calls out {len(count.out)} ({len(set(count.out))} functions)")
    print(f"calls back {len(count.back)} ({len(set(count.back))} functions)")


if __name__ == "__main__":
    main()
