"""Text for people: rows of cells as aligned lines, and how long the service's times took."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return rows as lines whose columns are as wide as their longest cell.

    Args:
        rows: cells, in every row as many; the first row may be a header.
        left: how many columns are aligned to the left; the others are aligned to the right.

    Returns:
        One line for each row, columns two spaces apart.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def how_waited(scale: float) -> str:
    """Return how the service's times were waited for: ``scale`` seconds for each second."""
    if scale == 1:
        return "waited for in full"
    return (
        f"shortened to {scale:g} and multiplied back: what client and machine take weighs "
        f"{1 / scale:g} times as much"
    )


def silent(message: str) -> None:
    """Ignore a message: nobody asked what is being measured."""
