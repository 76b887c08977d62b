"""What handlers are given."""

from gateway_web import Api

from gateway.web.services import SERVICES


async def test_services_are_under_one_typed_key(web: Api) -> None:
    """The application carries exactly the services it was made with."""
    assert web.client.server is not None
    assert web.client.server.app[SERVICES] is web.services  # type: ignore[attr-defined]
