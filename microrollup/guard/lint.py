"""The lint: what an app's code may not hold: machines could differ over it, or its steps could not be counted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from microrollup.guard.names import BUILTINS, INSTEAD, LIMIT_ERRORS, REFUSED_METHODS, is_importable
from microrollup.guard.nodes import list_nodes

__all__ = ["RULES", "LintFinding", "lint_module", "list_local"]

RULES: Final = {
    "assign": "code changes something that is not its own",
    "async": "code waits",
    "class": "a class gives operators or attributes another meaning",
    "decorator": "another function stands for the one that is written",
    "except": "a handler could take a limit for an outcome, or read a text that differs between versions",
    "finally": "a `finally` hides how the block before it ended",
    "float": "floats differ between machines",
    "format": "a text is formatted in a way that is not checked",
    "function": "the steps of a function that is not written in its module or a class there are not counted",
    "global": "a function keeps something outside of the state",
    "import": "another module's results may differ, or cannot be counted",
    "match": "a pattern compares without being counted",
    "module": "a module does something when it is imported",
    "mutable": "a value of the module can change from one action to the next",
    "name": "a builtin's result may differ, or cannot be counted",
    "set": "the order of a set differs between processes",
    "with": "a context manager runs code that is not written here",
}
"""Rule -> why it is there."""

MAX_WIDTH: Final = 256
"""Of a format: width and precision."""

_MUTABLE: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
_MUTABLE_CALLS: Final = frozenset(
    {"list", "dict", "set", "bytearray", "defaultdict", "deque", "iter", "map", "filter", "zip"}
)
_AT_MODULE_LEVEL: Final = (
    ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.ClassDef, ast.FunctionDef, ast.Assert,
    ast.Pass,
)  # fmt: skip
_LOOPS_OUT: Final = (ast.Return, ast.Break, ast.Continue)


class LintFinding(msgspec.Struct, frozen=True, order=True):
    """One place in an app's code that is refused."""

    module: str
    line: int
    rule: str
    """A key of `RULES`."""
    what: str
    """What stands there."""
    instead: str
    """What to write."""

    def explain(self) -> str:
        """What, why, and what instead, in one sentence."""
        return f"{self.what}: {RULES[self.rule]}; {self.instead} ({self.rule})"


def lint_module(
    tree: ast.Module, module: str, is_own: Callable[[str], bool], libraries: Iterable[str]
) -> list[LintFinding]:
    """All findings in a module's tree, by line.

    `is_own` says whether a module is the app's; `libraries` are foreign packages that the app declares.
    """
    return sorted(set(_Lint(tree, module, is_own, frozenset(libraries)).find()))


class _Lint:
    def __init__(self, tree: ast.Module, module: str, is_own: Callable[[str], bool], libraries: frozenset[str]) -> None:
        self._tree = tree
        self._module = module
        self._is_own = is_own
        self._libraries = libraries
        self._nodes = list_nodes(tree)
        self._bound = _list_bound(self._nodes)
        self._mutable = _list_mutable(tree)
        self._foreign: dict[str, str] = {}
        self._constant_sets = {
            id(node.comparators[0])
            for node in self._nodes
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn))
            if isinstance(node.comparators[0], ast.Set)
        }

    def find(self) -> Iterator[LintFinding]:
        yield from self._check_module_level()
        for node in self._nodes:
            yield from self._check_import(node)
        annotations = _list_annotations(self._nodes)
        for node in self._nodes:
            if id(node) not in annotations:
                yield from self._check_value(node)
                yield from self._check_statement(node)
        for node in self._nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                yield from self._check_function(node)
            elif isinstance(node, ast.ClassDef):
                yield from self._check_class(node)

    def _say(self, node: Any, rule: str, what: str, instead: str) -> LintFinding:
        return LintFinding(self._module, getattr(node, "lineno", 1), rule, what, instead)

    def _check_module_level(self) -> Iterator[LintFinding]:
        for node in self._tree.body:
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_typing = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
            if not (isinstance(node, _AT_MODULE_LEVEL) or is_text or is_typing):
                kind = type(node).__name__.lower()
                yield self._say(node, "module", f"`{kind}` at module level", "write the value out, or a function")

    def _check_import(self, node: ast.AST) -> Iterator[LintFinding]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if not self._may_import(alias.name, None):
                    yield self._refuse_import(node, alias.name)
                elif not self._is_own(alias.name):
                    self._foreign[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                if not self._may_import(node.module or "", alias.name):
                    yield self._refuse_import(node, f"{node.module}.{alias.name}")

    def _may_import(self, module: str, name: str | None) -> bool:
        return self._is_own(module) or module.partition(".")[0] in self._libraries or is_importable(module, name)

    def _refuse_import(self, node: ast.AST, name: str) -> LintFinding:
        instead = "write it in the app; for facts from outside, let an oracle sign an action"
        if name.startswith("hashlib"):
            instead = "use keccak256 from microrollup.crypto.keccak"
        elif name.startswith(("time", "datetime")):
            instead = "use ctx.timestamp"
        elif name.startswith("re."):
            instead = "compare with startswith, find and slices"
        return self._say(node, "import", f"imports {name}", instead)

    def _check_value(self, node: ast.AST) -> Iterator[LintFinding]:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name not in self._bound and name not in BUILTINS:
                rule = "float" if name in ("float", "complex") else "set" if name in ("set", "frozenset") else "name"
                yield self._say(node, rule, f"uses {name}", INSTEAD.get(name, "write it in the app"))
            case ast.Constant(value=float() | complex()):
                yield self._say(
                    node, "float", f"holds {ast.unparse(node)}", "count in the smallest unit, as an integer"
                )
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield self._say(node, "float", "divides with /", "write //")
            case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str() | bytes()) | ast.JoinedStr()):
                yield self._say(node, "format", "formats with %", "use an f-string")
            case ast.BinOp(op=ast.MatMult()):
                yield self._say(node, "name", "uses @", "write a function")
            case ast.Set() if not self._is_constant_set(node):
                yield self._say(node, "set", "makes a set", INSTEAD["set"])
            case ast.SetComp():
                yield self._say(node, "set", "makes a set", INSTEAD["set"])
            case ast.Attribute(attr=name) if name.startswith("__"):
                yield self._say(node, "name", f"reaches {name}", "name what you need")
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in self._foreign:
                module = self._foreign[name]
                if module.partition(".")[0] not in self._libraries and not is_importable(module, attr):
                    yield self._refuse_import(node, f"{module}.{attr}")
            case ast.Call(func=ast.Attribute(attr=name)) if name in REFUSED_METHODS:
                yield self._say(
                    node, "format" if "format" in name else "name", f"calls .{name}()", "use an f-string or a loop"
                )
            case ast.Call(func=ast.Name(id="type"), args=args, keywords=keywords) if len(args) + len(keywords) != 1:
                yield self._say(node, "class", "makes a class", "write it at module level")
            case ast.FormattedValue(format_spec=ast.JoinedStr(values=values)):
                if any(not isinstance(value, ast.Constant) for value in values):
                    yield self._say(node, "format", "computes a format", "write the format out, or use ljust and rjust")
                elif any(_is_wide(str(value.value)) for value in values if isinstance(value, ast.Constant)):
                    yield self._say(node, "format", "formats too wide", f"at most {MAX_WIDTH} characters")

    def _is_constant_set(self, node: ast.Set) -> bool:
        return id(node) in self._constant_sets and all(isinstance(each, ast.Constant) for each in node.elts)

    def _check_statement(self, node: ast.AST) -> Iterator[LintFinding]:
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield self._say(node, "assign", f"assigns {ast.unparse(node)}", "use replace(value, name=...)")
            case ast.Global(names=names):
                yield self._say(node, "global", f"global {', '.join(names)}", "keep it in the state")
            case ast.With() | ast.AsyncWith():
                yield self._say(node, "with", "uses `with`", "call functions")
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor():
                yield self._say(node, "async", "is async", "an STF waits for nothing")
            case ast.ExceptHandler():
                yield from self._check_handler(node)
            case ast.Try(finalbody=[_, *_]):
                if any(isinstance(each, _LOOPS_OUT) for part in node.finalbody for each in list_nodes(part)):
                    yield self._say(node, "finally", "leaves a `finally`", "leave after it")
                if any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in list_nodes(node)):
                    yield self._say(node, "finally", "yields in a `try` with `finally`", "return a list")
            case ast.MatchValue(value=value) if not isinstance(value, (ast.Constant, ast.UnaryOp)):
                yield self._say(value, "match", f"matches {ast.unparse(value)}", "compare with ==")
            case ast.MatchMapping():
                yield self._say(node, "match", "matches a mapping", "look the keys up")

    def _check_handler(self, node: ast.ExceptHandler) -> Iterator[LintFinding]:
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        for kind in kinds:
            name = None if kind is None else ast.unparse(kind)
            if name is None or name in LIMIT_ERRORS:
                yield self._say(node, "except", f"catches {name or 'everything'}", "name what you expect, as KeyError")
            elif node.name is not None and name in BUILTINS:
                yield self._say(node, "except", f"reads a {name}", "drop `as`: its text is not the same everywhere")

    def _check_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[LintFinding]:
        if node.args.kwonlyargs or node.args.kwarg:
            yield self._say(node, "name", "takes arguments by keyword only", "take them by position")
        for default in node.args.defaults:
            if isinstance(default, _MUTABLE) or _is_call_of(default, _MUTABLE_CALLS):
                yield self._say(default, "mutable", "has a default that can change", "write a tuple, or None")
        if not isinstance(node, ast.Lambda):
            for decorator in node.decorator_list:
                yield self._say(decorator, "decorator", f"@{ast.unparse(decorator)}", "call it in the function")
        for each in list_nodes(node):
            if (
                isinstance(each, ast.Name)
                and isinstance(each.ctx, ast.Load)
                and each.id in self._mutable
                and each.id not in list_local(node)
            ):
                yield self._say(each, "mutable", f"uses {each.id}", "write a tuple, or keep it in the state")
            if isinstance(each, (ast.ClassDef, ast.Import, ast.ImportFrom)):
                yield self._say(each, "module", "is made anew with each call", "write it at module level")

    def _check_class(self, node: ast.ClassDef) -> Iterator[LintFinding]:
        for decorator in node.decorator_list:
            yield self._say(decorator, "decorator", f"@{ast.unparse(decorator)}", "use a Struct")
        for keyword in node.keywords:
            if keyword.arg in (None, "metaclass"):
                yield self._say(node, "class", "has a metaclass", "use a Struct")
        for each in node.body:
            if isinstance(each, ast.FunctionDef) and each.name.startswith("__"):
                yield self._say(each, "class", f"defines {each.name}", "write a function with a name of its own")
            value = each.value if isinstance(each, (ast.Assign, ast.AnnAssign)) else None
            if isinstance(value, _MUTABLE) and not (isinstance(value, ast.List) and not value.elts):
                yield self._say(each, "mutable", "has a default that can change", "write a tuple, or None")


def _list_bound(nodes: list[ast.AST]) -> set[str]:
    """Every name that the module binds, anywhere but as a member of a class: a method `open` hides no builtin."""
    bound: set[str] = set()
    members = _list_members(nodes)
    for node in nodes:
        if id(node) in members:
            continue
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                bound.add(name)
            case ast.ClassDef(name=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case ast.alias(name=name, asname=asname):
                bound.add(asname or name.partition(".")[0])
    return bound


def _list_members(nodes: list[ast.AST]) -> set[int]:
    """Ids of the nodes that bind the members of classes."""
    members: set[int] = set()
    for node in nodes:
        for each in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
                members.add(id(each))
            elif isinstance(each, (ast.Assign, ast.AnnAssign)):
                targets = each.targets if isinstance(each, ast.Assign) else [each.target]
                members |= {id(name) for target in targets for name in list_nodes(target)}
    return members


def _list_mutable(tree: ast.Module) -> set[str]:
    """Names of the module that hold a value which can change."""
    mutable: set[str] = set()
    for node in tree.body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if isinstance(node.value, _MUTABLE) or _is_call_of(node.value, _MUTABLE_CALLS):
            mutable |= {each.id for target in targets for each in list_nodes(target) if isinstance(each, ast.Name)}
    return mutable - {"__all__"}


def list_local(function: ast.AST) -> set[str]:
    """Names that a function binds: its parameters and what it assigns."""
    nodes = list_nodes(function)
    return {each.arg for each in nodes if isinstance(each, ast.arg)} | {
        each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def _list_annotations(nodes: list[ast.AST]) -> set[int]:
    """Ids of all nodes in annotations: they are no code that decides outcomes."""
    roots: list[ast.AST | None] = []
    for node in nodes:
        if isinstance(node, (ast.arg, ast.AnnAssign)):
            roots.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            roots.append(node.returns)
    return {id(each) for root in roots if root is not None for each in list_nodes(root)}


def _is_call_of(node: ast.AST, names: frozenset[str]) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _is_wide(spec: str) -> bool:
    """Whether a format's width or precision is beyond `MAX_WIDTH`."""
    digits = "".join([each if each.isdigit() else " " for each in spec])
    return any(int(number) > MAX_WIDTH for number in digits.split())
