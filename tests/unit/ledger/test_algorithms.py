"""Algorithm numbers: one of each kind is in use, reserved ones are unsupported, others unknown."""

from collections.abc import Callable

import pytest

from ledger.algorithms import (
    HASH_SHA256,
    HASH_SM3,
    SIG_ED25519,
    SIG_ML_DSA_44,
    SIG_SM2,
    require_hash,
    require_signature,
)
from ledger.errors import EncodingError, UnsupportedError


def test_numbers_are_frozen() -> None:
    """The numbers stand in signed bytes; they never change."""
    assert (HASH_SHA256, HASH_SM3) == (1, 2)
    assert (SIG_ED25519, SIG_SM2, SIG_ML_DSA_44) == (1, 2, 3)


def test_algorithms_in_use_pass() -> None:
    """SHA-256 and Ed25519 are accepted."""
    require_hash(HASH_SHA256)
    require_signature(SIG_ED25519)


@pytest.mark.parametrize(
    ("check", "number"),
    [(require_hash, HASH_SM3), (require_signature, SIG_SM2), (require_signature, SIG_ML_DSA_44)],
)
def test_reserved_numbers_are_unsupported(check: Callable[[int], None], number: int) -> None:
    """A reserved algorithm asks for a newer program."""
    with pytest.raises(UnsupportedError, match="E_ALGORITHM_UNSUPPORTED"):
        check(number)


@pytest.mark.parametrize("check", [require_hash, require_signature])
@pytest.mark.parametrize("number", [-1, 0, 4, 255])
def test_other_numbers_are_unknown(check: Callable[[int], None], number: int) -> None:
    """A number that nobody assigned is garbage."""
    with pytest.raises(EncodingError, match="E_ALGORITHM_UNKNOWN"):
        check(number)
