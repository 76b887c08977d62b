"""References that read as a person's number are refused; numbers of a caller's own system are not."""

import pytest

from gateway.domain.personal import any_looks_personal, looks_personal


@pytest.mark.parametrize(
    "ref",
    [
        "990000199001010010",  # made-up resident identity number
        "99000019900101001X",
        "99000019900101001x",
        "990000900101001",  # its older form of 15 digits
        "13800001234",
        "8613800001234",
        "+8613800001234",
        "86-13800001234",
    ],
)
def test_numbers_of_people_are_found(ref: str) -> None:
    """Identity numbers of 18 and 15 characters and mobile numbers are recognised as whole references."""
    assert looks_personal(ref)
    assert any_looks_personal(["PUSH-1", ref, "PUSH-2"])


@pytest.mark.parametrize(
    "ref",
    [
        "PUSH-20250319-000056",
        "QTDJ-APP-20250303-000001",
        "20250319090000",  # a moment
        "202503190900000056",  # 18 digits, but no birth date inside
        "990000199013010010",  # month 13
        "990000199001320010",  # day 32
        "12800001234",  # no mobile number begins with 12
        "138000012345",
        "ORDER-13800001234",  # a part, not the whole
        "000000900101001",
        "1",
    ],
)
def test_numbers_of_systems_stay_usable(ref: str) -> None:
    """What only resembles such a number in part, or has no plausible date, is a fine reference."""
    assert not looks_personal(ref)
    assert not any_looks_personal([ref, "PUSH-2"])
