"""`MicroRollup`: the declaration of a rollup, checked and compiled: state shape, actions, STFs, and the code's id."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self, cast

from microrollup.chain.block_entry import BlockBegin
from microrollup.chain.record import DomainConfig
from microrollup.declaration.action import Action, ActionType, ActionTypes, Event
from microrollup.declaration.arguments import check_names, check_values
from microrollup.declaration.envelope import Envelope, compile_envelopes
from microrollup.declaration.events import compile_event_encoder, find_event_classes
from microrollup.declaration.field_numbers import FieldNumbers
from microrollup.declaration.manifest import (
    RULES_VERSION,
    FieldEntry,
    Manifest,
    ModuleEntry,
    StfEntry,
    compute_stf_id,
    name_callable,
    require_asserts,
    sort_items,
)
from microrollup.declaration.map import Map
from microrollup.declaration.method_set import MethodSet
from microrollup.declaration.modules import Package
from microrollup.declaration.named import find_app
from microrollup.declaration.signature import BlockHook, Stf, lift_hook, read_hook, read_stf
from microrollup.declaration.state import State, StateField, StateType, describe_state
from microrollup.declaration.state_part import StatePart
from microrollup.declaration.upgrade import Upgrade, check_migration
from microrollup.errors import DeclarationError, UsageError, ValueOutOfBounds
from microrollup.guard.lint import LintFinding, lint_module
from microrollup.guard.values import inspect_modules
from microrollup.primitives import ZERO_ADDRESS

__all__ = ["MicroRollup", "load_rollup"]

DEFAULT_CHAIN_ID: Final = 31337

_FRAMEWORK: Final = Path(__file__).parent.parent
_PYTHON: Final = Path(sysconfig.get_path("stdlib"))


class MicroRollup:
    """A rollup as its author declares it.

    `name` and `version` are those of the EIP-712 domain; `genesis` is the first state, or, for a version that follows
    on another, `state` is the state's class and `previous` the `Upgrade` from the version before; `stfs` are the state
    transition functions, each `(state, action, ctx) -> state`, annotated with its action's class and with the state's,
    or with that of a part of it. `on_block` is a function `(state, ctx) -> state` that runs at the beginning of each
    block. `envelopes` are the app's own formats in which actions come, each a subclass of `Envelope`. `libraries` names
    foreign packages that the app's modules import: the author answers for their results being the same everywhere.
    `allow` names rules of the lint that the author answers for; it is part of the stfId. `rules` is the version of the
    kernel's rules that the app is written for. `reads` is the name of the module that holds the app's queries, `pages`
    of that with pages for the explorer, `methods` of that with methods of its own; `method_sets` are more of them, by
    name; `admission` is the name of that with the policy by which nodes refuse actions. A node imports these, they do
    not count towards the stfId. Raises `DeclarationError` for anything that could not be executed or committed to.
    """

    def __new__(cls, *positional: object, **named: object) -> Self:
        """Check the names of the arguments: Python's own words for a wrong one would not say what to write."""
        check_names(cls.__init__, positional, named)
        return super().__new__(cls)

    def __init__(
        self,
        *,
        name: str,
        version: str,
        genesis: State | None = None,
        state: type[State] | None = None,
        previous: Upgrade | None = None,
        stfs: Sequence[Stf],
        on_block: BlockHook | None = None,
        envelopes: Sequence[type[Envelope]] = (),
        libraries: Sequence[str] = (),
        allow: Sequence[str] = (),
        rules: int = RULES_VERSION,
        reads: str | None = None,
        methods: str | None = None,
        pages: str | None = None,
        method_sets: Mapping[str, MethodSet] | None = None,
        admission: str | None = None,
    ) -> None:
        modules = {"reads": reads, "methods": methods, "pages": pages, "admission": admission}
        first = (genesis, state, previous)
        sets = {} if method_sets is None else method_sets
        check_values(name, version, first, stfs, on_block, envelopes, libraries, allow, rules, sets, **modules)
        self.name = name
        self.version = version
        self.rules = rules
        self.libraries = tuple(sorted(set(libraries)))
        self.allow = tuple(sorted(set(allow)))
        self.reads, self.methods, self.pages, self.admission = reads, methods, pages, admission
        self.method_sets: dict[str, MethodSet] = dict(sets)
        self.previous = previous
        self.versions: tuple[MicroRollup, ...] = (*(() if previous is None else previous.app.versions), self)
        """This version and all before it, the oldest first."""
        self.genesis: State = _get_genesis(genesis, previous)
        """The first state, of the oldest version."""
        self.state_type: StateType = _describe_state(state or type(genesis), previous)
        self.state_fields: tuple[tuple[str, StateField], ...] = tuple(
            (field.name, field) for field in self.state_type.fields
        )
        if previous is not None:
            check_migration(previous, self.state_type)
        self.stf_by_action: dict[type[Action], Stf] = {}
        self.part_by_entry: dict[type[Any], StatePart] = {}
        for stf in stfs:
            part, action = read_stf(stf, self.state_type.parts)
            if action in self.stf_by_action:
                raise DeclarationError(action.__name__, "two state transition functions take this action")
            self.stf_by_action[action] = stf
            self.part_by_entry[action] = part
        self.on_block = on_block
        self.stf_by_entry: dict[type[Any], Stf] = {**self.stf_by_action}
        """What an entry of a block runs: the same, and the hook by the class of the block's own entry."""
        if on_block is not None:
            self.part_by_entry[BlockBegin] = read_hook(on_block, self.state_type.parts)
            self.stf_by_entry[BlockBegin] = lift_hook(on_block)
        self.envelopes, signed = compile_envelopes(envelopes, self.stf_by_action)
        self.action_types = ActionTypes(signed, may_be_empty=bool(self.envelopes))
        """Those that are signed, and forced by L1 accounts; those of envelopes are with these."""
        self.event_encoders: dict[type[Event], Callable[[Event], tuple[str, bytes]]] = {}
        self._find_event_classes()  # refuses those that could not be emitted
        if previous is None:
            self._check_genesis()

    def _check_genesis(self) -> None:
        """Raises `DeclarationError` for a first state whose fields are not of their types. Entries of maps are checked
        with the genesis.
        """
        for part in self.state_type.parts.values():
            value = part.read(self.genesis)
            if type(value) is not part.cls:
                kind = type(value).__name__
                raise DeclarationError(
                    f"genesis.{part.name}", f"is a {kind}; the first state of it is a {part.cls.__name__}(...)"
                )
        for name, field in self.state_fields:
            value = field.read(self.genesis)
            if field.is_map and not isinstance(value, Map):
                kind = type(value).__name__
                raise DeclarationError(f"genesis.{name}", f"is a {kind}; the first state of a map field is a Map(...)")
            if not field.is_map:
                try:
                    field.check(value)
                except ValueOutOfBounds as error:
                    raise DeclarationError(f"genesis.{name}", str(error)) from None

    @property
    def oldest(self) -> MicroRollup:
        """The version with which the rollup began; its genesis is the rollup's."""
        return self.versions[0]

    def find_version(self, stf_id: bytes) -> MicroRollup | None:
        """The version, this one or one before it, with a 32-byte stfId; None if there is none."""
        return next((version for version in reversed(self.versions) if version.stf_id == stf_id), None)

    def make_domain(self, chain_id: int = DEFAULT_CHAIN_ID, verifying_contract: bytes = ZERO_ADDRESS) -> DomainConfig:
        """The EIP-712 domain of the actions; `verifying_contract` is the L1 inbox (zero with local settlement)."""
        return DomainConfig(self.name, self.version, chain_id, verifying_contract)

    @cached_property
    def stf_id(self) -> bytes:
        """32 bytes that name the code: keccak256 of the manifest. Raises `DeclarationError` as `manifest` does.

        A verifier with another stfId runs other code and says so before it starts.
        """
        return compute_stf_id(self.manifest)

    @cached_property
    def manifest(self) -> Manifest:
        """What decides outcomes, as the stfId commits to it; read from the sources once, when it is first asked for.

        Raises `DeclarationError` for code that has no identity: without a source file, with an import that is neither
        the app's own nor foreign by declaration, or with functions that their names do not determine.
        """
        require_asserts()
        self._require_clean()
        leaves = {field.name: field.leaf for field in self.state_type.fields if field.leaf is not None}
        before = self.previous
        return Manifest(
            rules=self.rules,
            version=self.version,
            state_schema=self.state_type.schema,
            action_schemas=sort_items(action_type.schema for action_type in self.all_action_types),
            modules=sort_items(ModuleEntry(name, tree) for name, (_, tree) in self._modules.items()),
            stfs=sort_items(
                StfEntry(action.__name__, name_callable(stf, self._package, action.__name__))
                for action, stf in self.stf_by_action.items()
            ),
            fields=sort_items(
                FieldEntry(
                    name=field.name,
                    number=field.number,
                    leaf=name_callable(leaves[field.name], self._package, field.name) if field.name in leaves else None,
                    metadata=not field.settled,
                )
                for field in self.state_type.fields
            ),
            on_block=None if self.on_block is None else name_callable(self.on_block, self._package, "on_block"),
            migrate=None if before is None else name_callable(before.migrate, self._package, "migrate"),
            envelopes=sort_items(
                (name_callable(each.cls, self._package, each.cls.__name__), name)
                for name, each in self.envelopes.items()
            ),
            allow=sort_items(self.allow),
            libraries=sort_items(self.libraries),
            previous=None if before is None else before.app.stf_id,
        )

    @property
    def all_action_types(self) -> list[ActionType]:
        """The types of all actions: the signed ones, then those that come in envelopes."""
        enveloped = [each for envelope in self.envelopes.values() for each in envelope.types]
        return [*self.action_types, *enveloped]

    @cached_property
    def findings(self) -> tuple[LintFinding, ...]:
        """What the lint finds in the app's modules, allowed or not. Raises `DeclarationError` for unreadable code."""
        found = [lint_module(tree, name, self._package.is_own, self.libraries) for name, tree in self.trees.items()]
        found.append(inspect_modules(self.trees))
        return tuple(sorted({finding for findings in found for finding in findings}))

    def _require_clean(self) -> None:
        refused = [finding for finding in self.findings if finding.rule not in self.allow]
        if refused:
            first, more = refused[0], len(refused) - 1
            others = f"; and {more} more, which `microrollup check` lists" if more else ""
            raise DeclarationError(f"{first.module}:{first.line}", f"{first.explain()}{others}")

    @property
    def trees(self) -> dict[str, ast.Module]:
        """Module -> the syntax tree that the manifest commits to. Raises `DeclarationError` as `manifest` does."""
        _ = self._modules
        return self._package.trees

    @cached_property
    def module_names(self) -> dict[str, str]:
        """Relative name -> module, of all modules in the manifest."""
        return {name: module for name, (module, _) in self._modules.items()}

    @cached_property
    def event_classes(self) -> dict[str, type[Event]]:
        """Name -> class of the events in the modules of actions and STFs, and in the app's modules that they import."""
        return self._find_event_classes()

    @property
    def _functions(self) -> list[Any]:
        """What runs: state transition functions, the hook, the migration."""
        others = (self.on_block, None if self.previous is None else self.previous.migrate)
        return [*self.stf_by_action.values(), *[each for each in others if each is not None]]

    def _find_event_classes(self) -> dict[str, type[Event]]:
        parts = (*self.state_type.parts, *self.stf_by_action, *self._functions)
        modules = {part.__module__: sys.modules[part.__module__] for part in parts if part.__module__ in sys.modules}
        namespaces = [vars(module) for module in modules.values()]
        namespaces += [getattr(function, "__globals__", {}) for function in self._functions]
        before = set() if self.previous is None else self.previous.app._holders - self._holders
        return find_event_classes(namespaces, lambda module: module not in before and self._package.is_own(module))

    @property
    def _holders(self) -> set[str]:
        """The modules that hold states, actions and functions of this version and of those before it."""
        own = {str(each.__module__) for each in (*self.state_type.parts, *self.stf_by_action, *self._functions)}
        return own if self.previous is None else own | self.previous.app._holders

    @cached_property
    def _package(self) -> Package:
        return Package(self.state_type.cls.__module__, self.libraries)

    @cached_property
    def _modules(self) -> dict[str, tuple[str, bytes]]:
        """Every module that holds something of the declaration, and what they import."""
        holders: list[Any] = [*self.state_type.parts, *self.stf_by_action, *self._functions]
        holders += [envelope.cls for envelope in self.envelopes.values()]
        holders += [field.leaf for field in self.state_type.fields if field.leaf is not None]
        roots = {str(getattr(holder, "__module__", None)) for holder in holders}
        for module in sorted(roots):
            if not self._package.is_own(module):
                raise DeclarationError(
                    module, "holds a part of the declaration, and is not in the state class's package"
                )
        return self._package.hash_modules(roots, self._modules_before)

    @cached_property
    def _modules_before(self) -> frozenset[str]:
        """What the versions before commit to: their stfId, which is in this one's manifest, stands for it."""
        if self.previous is None:
            return frozenset()
        before = self.previous.app
        return before._modules_before | {module for module, _ in before._modules.values()}

    def encode_event(self, event: Event) -> tuple[str, bytes]:
        """Name and canonical msgpack of an event. Raises unless it is an event whose values fit their fields."""
        encoder = self.event_encoders.get(type(event))
        if encoder is None:
            encoder = self.event_encoders[type(event)] = compile_event_encoder(type(event))
        return encoder(event)


def _get_genesis(genesis: State | None, previous: Upgrade | None) -> State:
    if previous is not None:
        return previous.app.genesis
    return cast("State", genesis)  # the arguments are checked


def _describe_state(cls: Any, previous: Upgrade | None) -> StateType:
    if previous is None:
        return describe_state(cls)
    before = previous.app.state_type
    fields = {field.name: field for field in before.fields}
    return describe_state(cls, FieldNumbers.follow(fields, previous.renamed, before.free_numbers))


def load_rollup(reference: str) -> MicroRollup:
    """Import a rollup: an app that goes by a name, or `module` or `module:name` (name defaults to `app`), from the
    working directory or installed.

    Raises `UsageError` saying what is missing.
    """
    named = find_app(reference) if reference.isidentifier() else None
    module_name, _, attribute = (named or reference).partition(":")
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", module_name):
        hint = f": {Path(reference).stem!r} in the directory of that file" if reference.endswith(".py") else ""
        raise UsageError(f"{reference!r} names no app: write `keystore`, `module` or `module:name`{hint}")
    if named is None and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = _import(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            stem = module_name.removesuffix(".py")
            hint = f"; an app is named as a module: {stem}" if stem != module_name else ""
            raise UsageError(f"there is no module {module_name!r} here or installed{hint}") from None
        raise UsageError(f"{module_name} cannot be imported: {error}{_locate(error)}") from error
    except Exception as error:
        raise UsageError(
            f"{module_name} cannot be imported: {type(error).__name__}: {error}{_locate(error)}"
        ) from error
    rollup = getattr(module, attribute or "app", None)
    if not isinstance(rollup, MicroRollup):
        names = [name for name, value in vars(module).items() if isinstance(value, MicroRollup)]
        hint = f"; it has {', '.join(names)}" if names else ""
        raise UsageError(f"{module_name} has no MicroRollup named {attribute or 'app'!r}{hint}")
    return rollup


def _locate(error: Exception) -> str:
    """File and line of the app where an import failed, in brackets; empty where the error says it, or none is known."""
    if isinstance(error, SyntaxError):
        return ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_outside(frame.filename)]
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def _is_outside(file: str) -> bool:
    """Whether a file belongs neither to the framework nor to Python or what is installed into it."""
    path = Path(file)
    return file[:1] != "<" and not path.is_relative_to(_FRAMEWORK) and not path.is_relative_to(_PYTHON)


def _import(name: str) -> ModuleType:
    """The module; or, where a plain directory NAME holds NAME.py, as `microrollup new` makes it, that file. So such an
    app works from outside its directory as from within, under the same name.
    """
    module = importlib.import_module(name)
    if getattr(module, "__file__", None) is None and "." not in name:
        for directory in getattr(module, "__path__", ()):
            if (Path(directory) / f"{name}.py").is_file():
                del sys.modules[name]
                sys.path.insert(0, directory)
                return importlib.import_module(name)
    return module
