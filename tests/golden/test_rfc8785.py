"""The library that canonicalises JSON passes the RFC's own documents, and refuses what is not I-JSON.

The gateway's manifests are hashed in this form, so a new version of the library must not change a byte.
"""

import json
import math

import pytest
import rfc8785
from golden import GOLDEN

FOLDER = GOLDEN / "rfc8785"
NAMES = sorted(path.stem for path in (FOLDER / "input").iterdir())


def test_all_documents_are_here() -> None:
    """The corpus is the published six documents."""
    assert NAMES == ["arrays", "french", "structures", "unicode", "values", "weird"]


@pytest.mark.parametrize("name", NAMES)
def test_document_becomes_its_canonical_bytes(name: str) -> None:
    """Each input document becomes exactly the published bytes."""
    canonical = rfc8785.dumps(json.loads((FOLDER / "input" / f"{name}.json").read_bytes()))
    assert canonical == (FOLDER / "output" / f"{name}.json").read_bytes()
    assert canonical == bytes.fromhex((FOLDER / "outhex" / f"{name}.txt").read_text("ascii"))


@pytest.mark.parametrize("value", [2**53, -(2**53), math.nan, math.inf, "\ud800", {1: 2}])
def test_what_json_cannot_say_exactly_is_refused(value: object) -> None:
    """Integers beyond 2^53 - 1, NaN, infinities, lone surrogates and keys that are no text have no canonical
    form.
    """
    with pytest.raises(rfc8785.CanonicalizationError):
        rfc8785.dumps(value)  # type: ignore[arg-type]
