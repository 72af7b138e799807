"""Private hooks of PennyLane, autograd, torch, JAX, aiohttp and CPython, all of them, in one room.

Each module says what it relies on and the versions in which that was read; ``tests/compat`` has a
test for each hook that fails by its name when a new version breaks it. The client's rooms, which
work without PennyLane, import :mod:`~.python` alone. Importing a module patches nothing:
:func:`~.interfaces.teach_deferred_arrays` runs when the first deferred array is made.
"""
