"""Reading data files: every format, and every way in which one can be wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from sage_spo.errors import TaskError
from sage_spo.tasks.files import read_rows


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_json_lines_with_blank_lines_byte_order_mark_and_odd_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + '{"input": "x\u2028y"}\r\n\n{"input": "z"}'.encode())
    rows = read_rows(path)
    assert [row.values["input"] for row in rows] == ["x\u2028y", "z"]
    assert [row.where for row in rows] == ["a.jsonl line 1", "a.jsonl line 3"]


def test_csv_values_are_text_and_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'input,expected\n"two\nlines",007\n\nlast,1.0\n')
    rows = read_rows(path)
    assert rows[0].values == {"input": "two\nlines", "expected": "007"}
    assert [row.where for row in rows] == ["a.csv line 2", "a.csv line 5"]


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", "\t"), ("A.CSV", ",")])
def test_csv_with_other_delimiters(tmp_path: Path, name: str, mark: str) -> None:
    rows = read_rows(write(tmp_path / name, f"input{mark}expected\nx{mark}y\n"))
    assert rows[0].values == {"input": "x", "expected": "y"}


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"input": ["x", "y"], "expected": [1, 2]}).to_parquet(path)
    assert read_rows(path)[1].values == {"input": "y", "expected": 2}
    assert read_rows(path)[1].where == "a.parquet row 2"


def test_parquet_without_its_extra_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(TaskError) as error:
        read_rows(write(tmp_path / "a.parquet", "x"))
    assert "sage-spo[parquet]" in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"input": "x"}\n{"input": "caf\xe9"}\n', ["a.jsonl line 2", "UTF-8", "0xe9"]),
        ("a.csv", b"input,expected\nx,y\ncaf\xe9,y\n", ["a.csv line 3", "UTF-8"]),
        ("a.jsonl", '{"input": "x"}\n{"input": \n', ["a.jsonl line 2", "not JSON"]),
        ("a.jsonl", '[\n{"input": "x"}\n]', ["a.jsonl line 1", "one whole JSON object"]),
        ("a.jsonl", '{"input": "x"}\n["x"]\n', ["a.jsonl line 2", "found list"]),
        ("a.jsonl", "[" * 100_000, ["a.jsonl line 1"]),
        ("a.jsonl", "\n \n", ["a.jsonl is empty"]),
        ("a.csv", "", ["a.csv is empty"]),
        ("a.csv", "input,expected\n", ["a.csv is empty"]),
        ("a.csv", "input,expected\nx,y\none, two,y\n", ["a.csv line 3", "3 values for 2 fields"]),
        ("a.csv", "input,,x\na,b,c\n", ["a.csv line 1", "column 2 has no name"]),
        ("a.csv", "input,input\na,b\n", ["a.csv line 1", "two columns are named 'input'"]),
        ("a.csv", 'input,expected\n"open,y\n', ["a.csv", "not CSV"]),
        ("a.csv", "input,expected\nx\0,y\n", ["a.csv", "zero bytes"]),
        ("a.parquet", "no parquet", ["a.parquet", "Parquet"]),
        ("a.xlsx", "x", ["a.xlsx", ".jsonl, .csv"]),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, name: str, content: str | bytes, words: list[str]) -> None:
    with pytest.raises(TaskError) as error:
        read_rows(write(tmp_path / name, content))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_missing_file_gives_the_nearest_name(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"tickets.{suffix}", "x")
    with pytest.raises(TaskError, match="No such file") as error:
        read_rows(tmp_path / f"tikets.{suffix}")
    assert f"Did you mean 'tickets.{suffix}'?" in str(error.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(TaskError, match="cannot be read"):
        read_rows(tmp_path / "a.csv")
