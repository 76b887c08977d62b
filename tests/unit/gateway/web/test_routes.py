"""The table of routes: each has an access rule, and the rule holds."""

import pytest
from gateway_web import Api

from gateway.web.routes import ROUTES, Route

OPEN = {"/v1/meta"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_route_keeps_its_access_rule(web: Api, route: Route) -> None:
    """Without a key, with a wrong one, with nonsense: 401 unless the route is open on purpose."""
    assert route.needs_key is (route.path not in OPEN)
    path = route.path.replace("{id}", "r1")
    for key, code in ((None, "E_KEY_REQUIRED"), ("wrong", "E_KEY_UNKNOWN"), ("x" * 1_000, "E_KEY_UNKNOWN")):
        answer = await web.call(route.method, path, key=key)
        if route.needs_key:
            assert (answer.status, answer.json["code"]) == (401, code)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        else:
            assert answer.status == 200


@pytest.mark.parametrize("value", ["Basic a2V5", "Bearer", "Bearer ", "key-all", "bearer  wrong"])
async def test_other_schemes_are_no_keys(web: Api, value: str) -> None:
    """Only `Bearer KEY` is a key."""
    answer = await web.call("GET", "/v1/records", key=None, headers={"Authorization": value})
    assert answer.status == 401


async def test_the_scheme_is_not_case_sensitive(web: Api) -> None:
    """RFC 9110: schemes are compared without case; keys are not."""
    assert (
        await web.call("GET", "/v1/records", key=None, headers={"Authorization": "bearer key-all"})
    ).status == 200
    assert (
        await web.call("GET", "/v1/records", key=None, headers={"Authorization": "Bearer KEY-ALL"})
    ).status == 401


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/evidence", "/v1/records/r1/receipt/x", "/V1/meta", "/v1/records/"]
)
async def test_what_is_no_route_is_404(web: Api, path: str) -> None:
    """A problem document, with or without a key."""
    for key in ("key-all", None):
        answer = await web.call("GET", path, key=key)
        assert (answer.status, answer.json["code"]) == (404, "E_ROUTE_UNKNOWN")
        assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/commitments"), ("DELETE", "/v1/records/r1"), ("PUT", "/v1/meta")]
)
async def test_other_methods_are_405(web: Api, method: str, path: str) -> None:
    """With the methods that there are."""
    answer = await web.call(method, path)
    assert (answer.status, answer.json["code"]) == (405, "E_METHOD")
    assert answer.headers["Allow"]
