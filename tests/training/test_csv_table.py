"""CSV files as tables."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennylane_qstore.errors import ConfigurationError
from pennylane_qstore.training.csv_table import read_csv, read_number


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "my.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_as_programs_write_it(written, separator, end):
    lines = ["\ufeffage,size", '4,"1.5"', "", " 5 ,-2e-3", ""]
    table = read_csv(written(end.join(lines).replace(",", separator)))
    assert table.columns == ("age", "size")
    assert table.numbers(["size", "age"]).tolist() == [[1.5, 4.0], [-0.002, 5.0]]
    assert table.texts("age") == ["4", "5"]
    assert table.lines == (2, 4)


def test_a_cell_may_have_lines_of_its_own(written):
    table = read_csv(written('name,age\n"two\nlines, one cell",3\nx,four\n'))
    assert table.texts("name")[0] == "two\nlines, one cell"
    with pytest.raises(ConfigurationError, match="line 4, column 'age': 'four' is no number"):
        table.numbers(["age"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no rows"),
        ("a,b\n", "has no rows"),
        ("a,b\n1,2\n1,2,3\n", r"line 3: 3 cells, and the first line names 2 columns"),
        ("a,,c\n1,2,3\n", "line 1: column 2 has no name"),
        ("a,b,a\n1,2,3\n", "line 1: two columns are named 'a'"),
        ('a,b\n1,2\n"3,4\n', "line 3: unexpected end of data"),
        ('a,b\n1,2\n"3"x,4\n', "line 3: ',' expected after"),
        (b"a,b\n1,2\n3,\xe4\n", "line 3: no text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "line 1: no text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1: no text in UTF-8"),
        (f"a\n{'9' * 200_000}\n", "line 2: field larger than field limit"),
    ],
)
def test_a_damaged_table_is_refused_by_its_line(written, content, said):
    with pytest.raises(ConfigurationError, match=said):
        read_csv(written(content))


@pytest.mark.parametrize("cell", ["", " ", "nan", "inf", "1e999", "1e300", "1_0", "1,5", "\x1b[2J"])
def test_what_is_no_number_is_named_by_line_and_column(written, cell):
    table = read_csv(written(f'a,the size\n1,2\n3,"{cell}"\n'))
    with pytest.raises(ConfigurationError, match=r"my.csv', line 3, column 'the size'") as caught:
        table.numbers(["the size"])
    assert "\x1b" not in str(caught.value)


def test_a_cell_in_a_message_is_short(written):
    table = read_csv(written(f"a\n{'x' * 10_000}\n"))
    with pytest.raises(ConfigurationError) as caught:
        table.numbers(["a"])
    assert len(str(caught.value)) < 400


def test_a_column_that_is_not_there_is_told_beside_those_that_are(written):
    with pytest.raises(ConfigurationError, match=r"no column 'c'. Its first line names: 'a', 'b'"):
        read_csv(written("a,b\n1,2\n")).numbers(["c"])


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(ConfigurationError, match="directory"):
        read_csv(tmp_path)
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(100_000_001)
    with pytest.raises(ConfigurationError, match="larger than 100 MB"):
        read_csv(large)


@given(st.binary(max_size=60))
def test_no_content_does_worse_than_an_error_that_is_told(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_bytes(b"a,b\n1,2\n" + content)
    with suppress(ConfigurationError):
        table = read_csv(path)
        assert len(table.numbers(table.columns)) == len(table.rows)


@given(st.floats(allow_nan=False, min_value=-1e99, max_value=1e99))
def test_numbers_are_read_as_they_are_written(value):
    assert read_number(repr(value)) == value
