"""Tables of settings and limits: members of Structs and named constants, with the strings that explain them."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from microrollup.cli.serving import run_command
from microrollup.cli.settings import list_options
from microrollup.deployment.settings_file import name_variable

__all__ = ["explain_members", "render_constants", "render_run_settings", "render_struct"]


def explain_members(cls: type[msgspec.Struct]) -> dict[str, str]:
    """The strings below the members of a Struct, by the names that JSON has for them."""
    module = importlib.import_module(cls.__module__)
    (tree,) = [node for node in _parse(module).body if isinstance(node, ast.ClassDef) and node.name == cls.__name__]
    texts = dict(_explanations(tree.body))
    return {field.encode_name: texts[field.name] for field in msgspec.structs.fields(cls) if field.name in texts}


def render_struct(path: str) -> str:
    """A row per member of a Struct at `module:Class`, under the name that JSON has for it: default and explanation."""
    module_name, _, class_name = path.partition(":")
    cls = getattr(importlib.import_module(module_name), class_name)
    texts = explain_members(cls)
    lines = ["| setting | default | what |", "|---|---|---|"]
    for field in msgspec.structs.fields(cls):
        default = "required" if field.required else _show(field.default)
        lines.append(f"| `{field.encode_name}` | {default} | {texts.get(field.encode_name, '')} |")
    return "\n".join(lines)


def render_run_settings() -> str:
    """A row per option of `run` that is a setting: its variable, its default and what it is for."""
    lines = ["| setting | variable | what |", "|---|---|---|"]
    with click.Context(run_command, info_name="run") as ctx:
        for name, option in list_options(run_command):
            record = option.get_help_record(ctx)
            text = " ".join((record or ("", ""))[1].split()).replace("|", " or ")
            lines.append(
                f"| `{name}` | `{name_variable(name)}` | {text.replace('<=x<=', ' to ').replace('x>=', 'at least ')} |"
            )
    return "\n".join(lines)


def render_constants(*modules: str) -> str:
    """A row per public constant of modules that is explained: value and explanation."""
    lines = ["| limit | value | what |", "|---|---|---|"]
    for name in modules:
        module = importlib.import_module(name)
        lines += [
            f"| `{constant}` | {_show(getattr(module, constant))} | {text} |"
            for constant, text in _explanations(_parse(module).body)
            if constant.isupper() and constant[0] != "_" and isinstance(getattr(module, constant), (int, float))
        ]
    return "\n".join(lines)


def _parse(module: Any) -> ast.Module:
    return ast.parse(Path(inspect.getfile(module)).read_text(encoding="utf-8"))


def _explanations(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Names with an annotation, each with the string below it."""
    for statement, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        match after:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield statement.target.id, " ".join(text.split())
            case _:
                pass


def _show(value: object) -> str:
    """A default as a reader wants it."""
    match value:
        case bool() | None:
            return str(value).lower()
        case int() | float():
            return f"{value:,}".removesuffix(".0")
        case bytes():
            return f"0x{value.hex()}"
        case msgspec.Struct():
            return "below"
        case ():
            return "none"
        case _:
            return str(value)
