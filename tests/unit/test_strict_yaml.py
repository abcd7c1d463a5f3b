"""YAML that reads numbers, words and repeated keys as people mean them."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_chem.strict_yaml import YamlError, dump, parse

SCALARS: list[tuple[str, Any]] = [
    ("1e-4", 1e-4),
    ("1E5", 1e5),
    ("2.0e-4", 2e-4),
    (".5", 0.5),
    ("3", 3),
    ("-3", -3),
    ("10_000", 10_000),
    ("010", "010"),
    ("true", True),
    ("no", "no"),
    ("on", "on"),
    ("none", "none"),
    ("null", None),
    ("~", None),
    ("", None),
    ("1:30", "1:30"),
    ("2024-01-01", "2024-01-01"),
    ("'1e-4'", "1e-4"),
    ("CCO", "CCO"),
    ("1e", "1e"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text or "nothing" for text, _ in SCALARS])
def test_a_scalar_is_what_it_looks_like(text: str, value: Any) -> None:
    data, problems = parse(f"key: {text}")
    assert data == {"key": value}
    assert type(data["key"]) is type(value)
    assert problems == []


def test_infinity_and_not_a_number_are_read_for_the_config_to_refuse() -> None:
    data, _ = parse("[.inf, -.inf, .nan]")
    assert data[:2] == [math.inf, -math.inf]
    assert math.isnan(data[2])


def test_every_repeated_key_is_named_with_its_lines() -> None:
    _, problems = parse("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert sorted(problems) == [
        "a: given twice, in lines 1 and 5; keep one",
        "c: given twice, in lines 3 and 4; keep one",
    ]


def test_an_anchor_may_be_merged_and_its_keys_replaced() -> None:
    data, problems = parse("base: &base {x: 1, y: 2}\nmine:\n  <<: *base\n  y: 3\n")
    assert data["mine"] == {"x": 1, "y": 3}
    assert problems == []


def test_an_anchor_that_merges_another_is_merged_before_it_is_read_itself() -> None:
    data, problems = parse("defs:\n  base: &b {x: 1}\n  mid: &m\n    <<: *b\n    x: 2\ntop:\n  <<: *m\n")
    assert data == {"defs": {"base": {"x": 1}, "mid": {"x": 2}}, "top": {"x": 2}}
    assert problems == []


def test_a_number_and_its_text_are_two_keys() -> None:
    assert parse("{1: a, '1': b}") == ({1: "a", "1": "b"}, [])


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: b: c", "a: 1\n--- \nb: 2", "!!python/object/apply:os.getcwd []", "&a [*a]", "[" * 5000, "\x00"],
    ids=["open bracket", "two colons", "two documents", "python tag", "endless alias", "deep", "NUL"],
)
def test_what_is_not_yaml_says_so_on_one_line(text: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12))


@pytest.mark.parametrize("text", [LAUGHS, MERGES], ids=["lists", "merged keys"])
def test_aliases_that_write_out_to_billions_are_refused_at_once(text: str) -> None:
    with pytest.raises(YamlError, match="its aliases write out to more than 100,000 values"):
        parse(text)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
DATA = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(DATA)
def test_what_is_written_reads_back_the_same(data: Any) -> None:
    assert parse(dump(data)) == (data, [])


@pytest.mark.parametrize("text", ["1e-4", "no", "true", "null", "3", "10_000", "", "2024-01-01", "<<"])
def test_a_word_that_looks_like_a_number_stays_a_word(text: str) -> None:
    assert parse(dump({"key": text})) == ({"key": text}, [])
