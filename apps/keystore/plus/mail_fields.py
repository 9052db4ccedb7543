"""Header fields of a mail: their strict form, how DKIM canonicalizes and chooses them, tags, the address in From.

RFC 5322 and RFC 6376, less what no mail provider writes: no text but ASCII, no comments, no groups, one address.
"""

from __future__ import annotations

from typing import Final

from microrollup import Revert, require

__all__ = [
    "MAX_FIELDS",
    "canonicalize",
    "choose_fields",
    "get_name",
    "get_value",
    "is_domain",
    "is_field_name",
    "is_selector",
    "read_from",
    "read_tags",
    "require_field",
]

MAX_FIELDS: Final = 64
"""Of the fields of an envelope, and of the names in `h=`."""
MAX_DOMAIN_BYTES: Final = 253
MAX_LOCAL_BYTES: Final = 64

_LOWER: Final = b"abcdefghijklmnopqrstuvwxyz0123456789"
_NAME: Final = _LOWER + b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
_SELECTOR: Final = _LOWER + b"-_"
_ATEXT: Final = _NAME + b"!#$%&'*+/=?^_`{|}~"
_QUOTE: Final = 34
_ANGLE: Final = 60
_AT: Final = 64
_BACKSLASH: Final = 92
_NO_ADDRESS: Final = "From is not one plain address"


def require_field(field: bytes) -> None:
    """Reject what is not `name:value` in printable ASCII, folded only where white space and a text follow."""
    lines = field.split(b"\r\n")
    for line in lines:
        require(all(32 <= letter <= 126 or letter == 9 for letter in line), "a header field is printable ASCII")
        require(len(line.strip(b" \t")) > 0, "a line of a header field is empty")
    require(all(line[:1] in (b" ", b"\t") for line in lines[1:]), "a folded line begins with white space")
    name, colon, _ = lines[0].partition(b":")
    require(colon == b":" and is_field_name(name), "a header field is name:value, the name of letters, digits, hyphens")


def get_name(field: bytes) -> bytes:
    """In lower case."""
    return field.partition(b":")[0].lower()


def get_value(field: bytes) -> bytes:
    """Unfolded, runs of white space as one space, none at the ends: as relaxed canonicalization has it."""
    value = field.partition(b":")[2].replace(b"\r\n", b"").replace(b"\t", b" ")
    return b" ".join([word for word in value.split(b" ") if word])


def canonicalize(field: bytes, relaxed: bool) -> bytes:
    """Relaxed: `name:value`, the name in lower case (RFC 6376, 3.4.2). Simple: as it is (3.4.1)."""
    return get_name(field) + b":" + get_value(field) if relaxed else field


def is_field_name(name: bytes) -> bool:
    """Letters, digits and hyphens."""
    return len(name) > 0 and all(letter in _NAME for letter in name)


def choose_fields(fields: tuple[bytes, ...], names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The fields that `h=` signs, in its order: each name takes the last field of that name that is left, or none
    (RFC 6376, 5.4.2). Rejects fields that no name takes.
    """
    left, chosen = [(get_name(field), field) for field in fields], []
    for name in names:
        for place in range(len(left) - 1, -1, -1):
            if left[place][0] == name:
                chosen.append(left.pop(place)[1])
                break
    require(len(left) == 0, "a header field is not signed")
    return tuple(chosen)


def read_tags(value: bytes) -> dict[bytes, bytes]:
    """A tag list (RFC 6376, 3.2), from a relaxed value. White space inside a value only in `h=` and `bh=`.

    Rejects a list that does not begin with `v=1`, as all signers begin; a tag that comes twice; `b=` with a value.
    """
    parts = value.split(b";")
    tags: dict[bytes, bytes] = {}
    if not parts[-1].strip(b" "):
        parts.pop()
    for part in parts:
        name, equals, text = [each.strip(b" ") for each in part.partition(b"=")]
        require(equals == b"=" and len(name) > 0, "a tag is name=value")
        require(all(letter in _NAME or letter == 95 for letter in name) and b"-" not in name, "no name of a tag")
        require(name not in tags, "a tag comes twice")
        require(b" " not in text or name in (b"h", b"bh"), "white space in a tag")
        require(name != b"b" or part.lstrip(b" ") == b"b=", "b= is empty here: the signature has its own place")
        tags[name] = text
    require(len(parts) > 0 and parts[0].replace(b" ", b"") == b"v=1", "a signature begins with v=1")
    return tags


def is_domain(domain: bytes) -> bool:
    """Two labels or more of a-z, 0-9 and inner hyphens, 253 bytes at most."""
    labels = domain.split(b".")
    return len(labels) >= 2 and len(domain) <= MAX_DOMAIN_BYTES and all(_is_label(label) for label in labels)


def _is_label(label: bytes) -> bool:
    inner = all(letter in _LOWER or letter == 45 for letter in label)
    return 1 <= len(label) <= 63 and inner and label[:1] != b"-" and label[-1:] != b"-"


def is_selector(selector: bytes) -> bool:
    """Labels of a-z, 0-9, hyphens and underscores, with dots between them, 63 bytes at most."""
    labels = selector.split(b".")
    return len(selector) <= 63 and all(label and all(each in _SELECTOR for each in label) for label in labels)


def read_from(value: bytes) -> tuple[bytes, bytes]:
    """The one address of a From field and its domain, in lower case; from a relaxed value.

    `local@domain`, or `<local@domain>` with words and quoted texts before it. Rejects everything else: two addresses,
    comments, groups, backslashes, a quoted local part.
    """
    angle, quoted, signs = -1, False, 0
    for place, letter in enumerate(value):
        if letter == _QUOTE:
            quoted = not quoted
        elif quoted:
            require(letter != _BACKSLASH, "From holds a backslash")
        elif letter == _ANGLE:
            angle = place
            break
        else:
            require(letter in _ATEXT or letter in b" .@", _NO_ADDRESS)
            signs += letter == _AT
    require(not quoted, "From holds an open quote")
    if angle >= 0:
        require(signs == 0 and value[-1:] == b">", _NO_ADDRESS)
        value = value[angle + 1 : -1]
    local, sign, domain = value.lower().partition(b"@")
    words = local.split(b".")
    require(sign == b"@" and len(local) <= MAX_LOCAL_BYTES, _NO_ADDRESS)
    plain = all(len(word) > 0 and all(letter in _ATEXT for letter in word) for word in words)
    if not plain or not is_domain(domain):
        raise Revert(_NO_ADDRESS)
    return local + b"@" + domain, domain
