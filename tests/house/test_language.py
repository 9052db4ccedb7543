"""No phrase of the house's old dialect, of planning or of advertising, in what users and readers see.

Looked at are documents, and of source files the comments, docstrings and other texts: messages and help among them.
`COVERED` grows room by room; what is listed there stays clean.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from paths import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="needs the checkout")

COVERED: Final = (
    "README.md",
    "apps/keystore/__init__.py",
    "apps/keystore/accounts.py",
    "apps/keystore/axiom",
    "apps/keystore/contracts",
    "apps/keystore/plus",
    "apps/keystore/proofs.py",
    "apps/keystore/root_calls.py",
    "apps/keystore/root_proofs.py",
    "apps/keystore/smart_account",
    "apps/keystore/story",
    "apps/keystore/transitions.py",
    "apps/keystore/ucmt",
    "apps/keystore/vault_calls.py",
    "apps/keystore/vault_creation.py",
    "benchmarks",
    "microrollup/__init__.py",
    "microrollup/chain",
    "microrollup/cli",
    "microrollup/client",
    "microrollup/codec",
    "microrollup/contracts",
    "microrollup/crypto",
    "microrollup/declaration",
    "microrollup/deployment",
    "microrollup/docs",
    "microrollup/execution",
    "microrollup/errors",
    "microrollup/explorer",
    "microrollup/ledger",
    "microrollup/limits.py",
    "microrollup/logs.py",
    "microrollup/maintenance",
    "microrollup/node",
    "microrollup/primitives.py",
    "microrollup/rpc",
    "microrollup/sequencer",
    "microrollup/settlement",
    "microrollup/store",
    "microrollup/system.py",
    "microrollup/templates",
    "microrollup/testing",
    "microrollup/verifier",
)
"""Files, and folders with everything in them."""

_UNITS: Final = (
    r"(?:actions|calls|hashes|gas|microseconds|milliseconds|[µu]s|ms|[kKM]i?B|bytes|entries|records|proofs|signatures|"
    r"blocks|batches|requests|notifications|objects?|lines?|one|two|\d)"
)
_THINGS: Final = (
    r"(?:action|second|minute|hour|day|account|block|batch|line|height|sender|entry|page|set|chunk|core|connection|"
    r"rollup|room|rule|cause|method|leaf|update|key|verifier|file|episode|call|request|group|record|transaction|"
    r"signature|class|type|field|table|process|chain|network)"
)
BANNED: Final = {
    r"\bfirst bar\b|\bgoals?:|\bstays? short\b|\b(?:for|in) the first version\b|\bmilestone": "a target; no planning",
    r"(?<!there )\b(?:is|are|was|were|be|being) no (?!(?:longer|more|less|fewer|later|matter)\b)": "is not a valid X",
    r"(?<!there )\b(?:is|are|was|be) (?-i:none)\b(?! of)": "is not one",
    rf"\b(?:{_UNITS}|one (?!that|which|who|of|to|by|in|for|or|and|is|as)\w+) an? {_THINGS}\b": "per X",
    r"\bonce an? (?:action|block|batch|class|type|group|episode|start|process|rollup)(?=[.,;:)]| *$)": "once per X",
    r"\bdata (?:are|were|have|lie|stand|begin)\b": "data is",
    r"\bstands? (?:twice|behind|there|here|in|at|beside|below|above|before|under|for itself)\b": "is, is listed, comes",
    r"\bwhoever\b": "the one who, anybody who, the caller",
    r"\blies? (?:beside|behind|there|here|in memory|on disk|in the log)\b": "is in, is next to",
    r"(?<!fall )(?<!falls )(?<!fell )(?<!lag )(?<!lags )(?<!stay )(?<!stays )(?<!keeps )(?<!blocks )(?<!items )(?<!be )"
    r"(?<!moment )(?<!little )(?<!far )(?<!\} )\bbehind\b(?! (?:a|the) (?:proxy|balancer)|\(| L1\b)": "after",
    r"\btwice signed\b|\bsign(?:s|ed)? (?:twice|two (?:blocks|hashes))\b": "equivocation",
    r"\bto be had\b|\bare to be had\b": "is available",
    r"\ban URL\b": "a URL",
    r"\bfor want of\b|\bas good as none\b|\bin one's stead\b|\bit is said\b|\bis said so\b": "plain words",
    r"\b(?:blazing(?:ly)?|seamless(?:ly)?|effortless(?:ly)?|cutting-edge|world-class|state-of-the-art|revolutionary|"
    r"game-chang\w+|battle-tested|supercharge\w*|best-in-class|enterprise-grade)\b": "a measured statement",
}
"""What must not be said -> what to say instead."""

_PATTERNS: Final = [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in BANNED.items()]
_SUFFIXES: Final = frozenset({".py", ".sol", ".js", ".mjs", ".md", ".html", ".css", ".txt"})
_BRACES: Final = frozenset({".sol", ".js", ".mjs", ".css"})
_COMMENT_OR_STRING: Final = re.compile(
    r"(?:^[ \t]*//[^\n]*\n)+|//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`",
    re.DOTALL | re.MULTILINE,
)
"""Of languages with braces; lines of comments that follow each other are one text."""
_PLACEHOLDER: Final = re.compile(r"\$\{[^}]*\}")
_MARK: Final = re.compile(r"^[ \t]*(?:///?|/?\*+)[ \t]?", re.MULTILINE)
"""What begins a line of a comment."""
_PARAGRAPH: Final = re.compile(r"(?:^[^\n]*\S[^\n]*(?:\n|\Z))+", re.MULTILINE)
_TEXT_TOKENS: Final = frozenset({"COMMENT", "STRING", "FSTRING_MIDDLE"})


def list_files() -> list[Path]:
    """The files of what is covered."""
    found: list[Path] = []
    for name in COVERED:
        path = ROOT / name
        found += sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return [path for path in found if path.suffix in _SUFFIXES and not {"node_modules", "dist"} & set(path.parts)]


def read_texts(path: Path) -> Iterator[tuple[int, str]]:
    """What a file says to people, with its line: of source files comments and strings, of others everything."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in _BRACES:
        for found in _COMMENT_OR_STRING.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, _MARK.sub("", _PLACEHOLDER.sub("{}", found[0]))
        return
    if path.suffix != ".py":
        for found in _PARAGRAPH.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[0]
        return
    comment: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        name = tokenize.tok_name[token.type]
        if name == "COMMENT":
            comment.append((token.start[0], token.string.lstrip("#: ")))
        elif name not in ("NL", "NEWLINE", "INDENT", "DEDENT") and comment:
            yield comment[0][0], "\n".join(line for _, line in comment)
            comment = []
        if name in _TEXT_TOKENS and name != "COMMENT":
            yield token.start[0], token.string


def find_phrases(text: str) -> Iterator[tuple[int, str, str]]:
    """(line within the text, the phrase, what to say instead) for each banned phrase, line breaks or not."""
    flat = re.sub(r"\s+", " ", text)
    for pattern, instead in _PATTERNS:
        for found in pattern.finditer(flat):
            words = len(flat[: found.start()].split())
            line = 1
            for number, each in enumerate(text.split("\n"), 1):
                words -= len(each.split())
                if words < 0:
                    line = number
                    break
            yield line, found[0], instead


def test_no_banned_phrase_is_used() -> None:
    """Each covered file is free of the phrases above; a finding says where, what, and what to say instead."""
    found = [
        f"{path.relative_to(ROOT)}:{start + line - 1}: {phrase!r}: {instead}"
        for path in list_files()
        for start, text in read_texts(path)
        for line, phrase, instead in find_phrases(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "this is no valid field",
        "what is\n    no block",
        "it takes 40 us an action",
        "one JSON object a line",
        "the data are in blobs",
        "that stands twice",
        "whoever runs a node",
        "it goes on behind it",
        "a goal: 0.5",
        "blazingly fast",
    ],
)
def test_the_dialect_is_found(text: str) -> None:
    """Each kind of phrase is found, across line breaks as well."""
    assert [] != list(find_phrases(text))


@pytest.mark.parametrize(
    "text",
    [
        "there is no optional type",
        "it is no longer kept",
        "40 us per action",
        "the data is in blobs; its data and an action",
        "a node that lags behind L1, 12 blocks behind its head",
        "who runs a node, whatever the size",
        "none of these is one",
    ],
)
def test_plain_words_are_not(text: str) -> None:
    """What the field says is left alone."""
    assert [] == list(find_phrases(text))
