"""Keys that sign mails in tests, always the same."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.keystore.plus.mailing import MailKey

_RSA_P = int(
    "e2dcb1a8c7a312cd754423f6f4ca1387c44965131e5ae3d98b234bf13cd56f9b1cc52da3558ff59cebf8ab6a7389c7f5aa10"
    "36e4d9946144c70bbcfbcfba6ab67dc1235a8b472588139f55675f61c455db7b85b5718390c15f7c8feb75866e919cafc47c"
    "f336916604c48e19260fcaa8b821d5e77198f6a4fdac6453ff424b2f",
    16,
)
_RSA_Q = int(
    "b660c4b0efabaa97e0589c62f9d9b8949c46c9765823476d4b9f7b0071aa8dbb371bf60ee42cc9cc89430dba7c90030dadba"
    "d0ab6b51d645256292a0b053888c6a23c0c2abaef7602ec337b0b8d79dacaa4ebe4aaa0677b57009557e10cc7d2691a7ef1f"
    "b9f1aa6c8faed693705a9a81929b2b4018f799484ef5b71cf986afb7",
    16,
)
_SHORT_P = int(
    "d42a31bc82cb15e287ad30d5e49a61b93afb17ac727fe7e82983d1fa58c9ed930e161db3eefc11ba279e12e4f373caa5d99d"
    "615c0feb0c907a982c1730131949",
    16,
)
_SHORT_Q = int(
    "cd9293d6c79cd03fb084e57a8ee52584bf77f934517e90dae7d188814075f0e655c519fccd9806863a957ebb34248a4133d7"
    "229576773e27711706e60bb03347",
    16,
)


def make_rsa(p: int, q: int) -> MailKey:
    """Of two primes, with the exponent that all providers use."""
    e = 65_537
    d = rsa.rsa_recover_private_exponent(e, p, q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, p * q)
    )
    return MailKey(numbers.private_key())


RSA_KEY = make_rsa(_RSA_P, _RSA_Q)
SHORT_KEY = make_rsa(_SHORT_P, _SHORT_Q)
"""Of 1,024 bits."""
ED25519_KEY = MailKey(Ed25519PrivateKey.from_private_bytes(b"\x17" * 32))
