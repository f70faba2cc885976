"""What mutation testing found, and that the copy it works on is still the package."""

import ast
import json

import mutants
import pytest

FOUND = json.loads(mutants.REPORT.read_text())["modules"]


@pytest.mark.parametrize("part", FOUND, ids=lambda part: part["module"])
def test_at_least_85_percent_are_killed_and_every_survivor_has_a_reason(part):
    assert part["tried"] == part["mutants"] or part["tried"] >= 40
    assert part["killed"] + len(part["survivors"]) == part["tried"]
    assert part["killed"] >= 0.85 * part["tried"]
    assert [survivor["what"] for survivor in part["survivors"] if not survivor["why"]] == []


def test_every_module_was_tried():
    assert [part["module"] for part in FOUND] == mutants.modules()


def test_decorators_are_spelled_out():
    source = """
@a
@b(1)
def f(x):
    return x

class C:
    @staticmethod
    @a
    def g(x):
        return x

    @staticmethod
    def h(x):
        return x
"""
    expected = """
def f_plain(x):
    return x
f = a(b(1)(f_plain))

class C:
    @staticmethod
    def g_plain(x):
        return x
    g = staticmethod(a(g_plain))

    @staticmethod
    def h(x):
        return x
"""
    assert ast.dump(ast.parse(mutants.spelled_out(source))) == ast.dump(ast.parse(expected))
