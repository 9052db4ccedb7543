"""What verifiers vouch for, kept in a file beside the store."""

import pytest

from microrollup.node.vouches import Vouches
from microrollup.settlement.verifiers import VerifierSet

ONE, TWO, THREE = (bytes([number]) * 20 for number in (1, 2, 3))
ALL = VerifierSet((ONE, TWO, THREE), 2)


def make_hash(height, salt=0):
    return bytes([salt, height]) * 16 if height <= 9 else None


def reopen(directory, find_hash=make_hash):
    """What is read at the next start."""
    vouches = Vouches(directory, find_hash)
    vouches.load()
    return vouches


def test_a_quorum_counts(tmp_path):
    """The height of a quorum is the highest that so many verifiers reach; marks only rise."""
    vouches = Vouches(tmp_path, make_hash)
    assert 0 == vouches.find_height(ALL)
    for verifier, height, expected in ((ONE, 7, 0), (TWO, 3, 3), (THREE, 5, 5), (ONE, 2, 5), (TWO, 9, 7)):
        assert vouches.note(verifier, height, ALL)
        assert expected == vouches.find_height(ALL)
    assert [7, 9, 5] == [vouches.get_height(verifier) for verifier in (ONE, TWO, THREE)]


def test_only_blocks_of_ours_count(tmp_path):
    """A height without a block, and a block with another hash, are not noted."""
    vouches = Vouches(tmp_path, make_hash)
    assert not vouches.note(ONE, 10, ALL)
    assert not vouches.note(ONE, 4, ALL, make_hash(5))
    assert 0 == vouches.get_height(ONE)
    assert vouches.note(ONE, 4, ALL, make_hash(4))
    assert 4 == vouches.get_height(ONE)


def test_it_is_kept(tmp_path):
    """Another start reads it again; what speaks of blocks that were built anew is dropped, the rest stays."""
    vouches = Vouches(tmp_path, make_hash)
    vouches.note(ONE, 4, ALL)
    vouches.note(TWO, 6, ALL)
    assert 4 == reopen(tmp_path).find_height(ALL)
    mended = reopen(tmp_path, lambda height: make_hash(height, salt=1 if height > 5 else 0))
    assert [4, 0] == [mended.get_height(verifier) for verifier in (ONE, TWO)]
    vouches.note(THREE, 1, VerifierSet((ONE, THREE), 1))
    assert [4, 0, 1] == [reopen(tmp_path).get_height(verifier) for verifier in (ONE, TWO, THREE)]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b"[]", b'{"zz":{"height":1,"blockHash":""}}', b'{"01":{"height":"x"}}']
)
def test_a_damaged_file_is_as_none(tmp_path, raw):
    """It is derived from what verifiers know: a damaged one is left aside and written anew."""
    (tmp_path / "verified.json").write_bytes(raw)
    vouches = reopen(tmp_path)
    assert 0 == vouches.find_height(ALL)
    vouches.note(ONE, 1, ALL)
    assert 1 == reopen(tmp_path).get_height(ONE)
