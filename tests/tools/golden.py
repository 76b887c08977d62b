"""Where the golden files are, and how tests read them."""

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def load(path: str) -> Any:
    """Return the JSON document at a path under tests/golden."""
    return json.loads((GOLDEN / path).read_text("utf-8"))
