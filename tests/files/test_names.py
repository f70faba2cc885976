"""names: one form for what looks the same, nothing that a disk or a terminal refuses."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrastive_tutorial.files.names import clean, legacy_code, safe_name, shown


def test_shown_fits_one_line():
    assert shown("a\nb\x1b[31m\udcff") == "a\ufffdb\ufffd[31m\ufffd"
    assert len(shown("x" * 5_000)) < 110


@pytest.mark.parametrize("same", ["e\u0301t\u00e9", "\u00e9te\u0301", " \u00e9\u200bt\u00e9\u3000"])
def test_names_that_look_the_same_are_the_same(same):
    assert clean(same) == "\u00e9t\u00e9"


def test_ordinary_names_stay():
    for name in (
        "my photos",
        "图片 (1)",
        "cifar10-jpeg75",
        "Ångström_2.0",
        "می خواهم",
        "it's [v2]",
    ):
        assert safe_name(name) == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b\\c", "a_b_c"), (".hidden", "hidden"), ("..", "images"), ("", "images"),
        ("dot. ", "dot"), ("x\x07\udcffy", "x__y"), ("a:b|c?*", "a_b_c__"),
        ("<script>", "_script_"), ("x" * 500, "x" * 80), ("a\u202eb", "ab"),
    ],
)  # fmt: skip
def test_what_a_disk_or_a_page_refuses_goes(name, safe):
    assert safe_name(name) == safe


@given(st.text(max_size=120))
def test_a_safe_name_is_one_folder_and_stays_as_it_is(text):
    name = safe_name(text)
    assert safe_name(name) == name
    assert name.isprintable()
    assert name == unicodedata.normalize("NFC", name)
    assert name[0] not in ". "
    assert not set(name) & set('/\\:*?"<>|')
    assert 0 < len(name) <= 80
    assert len(name.encode()) < 250


@pytest.mark.parametrize(
    ("names", "code", "found"),
    [
        (["\u6771\u4eac\u30bf\u30ef\u30fc"], "cp932", "cp932"),
        (["\u8054\u901a"], "gbk", "gb18030"),
        (["Stra\u00dfe", "K\u00e4se", "Gr\u00f6\u00dfe"], "cp437", "cp437"),
        (["\u043a\u043e\u0442"], "cp866", "cp437"), (["plain"], "ascii", "utf-8"),
        (["H\u00fchner", "V\u00f6gel"], "cp437", "cp437"),
        (["\u00e9l\u00e9phant", "ch\u00e2teau"], "cp850", "cp437"),
        (["\u00c4pfel"], "cp1252", "cp437"),
        (["\u30cd\u30b3", "\u30a4\u30cc"], "cp932", "cp932"),
    ],
)  # fmt: skip
def test_the_code_of_names_is_guessed_by_common_characters(names, code, found):
    assert legacy_code([name.encode(code) for name in names]) == found


@given(st.lists(st.binary(max_size=12), max_size=4))
def test_any_bytes_have_a_code(names):
    code = legacy_code(names)
    assert all(isinstance(name.decode(code), str) for name in names)
