"""The identity of an app's code: what changes its stfId, what does not, and which code has none."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import msgspec
import pytest

from microrollup import MicroRollup
from microrollup.codec.canonical import encode_canonical
from microrollup.declaration.manifest import ModuleEntry, compute_stf_id, decode_manifest, list_changes
from microrollup.declaration.rollup import load_rollup
from microrollup.errors import DeclarationError, DecodeError
from zoo import ALLOWED, Zoo, edit, misbehave, zoo

NUMBERS = count()

APP = '''"""A shop."""
from __future__ import annotations

from msgspec import Struct

from microrollup import Action, Context, Map, MicroRollup, State, Uint32, Uint64, replace, require
from {rules} import compute_price


class Item(Struct, frozen=True, array_like=True):
    stock: Uint64


class Shop(State, frozen=True):
    sold: Uint64 = 0
    items: Map[Uint64, Item] = Map()


class Buy(Action, frozen=True):
    count: Uint64


class Close(Action, frozen=True):
    at: Uint64


def buy(state: Shop, action: Buy, ctx: Context) -> Shop:
    """Buy something."""
    require(action.count > 0, "nothing")
    return replace(state, sold=state.sold + compute_price(action.count))


def close(state: Shop, action: Close, ctx: Context) -> Shop:
    return state


app = MicroRollup(name="shop", version="1", genesis=Shop(), stfs=[buy, close])
'''
RULES = "def compute_price(count):\n    return count * 3\n"


class Shelf:
    """A directory on the path with an app in it, whose modules have names of their own."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.number = next(NUMBERS)
        self.rules = f"rules_{self.number}"
        self.app = f"shop_{self.number}"
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.syspath_prepend(directory)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())

    def load(self, reference: str | None = None) -> MicroRollup:
        """The app as it is on disk now."""
        for name in list(sys.modules):
            if name.partition(".")[0].endswith(f"_{self.number}"):
                del sys.modules[name]
        return load_rollup(reference or self.app)

    def compute(self, app: str = APP, rules: str = RULES) -> bytes:
        """The stfId of the app of two files."""
        self.write({f"{self.app}.py": app.format(rules=self.rules), f"{self.rules}.py": rules})
        return self.load().stf_id


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(tmp_path, monkeypatch)


CHANGES = {
    "a rule": (("action.count > 0", "action.count > 1"), None),
    "a rule beside the app": (None, ("* 3", "* 4")),
    "a constant's type": (None, ("* 3", "* True")),
    "a field's name": (("sold", "gone"), None),
    "a field's type": (("sold: Uint64", "sold: Uint32"), None),
    "a member of a struct in a map": (("stock: Uint64", "stock: Uint64\n    shelf: Uint64"), None),
    "an action's member": (("at: Uint64", "at: Uint64\n    by: Uint64"), None),
    "an action removed": (("stfs=[buy, close]", "stfs=[buy]"), None),
    "another STF of the same module": (("stfs=[buy, close]", "stfs=[buy, end]"), None),
    "the order of fields": (
        (
            "    sold: Uint64 = 0\n    items: Map[Uint64, Item] = Map()\n",
            "    items: Map[Uint64, Item] = Map()\n    sold: Uint64 = 0\n",
        ),
        None,
    ),
    "the app's version": (('version="1"', 'version="2"'), None),
    "a library": (("stfs=[buy, close]", 'stfs=[buy, close], libraries=["shapely"]'), None),
    "a string that is no docstring": (('"nothing"', '"Nothing"'), None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_id(shelf: Shelf, change: str) -> None:
    """Every edit that could change an outcome gives another stfId, in whichever of the app's files it is."""
    app, rules = CHANGES[change]
    twin = APP.replace(
        "\n\napp =", "\n\ndef end(state: Shop, action: Close, ctx: Context) -> Shop:\n    return state\n\n\napp ="
    )
    before = shelf.compute(twin)
    assert before == shelf.compute(twin)
    changed = twin.replace(*app) if app else twin
    assert (changed, RULES.replace(*rules) if rules else RULES) != (twin, RULES)
    assert before != shelf.compute(changed, RULES.replace(*rules) if rules else RULES)


SAME = {
    "a comment": ("import Struct\n", "import Struct  # of msgspec\n"),
    "blank lines": ("class Buy", "\n\nclass Buy"),
    "a docstring": ('"""Buy something."""', '"""Buy."""'),
    "the module's docstring": ('"""A shop."""', '"""A larger shop."""'),
    "quotes": ('"nothing"', "'nothing'"),
    "line endings": ("\n", "\r\n"),
    "brackets": ("action.count > 0", "(action.count > 0)"),
}


@pytest.mark.parametrize("change", SAME)
def test_what_does_not_change_the_id(shelf: Shelf, change: str) -> None:
    """Comments, formatting, docstrings and line endings leave the id alone."""
    before = shelf.compute()
    assert APP != APP.replace(*SAME[change])
    assert before == shelf.compute(APP.replace(*SAME[change]))


def test_an_app_that_moves_keeps_its_id(shelf: Shelf) -> None:
    """One file, a module of a package, a package with `__init__`: one id. Code that no module holds has none."""
    text = APP.replace("from {rules} import compute_price\n", "").replace("compute_price(action.count)", "action.count")
    name = f"moved_{shelf.number}"
    shelf.write(
        {
            f"{shelf.app}.py": text,
            f"{name}/__init__.py": '"""Versions."""\n',
            f"{name}/v1.py": text,
            f"{name}/v2/__init__.py": text,
        }
    )
    ids = {shelf.load(reference).stf_id for reference in (shelf.app, f"{name}.v1", f"{name}.v2")}
    assert 1 == len(ids)
    shown = subprocess.run(
        [sys.executable, "-c", f"import runpy; runpy.run_path('{shelf.app}.py')['app'].stf_id"],
        cwd=shelf.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no source file" in shown.stderr


def test_a_package_s_modules_count_relatively(shelf: Shelf) -> None:
    """A package of several modules has one id wherever it lies; its parents hold nothing that counts."""
    ids = set()
    for place in (f"one_{shelf.number}", f"deep_{shelf.number}.inner"):
        folder = place.replace(".", "/")
        shelf.write(
            {
                f"{folder}/state.py": APP.format(rules=".rules").split("\n\napp =")[0] + "\n",
                f"{folder}/rules.py": RULES,
                f"{folder}/__init__.py": "from .state import Shop, buy, close\nfrom microrollup import MicroRollup\n"
                '__all__ = ["app"]\n'
                'app = MicroRollup(name="shop", version="1", genesis=Shop(), stfs=[buy, close])\n',
            }
        )
        if "." in place:
            shelf.write({f"deep_{shelf.number}/__init__.py": '"""Parents may say what they are."""\n'})
        rollup = shelf.load(place)
        assert [".", ".rules"] == sorted(rollup.module_names)
        ids.add(rollup.stf_id)
    assert 1 == len(ids)


REFUSED = {
    "a standard module that differs between machines": ("import time\n", "imports time"),
    "a library that is not declared": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests\n",
        r"libraries=\['requests'\]",
    ),
    "an import in a function": ("def late():\n    import math\n", "module level"),
    "a conditional import": ("if 1:\n    import math\n", "module level"),
    "a guarded import": ("try:\n    import math\nexcept ImportError:\n    pass\n", "module level"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_code_without_an_identity(shelf: Shelf, what: str) -> None:
    """What other code does cannot be named, and is refused with the line and the way on."""
    extra, said = REFUSED[what]
    with pytest.raises(DeclarationError, match=said):
        shelf.compute(rules=RULES + extra)


def test_declared_libraries_may_be_imported(shelf: Shelf) -> None:
    """A library that the author answers for is taken, and is part of the id."""
    assert 32 == len(shelf.compute(APP.replace("close]", 'close], libraries=["json"]'), "import json\n" + RULES))


PARENTS = {"a constant": "RATE = 3\n", "a function": "def f():\n    return 3\n", "a call": "print('hello')\n"}


@pytest.mark.parametrize("what", PARENTS)
def test_parents_decide_nothing(shelf: Shelf, what: str) -> None:
    """A parent package's `__init__` is not hashed, so it may hold nothing that could decide an outcome."""
    name = f"parent_{shelf.number}"
    text = APP.replace("from {rules} import compute_price\n", "").replace("compute_price(action.count)", "action.count")
    shelf.write({f"{name}/__init__.py": PARENTS[what], f"{name}/v1.py": text})
    with pytest.raises(DeclarationError, match="into a module of its own"):
        _ = shelf.load(f"{name}.v1").stf_id


def test_names_come_from_where_they_are_defined(shelf: Shelf) -> None:
    """A name that a parent's `__init__` re-exports could come from anywhere: refused."""
    name = f"exported_{shelf.number}"
    shelf.write(
        {
            f"{name}/__init__.py": "from .rules import compute_price\n",
            f"{name}/rules.py": RULES,
            f"{name}/v1.py": APP.format(rules="."),
        }
    )
    with pytest.raises(DeclarationError, match="from the module that defines it"):
        _ = shelf.load(f"{name}.v1").stf_id


def test_functions_are_named(shelf: Shelf) -> None:
    """A lambda, a closure and a function of a foreign module are no STFs or leaf functions that an id could name."""

    def closure(state: Zoo, action: object, ctx: object) -> Zoo:
        return state

    leaf = APP.replace(
        "from msgspec import Struct", "from msgspec import Struct, msgpack\nfrom typing import Annotated"
    ).replace("replace, require", "leaf_value, replace, require")
    for text in ("lambda item: b'1'", "msgpack.encode"):
        app = leaf.replace(
            "items: Map[Uint64, Item] = Map()", f"items: Annotated[Map[Uint64, Item], leaf_value({text})] = Map()"
        )
        with pytest.raises(DeclarationError, match=r"level of its module|not this app's own|is not in the state class"):
            shelf.compute(app)
    assert closure(zoo.genesis, None, None) is zoo.genesis  # type: ignore[arg-type]


def test_optimised_bytecode_is_refused() -> None:
    """`python -O` drops asserts, which decide outcomes."""
    script = "from apps.keystore import app; app.stf_id"
    shown = subprocess.run([sys.executable, "-O", "-c", script], capture_output=True, text=True, check=False)
    assert "drops assert statements" in shown.stderr


def test_newer_syntax_is_refused(shelf: Shelf) -> None:
    """What Python 3.11 cannot parse has no id, whichever Python runs."""
    for rules in ("type Price = int\n", "def f[T](x: T) -> T:\n    return x\n", "f'{'a' 'b'}'\n"):
        if sys.version_info >= (3, 12):
            with pytest.raises(DeclarationError, match=r"3\.11"):
                shelf.compute(rules=RULES + rules)


def test_manifests_are_canonical() -> None:
    """A manifest is decoded strictly, hashes to the stfId, and compares in words."""
    raw = encode_canonical(zoo.manifest)
    assert zoo.manifest == decode_manifest(raw)
    assert zoo.stf_id == compute_stf_id(zoo.manifest)
    for bad in (raw[:-1], raw + b"\0", b"", b"\x90"):
        with pytest.raises(DecodeError):
            decode_manifest(bad)
    other = MicroRollup(name="zoo", version="2", genesis=Zoo(), stfs=[edit, misbehave], allow=ALLOWED)
    assert ["app version changed"] == list_changes(zoo.manifest, other.manifest, other.module_names)


@pytest.mark.parametrize("changes", [{"rules": 1}, {"rules": 3}, {"libraries": ["a.b"]}, {"libraries": [5]}])
def test_refused_identity(changes: dict[str, object]) -> None:
    """Rules that this kernel does not execute, and libraries that are no names, are refused."""
    with pytest.raises(DeclarationError):
        MicroRollup(name="zoo", version="1", genesis=Zoo(), stfs=[edit, misbehave], **changes)  # type: ignore[arg-type]


UNSEEN = {
    "a parent's namespace": ("import {top}.rates", "{top}.RATE", "binds"),
    "a package's star": ("from {top}.tables import *", "fees.RATE", "imports \\* from the package"),
    "another module's modules": ("import typing", 'typing.sys.modules["{top}.rates"].RATE', "imports sys"),
    "another module's modules by name": ("from typing import sys", 'sys.modules["{top}.rates"].RATE', "imports sys"),
    "an import by call": ("", '__import__("{top}.rates").RATE', "__import__"),
    "text that runs": ('exec("from {top}.rates import RATE")', "RATE", "exec"),
    "a file": ("", 'int(open("rate.txt").read())', "open"),
    "a docstring": ('def f():\n    "3"', "int(f.__doc__)", "__doc__"),
    "a line number": ("def f(): ...", "f.__code__.co_firstlineno", "__code__"),
}


@pytest.mark.parametrize("what", UNSEEN)
def test_outcomes_from_what_no_hash_covers(shelf: Shelf, what: str) -> None:
    """Code that takes a value from outside the hashed trees has no identity: an edit there would keep the id."""
    top = f"top_{shelf.number}"
    statement, value, error = (text.replace("{top}", top) for text in UNSEEN[what])
    shelf.write(
        {
            f"{top}/__init__.py": f"from {top}.rates import RATE\n",
            f"{top}/rates.py": "RATE = 3\n",
            f"{top}/tables/__init__.py": '__all__ = ["fees"]\n',
            f"{top}/tables/fees.py": "RATE = 3\n",
            f"{top}/prices.py": f"{statement}\ndef compute_price(count):\n    return count * {value}\n",
            f"{top}/shop.py": APP.format(rules=f"{top}.prices"),
        }
    )
    with pytest.raises(DeclarationError, match=error):
        assert shelf.load(f"{top}.shop").stf_id
    shelf.write({f"{top}/prices.py": f"from {top}.rates import RATE\n\ndef compute_price(count):\n    return RATE\n"})
    assert 32 == len(shelf.load(f"{top}.shop").stf_id)


def test_submodules_by_attribute_count(shelf: Shelf) -> None:
    """A module that is reached as an attribute of an imported package is in the manifest, whoever imported it."""
    top = f"top_{shelf.number}"
    shelf.write(
        {
            f"{top}/__init__.py": f"import {top}.tables.fees\n",
            f"{top}/tables/__init__.py": "",
            f"{top}/tables/fees.py": "RATE = 3\n",
            f"{top}/prices.py": f"from {top} import tables\n\ndef compute_price(count):\n    return tables.fees.RATE\n",
            f"{top}/shop.py": APP.format(rules=f"{top}.prices"),
        }
    )
    assert [".", ".prices", ".tables", ".tables.fees"] == list(shelf.load(f"{top}.shop").module_names)


def test_the_program_is_what_the_file_says(shelf: Shelf) -> None:
    """A byte order mark is not part of the program; an encoding declared in a comment, which would be, is refused."""
    rules = 'def compute_price(count):\n    return count * len("é")\n'
    before = shelf.compute(rules=rules)
    assert before == shelf.compute(rules=f"\ufeff{rules}") == shelf.compute(rules=f"# coding: utf-8\n{rules}")
    for encoding in ("latin-1", "utf-7"):
        shelf.write({f"{shelf.rules}.py": f"# coding: {encoding}\n{rules.replace('é', 'e')}"})
        with pytest.raises(DeclarationError, match="write it in UTF-8"):
            assert shelf.load().stf_id


def test_stale_bytecode_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that Python's cache does not notice (same size, same second) does not run old code under a new id."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = shelf.directory / f"{shelf.rules}.py"
    before = shelf.compute()
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_text(RULES.replace("* 3", "* 4"))
    os.utime(path, ns=times)
    with pytest.raises(DeclarationError, match="__pycache__"):
        assert shelf.load().stf_id
    for cached in (shelf.directory / "__pycache__").iterdir():
        cached.unlink()
    assert before != shelf.load().stf_id


def test_a_file_in_the_way_of_a_standard_module(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named as a standard module runs instead of it, so it does not pass for one."""
    shelf.write({"bisect.py": "def bisect(a, x):\n    return 3\n"})
    monkeypatch.delitem(sys.modules, "bisect", raising=False)
    rules = "import bisect\n\ndef compute_price(count):\n    return bisect.bisect((), count)\n"
    with pytest.raises(DeclarationError, match="shadows the standard module bisect"):
        shelf.compute(rules=rules)
    (shelf.directory / "bisect.py").unlink()
    del sys.modules["bisect"]
    importlib.invalidate_caches()
    with pytest.raises(DeclarationError, match="imports bisect"):
        shelf.compute(rules=rules)


def test_names_lead_to_what_runs(shelf: Shelf) -> None:
    """A function that was wrapped outside of its module, or defined again, has no name in the manifest."""
    top = f"top_{shelf.number}"
    twice = (
        "import functools\n\ndef twice(stf):\n    @functools.wraps(stf)\n    def run(state, action, ctx):\n"
        "        return stf(stf(state, action, ctx), action, ctx)\n    return run\n"
    )
    declaration = (
        f"from {top}.shop import Shop, MicroRollup, buy\nfrom {top}.twice import twice\n"
        'app = MicroRollup(name="shop", version="1", genesis=Shop(), stfs=[{stf}])\n'
    )
    shelf.write({f"{top}/shop.py": APP.format(rules=f"{top}.prices"), f"{top}/prices.py": RULES})
    shelf.write({f"{top}/twice.py": twice, f"{top}/__init__.py": declaration.replace("{stf}", "twice(buy)")})
    with pytest.raises(DeclarationError, match="is another function now"):
        assert shelf.load(top).stf_id
    shelf.write({f"{top}/__init__.py": declaration.replace("{stf}", "buy")})
    assert 32 == len(shelf.load(top).stf_id)


def test_names_that_a_builder_chose() -> None:
    """Names from a manifest that is not this app's are shown escaped and short, and fifty modules at most."""
    name = "\x1b[2J" + "x" * 1_000
    entries = tuple(ModuleEntry(f"{number:04}{name}", bytes(32)) for number in range(1_000))
    old = msgspec.structs.replace(zoo.manifest, modules=(*zoo.manifest.modules, *entries))
    changes = list_changes(old, zoo.manifest, zoo.module_names)
    assert 51 == len(changes)
    assert "950 other modules changed" == changes[-1]
    assert max(map(len, changes)) < 100
    assert "\x1b" not in "".join(changes)
