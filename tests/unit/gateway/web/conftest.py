"""The API in this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_web import Api, api


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Api]:
    """The API with its default limits."""
    async with api(tmp_path) as made:
        yield made
