"""An API key's scope."""

from gateway.domain.access import ApiKey


def test_a_key_bound_to_sources_allows_only_these() -> None:
    """Other sources are forbidden, whatever they resemble."""
    key = ApiKey("app", b"d" * 32, frozenset({"PUSH.SMS"}))
    assert key.allows("PUSH.SMS")
    assert not key.allows("PUSH")
    assert key.forbidden(["PUSH.SMS", "CRM", "CRM"]) == {"CRM"}


def test_a_key_for_all_sources_forbids_nothing() -> None:
    """None means every source of the institution."""
    key = ApiKey("all", b"d" * 32, None)
    assert key.allows("ANY")
    assert key.forbidden(["ANY", "CRM"]) == set()
