"""Rows written alike: what is read is what any decoder reads, or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pennylane_qstore import compiled, fixed_decimals
from pennylane_qstore.fixed_decimals import Rows, read_rows, rounded, write_rows

NUMBERS = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 1e-14, 5e-19, 0.1, 2.0**-30, 1 - 2**-53])
KEYS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6, unique=True) | st.integers(
    1, 12
).map(lambda count: [*range(count)])


@pytest.fixture(scope="module", autouse=True, params=["NumPy", "Numba"])
def _by(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "Numba" and compiled.load("text_kernel") is None:
        pytest.skip("needs Numba")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_IMPORT_S", {"NumPy": 1e9, "Numba": 0.0}[request.param])
        yield


@st.composite
def tables(draw: Any) -> tuple[list[str], list[str], np.ndarray]:
    keys = [str(key) for key in draw(KEYS)]
    rows = draw(st.integers(1, 5))
    numbers = draw(st.lists(NUMBERS, min_size=rows * len(keys), max_size=rows * len(keys)))
    names = [f"{k:07x}-_Z" for k in draw(st.permutations(range(rows)))]
    return names, keys, np.array(numbers).reshape(rows, -1)


def decoded(data: bytes) -> Any:
    """What a decoder makes of a text, where no name is there twice."""
    try:
        value = json.loads(data, object_pairs_hook=lambda pairs: pairs)
        assert value == json.loads(data, object_pairs_hook=lambda p: list(dict(p).items()))
        return orjson.loads(data)
    except (ValueError, AssertionError):
        return None


def as_objects(rows: Rows) -> dict[str, dict[str, float]]:
    table = rows.numbers.tolist()
    return {n: dict(zip(rows.keys, r, strict=True)) for n, r in zip(rows.names, table, strict=True)}


@settings(deadline=None, max_examples=120)
@given(tables(), st.sampled_from([1, 3, 1 << 14]))
def test_numbers_are_read_as_a_decoder_reads_them(table: Any, together: int) -> None:
    names, keys, numbers = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixed_decimals, "_TOGETHER", together)
        data = b"{%b}" % write_rows(names, keys, numbers)
        rows = read_rows(data)
    assert rows is not None
    expected = rounded(numbers)
    assert as_objects(rows) == orjson.loads(data) == json.loads(data)
    assert (rows.names, rows.keys) == (names, keys)
    assert (rows.numbers == expected).all()
    assert (np.abs(expected - numbers) <= 5e-19 + 2.0**-52 * numbers).all()
    # a table that is written number by number says the same
    assert orjson.loads(orjson.dumps(expected.tolist())) == rows.numbers.tolist()


BYTES = st.integers(0, 255).map(lambda k: bytes([k])) | st.sampled_from(
    [b"", b'"', b"}", b",", b":", b".", b"-", b"0", b"1", b"9", b"00", b"e", b" ", b"\\", b"/"]
)


@settings(deadline=None, max_examples=250)
@given(tables(), st.data())
def test_a_changed_text_is_read_as_a_decoder_reads_it_or_left_to_it(table: Any, data: Any) -> None:
    body = b"{%b}" % write_rows(*table)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(body)))
        cut = data.draw(st.integers(0, 2))
        body = body[:at] + data.draw(BYTES) + body[at + cut :]
    rows = read_rows(body)
    assert rows is None or as_objects(rows) == decoded(body)


GOOD = b"{%b}" % write_rows(["a", "b"], ["0", "3"], np.array([[0.25, 0.75], [1.0, 0.0]]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"b"', b'"a"'),
        (b'"b"', b'"\xc3"'),
        (b'"b"', b'"""'),
        (b'"3"', b'"0"'),
        (b"0.2", b"0/2"),
        (b"1.0", b"2.0"),
        (b"1.0", b"9.9"),
        (b"1.0", b"0.:"),
        (b"1.0", b"-.0"),
        (b"0.25", b"0.2"),
        (b"750000000000000000", b"123456789012345678"),
        (b"}}", b"},"),
        (b"}}", b"}}}"),
        (b"}}", b"}"),
        (b"{", b"["),
        (b",", b", "),
    ],
)
def test_what_is_not_written_so_is_left_to_the_decoder(old: bytes, new: bytes) -> None:
    assert read_rows(GOOD) is not None
    for changed in (GOOD.replace(old, new), GOOD.replace(old, new, 1)):
        assert changed != GOOD
        assert read_rows(changed) is None


@given(st.binary(max_size=60))
@example(b"")
@example(b"{")
@example(b"{}")
@example(b'{"a":{}}')
def test_any_bytes_are_nothing(data: bytes) -> None:
    assert read_rows(data) is None


def test_keys_in_no_order_are_left_to_the_decoder() -> None:
    keys = [str(10 ** (k % 2) + k) for k in range(2, 80)]
    written = b"{%b}" % write_rows(["a"], keys, np.zeros((1, len(keys))))
    assert len(re.findall(rb"0\.0", written)) == len(keys)
    assert read_rows(written) is None
