"""Errors of the ledger carry a stable code for machines and words for people."""

import pytest

from ledger import errors
from ledger.errors import LedgerError, ProofError


def test_error_has_code_and_words() -> None:
    """Both parts can be read, and printing shows both."""
    error = ProofError("E_PROOF_PATH", "the path leads elsewhere")
    assert (error.code, error.message) == ("E_PROOF_PATH", "the path leads elsewhere")
    assert str(error) == "E_PROOF_PATH: the path leads elsewhere"


@pytest.mark.parametrize("code", ["", "E_", "PROOF", "E_proof", "E_A__B", "E_A_", "E A", "E_A\n"])
def test_malformed_code_is_our_own_bug(code: str) -> None:
    """A code of another shape never leaves the program."""
    with pytest.raises(AssertionError):
        LedgerError(code, "words")


def test_every_error_belongs_to_the_family() -> None:
    """One except clause catches whatever this room refuses."""
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(classes) > 10
    assert all(issubclass(one, LedgerError) for one in classes)


def test_three_refusals_of_a_receipt_are_told_apart() -> None:
    """None of the three kinds is another one, so that exit codes cannot be confused."""
    kinds = [errors.ReceiptMismatchError, errors.ReceiptTrustError, errors.ReceiptFormatError]
    assert all(issubclass(a, b) == (a is b) for a in kinds for b in kinds)
