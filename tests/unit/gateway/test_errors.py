"""The gateway's error family."""

import pytest

from gateway.errors import (
    BusyError,
    ContradictionError,
    FatalStorageError,
    FieldError,
    GatewayError,
    RequestError,
    StorageError,
)


def test_an_error_is_a_code_and_words() -> None:
    """Machines read the code, people the words, and both stand in its text."""
    error = GatewayError("E_FIELD_TYPE", "ref is text")
    assert (error.code, error.message, str(error)) == (
        "E_FIELD_TYPE",
        "ref is text",
        "E_FIELD_TYPE: ref is text",
    )


@pytest.mark.parametrize("code", ["", "FIELD", "E_", "e_field", "E_FIELD-TYPE", "E__X", "E_X "])
def test_a_code_of_another_shape_is_our_bug(code: str) -> None:
    """Codes are a promise; a malformed one never gets out."""
    with pytest.raises(AssertionError):
        GatewayError(code, "words")


def test_some_errors_carry_more() -> None:
    """Fields, delays and evidence."""
    field = FieldError("ref", "E_FIELD_TYPE", "ref is text")
    assert RequestError("E_FIELD_TYPE", "x", [field]).errors == (field,)
    assert BusyError("E_BUSY", "x", 2.5).retry_after_s == 2.5
    assert ContradictionError("E_CHAIN_FORKED", "x", {"a": b"b"}).evidence == {"a": b"b"}
    assert isinstance(FatalStorageError("E_STORAGE_FAILED", "x"), StorageError)
