"""Matrices of Pauli strings and of the rotations about them."""

import numpy as np

from pennylane_qstore.native.ir import PAULI

CODES = [np.eye(2), *PAULI.values()]


def string(row, sign):
    """The matrix of a string of codes with its sign."""
    total = np.eye(1)
    for code in row:
        total = np.kron(total, CODES[code])
    return sign * total


def rotations_of(gadgets, parameters):
    """The product of the rotations, in time order."""
    total = np.eye(2 ** gadgets.strings.codes.shape[1], dtype=complex)
    for row, sign, angle in zip(*gadgets.strings, gadgets.angles, strict=True):
        (value,) = angle.at(np.array([parameters]))
        turn = np.cos(value / 2) * np.eye(len(total))
        total = (turn - 1j * np.sin(value / 2) * string(row, sign)) @ total
    return total
