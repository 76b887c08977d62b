"""Examples in documents are made by the program: a mark names one, the fenced block behind it is its text.

A page says ``<!-- example: NAME -->`` and, on the next line, opens a fence. `REWRITE=1` puts the present
texts into the page; whoever does that explains the difference in the commit.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_BLOCK = re.compile(r"<!-- example: (?P<name>[a-z0-9-]+) -->\n```[a-z]*\n(?P<text>.*?)```\n", re.DOTALL)


def check_examples(page: Path, examples: Mapping[str, str]) -> None:
    """Assert that the page shows exactly these examples, each with this text; with REWRITE=1 make it so."""
    text = page.read_text("utf-8")
    if os.environ.get("REWRITE") == "1":
        page.write_text(_BLOCK.sub(lambda found: _with(found, examples), text), "utf-8")
        text = page.read_text("utf-8")
    shown = {found["name"]: found["text"] for found in _BLOCK.finditer(text)}
    assert set(shown) == set(examples)
    for name, example in examples.items():
        assert shown[name] == example, f"{page.name}: example {name} is stale"


def _with(found: re.Match[str], examples: Mapping[str, str]) -> str:
    whole = found.group()
    start, end = found.start("text") - found.start(), found.end("text") - found.start()
    return whole[:start] + examples[found["name"]] + whole[end:]
