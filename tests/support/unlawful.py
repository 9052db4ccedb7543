"""Probes for the lint: what may not stand in an app, by kind, each with the rule that finds it."""

from __future__ import annotations

__all__ = ["ACCEPTED", "HEAD", "HELD", "PROBES"]

HEAD = """
from microrollup import Action, Context, Event, Map, MicroRollup, Revert, State, Uint64, replace, require
from msgspec import Struct
class Sum(State, frozen=True):
    total: Uint64 = 0
    parts: Map[Uint64, Uint64] = Map()
class Add(Action, frozen=True):
    by: Uint64
"""

_STF = "def add(state: Sum, action: Add, ctx: Context) -> Sum:\n    {}\n    return replace(state, total=int(x))\n"


def _in(line: str, before: str = "") -> str:
    return before + _STF.format(line)


PROBES: dict[str, tuple[str, str]] = {
    # clocks, randomness, identifiers
    "time": ("import", _in("x = time.time()", "import time\n")),
    "time ns": ("import", _in("x = time_ns()", "from time import time_ns\n")),
    "datetime": ("import", _in("x = datetime.now().day", "from datetime import datetime\n")),
    "random": ("import", _in("x = random.random()", "import random\n")),
    "secrets": ("import", _in("x = secrets.randbelow(9)", "import secrets\n")),
    "uuid": ("import", _in("x = uuid.uuid4().int", "import uuid\n")),
    "urandom": ("import", _in("x = os.urandom(1)[0]", "import os\n")),
    # environment, files, network, processes, threads
    "environment": ("import", _in("x = len(os.environ)", "import os\n")),
    "working directory": ("import", _in("x = len(os.getcwd())", "import os\n")),
    "platform": ("import", _in("x = len(sys.platform)", "import sys\n")),
    "open": ("name", _in("x = len(open('data').read())")),
    "path": ("import", _in("x = len(Path('data').read_text())", "from pathlib import Path\n")),
    "socket": ("import", _in("x = len(socket.gethostname())", "import socket\n")),
    "url": ("import", _in("x = len(urlopen('http://a').read())", "from urllib.request import urlopen\n")),
    "process": ("import", _in("x = subprocess.call('true')", "import subprocess\n")),
    "thread": ("import", _in("x = threading.active_count()", "import threading\n")),
    "input": ("name", _in("x = input()")),
    "print": ("name", _in("x = 1; print(x)")),
    # hash, id, repr, set order
    "hash": ("name", _in("x = hash('a') % 7")),
    "id": ("name", _in("x = id(state) % 7")),
    "set display": ("set", _in("x = list({'a', 'b'}).index('a')")),
    "set comprehension": ("set", _in("x = list({c for c in 'ab'}).index('a')")),
    "set call": ("set", _in("x = list(set('ab')).index('a')")),
    "frozenset": ("set", _in("x = list(frozenset('ab')).index('a')")),
    "set beside in": ("set", _in("x = action.by in {action.by, 1}")),
    # state outside of the state
    "module dict": ("mutable", _in("SEEN[action.by] = 1; x = len(SEEN)", "SEEN = {}\n")),
    "module list": ("mutable", _in("SEEN.append(1); x = len(SEEN)", "SEEN = []\n")),
    "module list by call": ("mutable", _in("SEEN.append(1); x = len(SEEN)", "SEEN = list()\n")),
    "module dict by comprehension": ("mutable", _in("x = SEEN.pop(1, 0)", "SEEN = {i: i for i in range(9)}\n")),
    "module generator": ("mutable", _in("x = next(SEEN)", "SEEN = (i for i in range(9))\n")),
    "module iterator": ("name", _in("x = next(SEEN)", "SEEN = iter((1, 2))\n")),
    "two names at once": ("mutable", _in("SEEN.append(1); x = len(SEEN)", "SEEN = ALSO = []\n")),
    "annotated list": ("mutable", _in("SEEN.append(1); x = len(SEEN)", "SEEN: object = [1]\n")),
    "global": ("global", _in("global N; N = N + 1; x = N", "N = 0\n")),
    "default": ("mutable", _in("x = f()", "def f(seen=[]):\n    seen.append(1)\n    return len(seen)\n")),
    "lambda's default": ("mutable", _in("x = (lambda seen={}: len(seen))()")),
    "class attribute": ("assign", _in("Kept.n = 1; x = Kept.n", "class Kept:\n    n = 0\n")),
    "function attribute": ("assign", _in("add.n = 1; x = 1")),
    "list of a class": ("mutable", _in("Kept.n.append(1); x = len(Kept.n)", "class Kept:\n    n = [1]\n")),
    "cache": ("import", _in("x = f(1)", "from functools import lru_cache\n@lru_cache\ndef f(n):\n    return n\n")),
    "cached property": ("import", _in("x = 1", "from functools import cached_property\n")),
    "context is kept": ("mutable", _in("SEEN.append(ctx); x = len(SEEN)", "SEEN = []\n")),
    "counter": ("import", _in("x = next(N)", "from itertools import count\nN = count()\n")),
    # floats
    "float": ("float", _in("x = action.by * 1.5")),
    "exponent": ("float", _in("x = 1e3")),
    "division": ("float", _in("x = action.by / 3")),
    "division in place": ("float", _in("x = action.by; x /= 3")),
    "float call": ("float", _in("x = float(action.by)")),
    "complex": ("float", _in("x = abs(3j)")),
    "libm": ("import", _in("x = math.sin(1)", "import math\n")),
    "libm by name": ("import", _in("x = sqrt(2)", "from math import sqrt\n")),
    "statistics": ("import", _in("x = mean((1, 2))", "from statistics import mean\n")),
    "round": ("name", _in("x = round(action.by, -1)")),
    # locale, Unicode tables, library versions
    "locale": ("import", _in("x = 1", "import locale\n")),
    "unicodedata": ("import", _in("x = 1", "import unicodedata\n")),
    "casefold": ("name", _in("x = len('ß'.casefold())")),
    "translate": ("name", _in("x = len('a'.translate({}))")),
    "splitlines": ("name", _in("x = len('a'.splitlines())")),
    "json": ("import", _in("x = len(json.dumps(1))", "import json\n")),
    "msgspec convert": ("import", _in("x = convert(1, int)", "from msgspec import convert\n")),
    "force_setattr": ("import", _in("x = 1", "from msgspec.structs import force_setattr\n")),
    "hashlib": ("import", _in("x = 1", "import hashlib\n")),
    "decimal": ("import", _in("x = 1", "from decimal import Decimal\n")),
    # exceptions
    "text of an exception": (
        "except",
        _in("x = 1\n    try:\n        x = [][1]\n    except IndexError as e:\n        x = len(str(e))"),
    ),
    "bare except": (
        "except",
        _in("x = 1\n    try:\n        x = f()\n    except:\n        x = 2", "def f():\n    return f()\n"),
    ),
    "except Exception": ("except", _in("x = 1\n    try:\n        x = 2\n    except Exception:\n        x = 2")),
    "except RecursionError": (
        "except",
        _in("x = 1\n    try:\n        x = 2\n    except RecursionError:\n        x = 2"),
    ),
    "except MemoryError": (
        "except",
        _in("x = 1\n    try:\n        x = 2\n    except (KeyError, MemoryError):\n        x = 2"),
    ),
    "return in finally": ("finally", _in("x = 1\n    try:\n        x = 2\n    finally:\n        return state")),
    "break in finally": (
        "finally",
        _in("x = 1\n    for i in (1, 2):\n        try:\n            x = 2\n        finally:\n            break"),
    ),
    "yield in try": ("finally", _in("x = 1", "def f():\n    try:\n        yield 1\n    finally:\n        pass\n")),
    "with": ("with", _in("x = 1\n    with ctx:\n        pass")),
    # eval, escapes, patches
    "eval": ("name", _in("x = eval('1')")),
    "exec": ("name", _in("x = 1; exec('x = 2')")),
    "getattr": ("name", _in("x = getattr(action, 'by')")),
    "setattr": ("name", _in("x = 1; setattr(state, 'total', 2)")),
    "vars": ("name", _in("x = len(vars(ctx))")),
    "globals": ("name", _in("x = len(globals())")),
    "dunder": ("name", _in("x = len(().__class__.__mro__)")),
    "patched builtin": ("assign", _in("x = 1; builtins.len = max", "")),
    "patched module": ("assign", _in("x = 1; rules.fee = 3")),
    "patch at import": ("assign", "Context.emit = None\n" + _in("x = 1")),
    "deleted attribute": ("assign", _in("x = 1; del Context.emit")),
    "ctypes": ("import", _in("x = 1", "import ctypes\n")),
    "gc": ("import", _in("x = len(gc.get_objects())", "import gc\n")),
    "weak reference": ("import", _in("x = 1", "import weakref\n")),
    "operator": ("import", _in("x = 1", "import operator\n")),
    "regular expression": ("import", _in("x = len(re.match('(a+)+b', 'a' * 40) or '')", "import re\n")),
    "memoryview": ("name", _in("x = len(memoryview(b''))")),
    "bytearray": ("name", _in("x = len(bytearray(3))")),
    # classes
    "__del__": ("class", _in("x = 1", "class A:\n    def __del__(self):\n        pass\n")),
    "__eq__": ("class", _in("x = 1", "class A:\n    def __eq__(self, other):\n        return True\n")),
    "__hash__": ("class", _in("x = 1", "class A:\n    def __hash__(self):\n        return 1\n")),
    "__getattr__": ("class", _in("x = 1", "class A:\n    def __getattr__(self, name):\n        return 1\n")),
    "property": ("decorator", _in("x = 1", "class A:\n    @property\n    def n(self):\n        return 1\n")),
    "metaclass": ("class", _in("x = 1", "class A(metaclass=type):\n    pass\n")),
    "class in a function": ("module", _in("x = 1\n    class A:\n        pass")),
    # formats, async, what happens at import
    "wide format": ("format", _in("x = len(f'{action.by:>1000000000}')")),
    "computed format": ("format", _in("x = len(f'{action.by:>{action.by}}')")),
    "percent": ("format", _in("x = len('%1000000d' % action.by)")),
    "format method": ("format", _in("x = len('{:>9}'.format(1))")),
    "async": ("async", _in("x = 1", "async def f():\n    pass\n")),
    "keyword only": ("name", _in("x = 1", "def f(*, a):\n    pass\n")),
    "loop at import": ("module", "for i in (1, 2):\n    pass\n" + _in("x = 1")),
    "data file at import": ("name", "DATA = open('data').read()\n" + _in("x = 1")),
    "classes of a class": ("name", _in("x = len(Sum.mro())")),
    "class by call": ("class", _in("x = type('A', (), {})().n")),
    "value pattern": ("match", _in("x = 1\n    match action.by:\n        case Sum.total:\n            x = 2")),
}
"""Name -> (rule that must be among the findings, source of the app after `HEAD`)."""

_LONG = "sum([1 for _ in range(10**9)])"
_MAKE = f"def make():\n    def inner():\n        return {_LONG}\n    return inner\n"

HELD: dict[str, tuple[str, str]] = {
    # functions that have no metered form, so that an entry which nobody can refuse would run for ever
    "lambda of the module": ("function", _in("x = LONG()", f"LONG = lambda: {_LONG}\n")),
    "lambda in a tuple": ("function", _in("x = ALL[0]()", f"ALL = (lambda: {_LONG},)\n")),
    "lambda of a class": ("function", _in("x = A().long()", f"class A:\n    long = lambda self: {_LONG}\n")),
    "lambda as a default": ("function", _in("x = f()", f"def f(long=lambda: {_LONG}):\n    return long()\n")),
    "function in an if of a class": (
        "function",
        _in("x = A().long()", f"class A:\n    if True:\n        def long(self):\n            return {_LONG}\n"),
    ),
    "function in a loop of a class": (
        "function",
        _in("x = A().long()", f"class A:\n    for _ in (1,):\n        def long(self):\n            return {_LONG}\n"),
    ),
    "class in a class": (
        "function",
        _in("x = A.B().long()", f"class A:\n    class B:\n        def long(self):\n            return {_LONG}\n"),
    ),
    "function that a call made": ("function", _in("x = LONG()", f"{_MAKE}LONG = make()\n")),
    "default that a call made": ("function", _in("x = f()", f"{_MAKE}def f(long=make()):\n    return long()\n")),
    "field that is a lambda": (
        "function",
        _in("x = A().long()", f"from typing import Any\nclass A(Struct):\n    long: Any = lambda: {_LONG}\n"),
    ),
    "factory of a field": (
        "function",
        _in(
            "x = A().n",
            f"from msgspec import field\ndef long():\n    return {_LONG}\n"
            "class A(Struct):\n    n: int = field(default_factory=long)\n",
        ),
    ),
    # values that can change, behind a name that does not show it
    "list in a tuple": ("mutable", _in("SEEN[0].append(1); x = len(SEEN[0])", "SEEN = ([],)\n")),
    "list that a call made": ("mutable", _in("SEEN.append(1); x = 1", "def make():\n    return []\nSEEN = make()\n")),
    "list of a Struct": ("mutable", _in("A1.n.append(1); x = 1", "class A(Struct):\n    n: list\nA1 = A([1])\n")),
    "list of a class": ("mutable", _in("A.seen.append(1); x = len(A.seen)", "class A:\n    seen = []\n")),
    "dict of a class by call": ("mutable", _in("x = A.seen.pop(1, 0)", "class A:\n    seen = dict()\n")),
    "list of a class by the way": ("mutable", _in("A.b.append(1); x = 1", "class A:\n    a = (b := [])\n")),
    "default tuple with a list": ("mutable", _in("x = f()", "def f(seen=([],)):\n    return len(seen[0])\n")),
    "default list by call": (
        "mutable",
        _in("x = f()", "def make():\n    return []\ndef f(seen=make()):\n    return len(seen)\n"),
    ),
    "iterator of the module": ("mutable", _in("x = next(ONCE)", "ONCE = map(abs, (1, 2))\n")),
}
"""The same of what only the loaded module shows."""

ACCEPTED: dict[str, str] = {
    "integers": _in("x = (action.by * 3 + 1) // 2 % 7 - (1 << 3)"),
    "constants in a set": _in("x = 1 if action.by in {1, 2} else 0"),
    "tuples": _in("x = sum(n for n in LINES)", "LINES = (1, 2, 3)\n"),
    "local list": _in("x = 0\n    seen = []\n    seen.append(1)\n    x += len(seen)"),
    "genesis data": "PLAYERS = {1: 2}\nFIRST = Map(PLAYERS)\n" + _in("x = 1"),
    "handlers": _in(
        "x = 1\n    try:\n        x = state.parts[1]\n    except KeyError:\n        x = 2\n    finally:\n        x += 1"
    ),
    "own exception": _in(
        "x = 1\n    try:\n        x = 2\n    except Bad as e:\n        x = e.code",
        "class Bad(Exception):\n    code = 1\n",
    ),
    "formats": _in("x = len(f'{action.by:>20}')"),
    "match": _in(
        "x = 1\n    match action.by:\n        case 1 | 2:\n            x = 2\n        case Add(by=3):\n            pass"
    ),
    "lambda": _in("x = sorted((3, 1), key=lambda n: -n)[0]"),
    "reduce": _in("x = reduce(max, (1, 2))", "from functools import reduce\n"),
    "generator": _in("x = sum(f())", "def f():\n    yield 1\n"),
    "shadowed name": _in("x = open(1)", "def open(n):\n    return n\n"),
    "method": _in(
        "x = A(1).twice()", "class A(Struct, frozen=True):\n    n: int\n    def twice(self):\n        return 2\n"
    ),
}
"""Name -> source in which nothing is found: the neighbours of what is refused."""
