"""The nodes of syntax trees."""

from __future__ import annotations

import ast

from microrollup.guard.nodes import list_nodes
from paths import ROOT


def test_they_are_those_of_ast_walk_in_its_order() -> None:
    """Of every module of a room, and of a tree that is deeper than the interpreter would recurse."""
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "microrollup" / "guard").glob("*.py"))]
    deep: ast.expr = ast.Name("x", ast.Load())
    for _ in range(10_000):
        deep = ast.UnaryOp(ast.Not(), deep)
    for tree in [*map(ast.parse, sources), ast.Module([ast.Expr(deep)], [])]:
        assert [id(node) for node in ast.walk(tree)] == [id(node) for node in list_nodes(tree)]
