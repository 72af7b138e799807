"""Pure: tapes in, native circuits out. No I/O, no clock, no PennyLane device."""
