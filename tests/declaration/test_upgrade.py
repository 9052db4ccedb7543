"""`Upgrade`: what a version that follows on another may declare, and which numbers its fields have."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from microrollup import Bytes32, Context, Map, MicroRollup, State, Uint64, Upgrade, leaf_value, metadata
from microrollup.declaration.state import describe_state
from microrollup.errors import DeclarationError
from shop import v1, v2, v3


def test_numbers_are_given_once() -> None:
    numbers = [
        {field.name: (field.settled, field.number) for field in version.app.state_type.fields}
        for version in (v1, v2, v3)
    ]
    assert numbers[0] == {
        "total": (True, 0), "accounts": (True, 1), "tags": (True, 2), "seen": (False, 0), "limit": (False, 1),
    }  # fmt: skip
    assert numbers[1] == {
        "orders": (True, 3), "accounts": (True, 1), "labels": (True, 2), "total": (True, 0), "fee": (False, 2),
        "limit": (False, 1),
    }  # fmt: skip
    assert numbers[2] == {
        "seen": (False, 3), "orders": (True, 3), "accounts": (True, 1), "total": (True, 0), "limit": (False, 1),
    }  # fmt: skip
    assert [(3, 2), (4, 3), (4, 4)] == [each.app.state_type.free_numbers for each in (v1, v2, v3)]


def test_the_manifest_names_the_version_before_and_the_migration() -> None:
    assert v3.app.versions == (v1.app, v2.app, v3.app)
    assert v1.app is v3.app.oldest
    first, second, third = [version.app.manifest for version in (v1, v2, v3)]
    assert (None, None) == (first.previous, first.migrate)
    assert (v1.app.stf_id, ".:migrate") == (second.previous, second.migrate)
    assert (v2.app.stf_id, ".:migrate") == (third.previous, third.migrate)
    assert {".": "shop.v2"} == v2.app.module_names, "the version before counts through its own id"
    assert v2.app is v3.app.find_version(v2.app.stf_id)
    assert v3.app.find_version(bytes(32)) is None
    assert v1.app.genesis is v3.app.genesis


class Plain(State, frozen=True):
    total: Uint64 = 0
    tags: Map[Uint64, Bytes32] = Map()


def keep(state: v1.Shop, ctx: Context) -> Plain:
    return Plain(state.total, state.tags)


def touch(state: Plain, action: v1.Deposit, ctx: Context) -> Plain:
    return state


def declare(**changes: Any) -> MicroRollup:
    arguments: dict[str, Any] = {
        "name": "shop", "version": "2", "state": Plain, "stfs": [touch], "previous": Upgrade(v1.app, keep)
    }  # fmt: skip
    return MicroRollup(**{**arguments, **changes})


def other(state: v1.Shop, ctx: Context) -> v1.Shop:
    return state


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"genesis": v1.Shop()}, "genesis: belongs to the oldest version"),
        ({"state": None}, "state: is the class of the state: write state=Shop"),
        ({"state": Plain()}, "state: is a class"),
        ({"name": "store"}, "keeps its name for ever, 'shop'"),
        ({"version": "1"}, "'1' is that of an earlier version"),
        ({"previous": v1.app}, "previous: is Upgrade"),
        ({"previous": Upgrade(v1, keep)}, "the version before is a MicroRollup, not module"),
        ({"previous": Upgrade(v1.app, None)}, "`migrate` is one function"),
        ({"previous": Upgrade(v1.app, other)}, "takes Shop and returns Shop; it must take the version before's Shop"),
        ({"previous": Upgrade(v1.app, keep, renamed=[])}, "`renamed` is old name -> new name"),
        ({"previous": Upgrade(v1.app, keep, renamed={"tag": "tags"})}, "shop 1 has no field 'tag'"),
        ({"previous": Upgrade(v1.app, keep, renamed={"seen": "tags"})}, "'tags' is a field of the version before"),
        ({"previous": Upgrade(v1.app, keep, renamed={"seen": "known"})}, "Plain has no field 'known'"),
        ({"previous": None}, "state: goes with previous"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        declare(**changes)


def test_a_plain_one_is_taken() -> None:
    assert 2 == len(declare().versions)


class Tag(msgspec.Struct, frozen=True):
    value: Bytes32


def encode_tag(value: bytes) -> bytes:
    return value


class OtherValues(State, frozen=True):
    tags: Map[Uint64, Tag] = Map()


class OtherLeaf(State, frozen=True):
    tags: Annotated[Map[Uint64, Bytes32], leaf_value(encode_tag)] = Map()


class OtherKeys(State, frozen=True):
    tags: Map[Bytes32, Bytes32] = Map()


class NowMetadata(State, frozen=True):
    tags: Annotated[Map[Uint64, Bytes32], metadata] = Map()


class NowScalar(State, frozen=True):
    tags: Uint64 = 0


def migrate_values(state: v1.Shop, ctx: Context) -> OtherValues:
    return OtherValues(tags=state.tags)


def migrate_leaf(state: v1.Shop, ctx: Context) -> OtherLeaf:
    return OtherLeaf(tags=state.tags)


def migrate_keys(state: v1.Shop, ctx: Context) -> OtherKeys:
    return OtherKeys(tags=Map())


def migrate_metadata(state: v1.Shop, ctx: Context) -> NowMetadata:
    return NowMetadata()


def migrate_scalar(state: v1.Shop, ctx: Context) -> NowScalar:
    return NowScalar(len(state.tags))


def transform_values(state: v1.Shop, ctx: Context) -> OtherValues:
    return OtherValues(tags=state.tags.transform(lambda _, value: Tag(value)))


def touch_values(state: OtherValues, action: v1.Deposit, ctx: Context) -> OtherValues:
    return state


def test_a_map_of_other_values_must_be_transformed() -> None:
    cases = [
        (migrate_values, "tags: its values, or its leaf function, differ .* pass state.tags.transform"),
        (migrate_leaf, "tags: its values, or its leaf function, differ .* pass state.tags.transform"),
        (migrate_keys, "tags: a map's keys keep their type"),
        (migrate_metadata, "tags: was settled in the version before and cannot become metadata"),
        (migrate_scalar, "tags: a map and a single value cannot be one field"),
    ]
    for migrate, said in cases:
        after: Any = migrate.__annotations__["return"]
        state = globals()[after]
        with pytest.raises(DeclarationError, match=said):
            declare(state=state, previous=Upgrade(v1.app, migrate), stfs=[touch_values])
    made = declare(state=OtherValues, previous=Upgrade(v1.app, transform_values), stfs=[touch_values])
    assert 2 == made.state_type.get_field("tags").number


def test_numbers_without_a_version_before_are_the_order() -> None:
    assert [0, 1] == [field.number for field in describe_state(Plain).fields]
