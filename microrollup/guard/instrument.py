"""The metered form of a function, made from its syntax tree: every operation that may take long goes through a helper.

Helpers have names that no source can spell, as `$add`. What costs no more than it is written, as reading an attribute
or making a Struct, stays as it is.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from typing import Any, Final

from microrollup.guard.nodes import list_nodes
from microrollup.guard.operators import BINARY_NAMES, COMPARE_NAMES

__all__ = ["instrument"]

_IDENTITY: Final = (ast.Is, ast.IsNot)
_PLAIN_OPERANDS: Final = (ast.Name, ast.Constant)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def instrument(function: ast.FunctionDef, name: str, resolve: Callable[[str], str | None]) -> ast.FunctionDef:
    """A function's metered form under another name, without decorators, annotations and values of defaults.

    `resolve` says for a name of the module how a call of it is written: another name, the same one for what needs no
    helper, or None for what is found out when it is called.
    """
    metered = copy.deepcopy(function)
    metered.name = name
    nodes = list_nodes(metered)
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node is not metered}
    bound |= {
        node.name for node in nodes if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name
    }
    metered.decorator_list = []
    metered.args.defaults = [ast.Constant(None) for _ in metered.args.defaults]
    metered.args.kw_defaults = [None if value is None else ast.Constant(None) for value in metered.args.kw_defaults]
    transformer = _Transformer(lambda called: None if called in bound else resolve(called))
    return ast.fix_missing_locations(transformer.transform_function(metered))


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _yields(function: _Function) -> bool:
    """Whether a function is a generator: a yield of its own, not of a function in it."""
    pending: list[ast.AST] = list(function.body) if isinstance(function.body, list) else [function.body]
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))
    return False


class _Transformer(ast.NodeTransformer):
    def __init__(self, resolve: Callable[[str], str | None]) -> None:
        self._resolve = resolve
        self._temporaries = 0

    # Functions

    def transform_function(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Count the call and its depth; a generator's are counted each time it goes on."""
        is_generator = _yields(node)
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        node.returns = None
        visited = [self.visit(statement) for statement in node.body]
        node.body = [each for part in visited for each in (part if isinstance(part, list) else [part])]
        if is_generator:
            node.decorator_list = [ast.Name("$generator", ast.Load())]
        else:
            leave = ast.Expr(_call("$leave"))
            node.body = [ast.Expr(_call("$enter")), ast.Try(node.body, [], [], [leave])]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.args.defaults = [self.visit(value) for value in node.args.defaults]
        return self.transform_function(node)

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        node.args.defaults = [self.visit(value) for value in node.args.defaults]
        pair = ast.Tuple([_call("$tick"), self.visit(node.body)], ast.Load())
        node.body = ast.Subscript(pair, ast.Constant(1), ast.Load())
        return node

    def visit_YieldFrom(self, node: ast.YieldFrom) -> Any:
        node.value = _call("$each", self.visit(node.value))
        return node

    # Loops

    def visit_For(self, node: ast.For) -> Any:
        self.generic_visit(node)
        node.iter = _call("$each", node.iter)
        return node

    def visit_While(self, node: ast.While) -> Any:
        self.generic_visit(node)
        node.body.insert(0, ast.Expr(_call("$tick")))
        return node

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        self.generic_visit(node)
        node.iter = _call("$each", node.iter)
        return node

    def visit_Starred(self, node: ast.Starred) -> Any:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = _call("$each", node.value)
        return node

    # Operators

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        return _call(BINARY_NAMES[type(node.op)], self.visit(node.left), self.visit(node.right))

    def visit_Compare(self, node: ast.Compare) -> Any:
        operands = [node.left, *node.comparators]
        if all(isinstance(operation, _IDENTITY) for operation in node.ops):
            return self.generic_visit(node)
        if len(node.ops) == 1:
            return self._compare(node.ops[0], self.visit(operands[0]), self.visit(operands[1]))
        if all(isinstance(operand, _PLAIN_OPERANDS) for operand in operands[1:-1]):
            parts: list[ast.expr] = [
                self._compare(operation, self.visit(copy.deepcopy(left)), self.visit(copy.deepcopy(right)))
                for operation, left, right in zip(node.ops, operands[:-1], operands[1:], strict=True)
            ]
            return ast.BoolOp(ast.And(), parts)
        nothing = ast.arguments([], [], None, [], [], None, [])
        arguments: list[ast.expr] = [self._name(node.ops[0]), self.visit(operands[0])]
        for position, operand in enumerate(operands[1:]):
            if position:
                arguments.append(self._name(node.ops[position]))
            arguments.append(ast.Lambda(copy.deepcopy(nothing), self.visit(operand)))
        return _call("$chain", *arguments)

    def _compare(self, operation: ast.cmpop, left: ast.expr, right: ast.expr) -> ast.expr:
        if isinstance(operation, _IDENTITY):
            return ast.Compare(left, [operation], [right])
        return _call(COMPARE_NAMES[type(operation)], left, right)

    def _name(self, operation: ast.cmpop) -> ast.Name:
        return ast.Name(COMPARE_NAMES[type(operation)], ast.Load())

    # Entries

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            return _call("$item", node.value, _make_key(node.slice))
        node.slice = _call("$key", _make_key(node.slice))
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        if len(node.targets) > 1 or not isinstance(node.targets[0], ast.Subscript):
            if any(isinstance(child, ast.Starred) for target in node.targets for child in ast.walk(target)):
                node.value = _call("$take", node.value)
            return self.generic_visit(node)
        target = node.targets[0]
        value = self._keep(self.visit(node.value))
        return [
            value[0],
            ast.Expr(_call("$set", self.visit(target.value), _make_key(self.visit(target.slice)), value[1])),
        ]

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        name = f"$i{BINARY_NAMES[type(node.op)][1:]}"
        target = node.target
        if isinstance(target, ast.Name):
            value = _call(name, ast.Name(target.id, ast.Load()), self.visit(node.value))
            return ast.Assign([target], value)
        if isinstance(target, ast.Subscript):
            first, container = self._keep(self.visit(target.value))
            second, key = self._keep(_make_key(self.visit(target.slice)))
            value = _call(name, _call("$item", container, key), self.visit(node.value))
            return [first, second, ast.Expr(_call("$set", copy.deepcopy(container), copy.deepcopy(key), value))]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.Pass()
        return self.visit_Assign(ast.Assign([node.target], node.value))

    def visit_Delete(self, node: ast.Delete) -> Any:
        if not any(isinstance(target, ast.Subscript) for target in node.targets):
            return self.generic_visit(node)
        return [
            ast.Expr(_call("$del", self.visit(target.value), _make_key(self.visit(target.slice))))
            if isinstance(target, ast.Subscript)
            else ast.Delete([target])
            for target in node.targets
        ]

    def _keep(self, value: ast.expr) -> tuple[ast.stmt, ast.expr]:
        """A statement that keeps a value, and the name that holds it."""
        self._temporaries += 1
        name = f"$v{self._temporaries}"
        return ast.Assign([ast.Name(name, ast.Store())], value), ast.Name(name, ast.Load())

    # Calls and texts

    def visit_Call(self, node: ast.Call) -> Any:
        function = node.func
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self._visit_keyword(keyword) for keyword in node.keywords]
        if isinstance(function, ast.Name):
            called = self._resolve(function.id)
            if called is not None:
                node.func = ast.Name(called, ast.Load())
                return node
        if isinstance(function, ast.Attribute):
            node.args = [self.visit(function.value), ast.Constant(function.attr), *node.args]
            node.func = ast.Name("$method", ast.Load())
            return node
        node.args = [self.visit(function), *node.args]
        node.func = ast.Name("$call", ast.Load())
        return node

    def _visit_keyword(self, keyword: ast.keyword) -> ast.keyword:
        value = self.visit(keyword.value)
        return ast.keyword(keyword.arg, _call("$spread", value) if keyword.arg is None else value)

    def visit_Dict(self, node: ast.Dict) -> Any:
        self.generic_visit(node)
        for position, key in enumerate(node.keys):
            if key is None:
                node.values[position] = _call("$spread", node.values[position])
            else:
                node.keys[position] = _call("$key", key)
        return node

    def visit_DictComp(self, node: ast.DictComp) -> Any:
        self.generic_visit(node)
        node.key = _call("$key", node.key)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        parts: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                spec = ast.Constant("") if part.format_spec is None else part.format_spec
                text = spec if isinstance(spec, ast.Constant) else self.visit(spec)
                parts.append(_call("$show", self.visit(part.value), ast.Constant(part.conversion), text))
            else:
                parts.append(part)
        return _call("$join", *parts)


def _make_key(key: ast.expr) -> ast.expr:
    if isinstance(key, ast.Slice):
        nothing = ast.Constant(None)
        return _call("$slice", key.lower or nothing, key.upper or nothing, key.step or nothing)
    return key
