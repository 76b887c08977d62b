"""The table of error codes and the document that callers get."""

import json
import re

import pytest

from gateway.errors import BusyError, FieldError, GatewayError, RequestError, StorageError
from gateway.web.problems import CATALOGUE, code_of_status, item_problem, problem, response, response_of


def test_every_code_is_complete() -> None:
    """Codes look like codes; title and hint are words; the status is one of those that docs/api.md explains."""
    for code, kind in CATALOGUE.items():
        assert re.fullmatch(r"E_[A-Z]+(?:_[A-Z]+)*", code)
        assert kind.title
        assert kind.hint.endswith(".")
        assert kind.status in (400, 401, 403, 404, 405, 408, 409, 413, 415, 417, 422, 429, 500, 503)
        assert kind.retryable == (kind.status in (408, 429, 500, 503))


def test_a_problem_document_has_all_its_members() -> None:
    """RFC 9457's members and ours, with the request's id as instance."""
    error = RequestError("E_FIELD_TYPE", "ref is text", [FieldError("ref", "E_FIELD_TYPE", "ref is text")])
    answer = response_of(error, "abc-1")
    assert answer.status == 422
    assert answer.content_type == "application/problem+json"
    assert isinstance(answer.body, bytes)
    document = json.loads(answer.body)
    assert document == {
        "type": "urn:tiezheng:problem:E_FIELD_TYPE",
        "title": CATALOGUE["E_FIELD_TYPE"].title,
        "status": 422,
        "code": "E_FIELD_TYPE",
        "detail": "ref is text",
        "hint": CATALOGUE["E_FIELD_TYPE"].hint,
        "retryable": False,
        "errors": [{"path": "ref", "code": "E_FIELD_TYPE", "message": "ref is text"}],
        "instance": "urn:tiezheng:request:abc-1",
    }


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (BusyError("E_RATE_LIMITED", "slow", 0.2), "1"),
        (BusyError("E_OUTBOX_FULL", "full", 29.1), "30"),
        (StorageError("E_STORAGE_FULL", "no room"), "5"),
    ],
)
def test_later_always_says_when(error: GatewayError, seconds: str) -> None:
    """429 and 503 carry Retry-After in whole seconds, at least one."""
    assert response_of(error, "x").headers["Retry-After"] == seconds


def test_an_unknown_code_is_our_mistake() -> None:
    """It becomes 500 without a word of the original."""
    answer = response_of(GatewayError("E_NEVER_HEARD_OF", "secret words"), "x")
    assert answer.status == 500
    assert b"secret" not in (answer.body or b"")  # type: ignore[operator]


def test_an_item_problem_names_its_place() -> None:
    """The first error gives the code; the others are counted and listed."""
    errors = [
        FieldError("items[3].ref", "E_FIELD_TYPE", "ref is text"),
        FieldError("items[3].x", "E_FIELD_RANGE", "no"),
    ]
    document = item_problem(errors, 3)
    assert (document["index"], document["code"], document["detail"]) == (
        3,
        "E_FIELD_TYPE",
        "ref is text and 1 more",
    )
    assert len(document["errors"]) == 2


def test_refusals_of_the_library_have_codes() -> None:
    """Whatever aiohttp refuses by itself is in the table too."""
    assert {code_of_status(s) for s in (400, 404, 405, 411, 413, 415, 417, 500, 505)} <= set(CATALOGUE)
    assert code_of_status(405) == "E_METHOD"
    assert code_of_status(500) == "E_INTERNAL"


def test_401_says_how_to_authenticate() -> None:
    """RFC 9110: a 401 names its scheme."""
    assert response_of(GatewayError("E_KEY_REQUIRED", "x"), "x").headers["WWW-Authenticate"] == "Bearer"
    assert "Retry-After" not in response(problem("E_METHOD", "x"), "x").headers
