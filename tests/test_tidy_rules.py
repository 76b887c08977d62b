"""Each tidy rule finds a deliberate violation, says what to do, and leaves the allowed spelling alone.

A rule that cannot fail protects nothing, so `test_every_rule_is_tried` demands a row here for each of them.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
import tidy_calls
import tidy_imports
import tidy_shape
from tidy_model import Source
from tidy_rules import SOURCE_RULES, TREE_RULES, findings, load_tree

DOC = '"""Why."""\n'
MARK = "TO" + "DO"

# (rule, path, text, words that the finding must contain)
VIOLATIONS = [
    ("directions", "ledger/proof.py", "import consensus.raft\n", "ledger must not import consensus"),
    ("directions", "consensus/raft.py", "from ledger import block\n", "consensus must not import ledger"),
    ("directions", "consensus/raft.py", "from ..node import wire\n", "consensus must not import node"),
    ("directions", "node/runtime.py", "from gateway.web import x\n", "node must not import gateway"),
    ("directions", "gateway/app.py", "def f():\n    import node\n", "gateway must not import node"),
    ("directions", "protos/extra.py", "import ledger\n", "protos must not import ledger"),
    ("directions", "node/wire.py", "import tests.tools.fakes\n", "must not import tests"),
    ("purity", "ledger/proof.py", "import aiohttp\n", "must not import aiohttp"),
    ("purity", "ledger/store_kv.py", "import os\n", "must not import os"),
    ("purity", "consensus/raft.py", "import random\n", "randomness as an argument"),
    ("purity", "node/replica.py", "import asyncio\n", "a core never waits"),
    ("purity", "node/effects.py", "from protos import peer_pb2\n", "translated at the edge"),
    ("purity", "gateway/domain/record.py", "from time import time\n", "the moment as an argument"),
    ("third_party", "consensus/raft.py", "import msgpack\n", "not among the packages of consensus"),
    ("third_party", "gateway/web/routes.py", "import requests\n", "not among the packages of gateway"),
    ("third_party", "node/service.py", "import sqlalchemy\n", "not among the packages of node"),
    ("third_party", "scripts/setup/system.py", "import click\n", "before anything is installed"),
    ("third_party", "ledger/note.py", "from nacl import bindings\n", "ledger/ed25519.py"),
    ("third_party", "ledger/record.py", "import msgpack\n", "ledger/encoding.py only"),
    ("third_party", "ledger/headfile.py", "import plyvel\n", "ledger/store*.py only"),
    ("third_party", "gateway/usecases/collect.py", "import sqlalchemy\n", "gateway/adapters/* only"),
    ("third_party", "node/service.py", "import subprocess\n", "scripts/* only"),
    ("gateway_rings", "gateway/domain/record.py", "from gateway import ports\n", "inward only"),
    ("gateway_rings", "gateway/usecases/collect.py", "from gateway.adapters import vault\n", "inward only"),
    ("gateway_rings", "gateway/web/records.py", "from gateway.adapters import vault\n", "inward only"),
    ("gateway_rings", "gateway/ports.py", "from gateway.usecases import anchor\n", "inward only"),
    ("gateway_rings", "gateway/helpers.py", "", "no ring for helpers"),
    (
        "banned_calls",
        "tests/unit/node/test_x.py",
        "import asyncio\nasyncio.wait_for(a, 1)\n",
        "asyncio.timeout()",
    ),
    ("banned_calls", "node/runtime.py", "from asyncio import wait_for\n", "asyncio.timeout()"),
    ("banned_calls", "node/runtime.py", "import asyncio as a\nx = a.wait_for\n", "asyncio.timeout()"),
    ("banned_calls", "scripts/cli.py", "import pickle\n", "pickle is not used"),
    ("banned_calls", "gateway/web/routes.py", "from pickle import loads\n", "pickle is not used"),
    ("banned_calls", "scripts/cli.py", "x = eval('1')\n", "eval is not used"),
    ("banned_calls", "tests/tools/x.py", "exec('1')\n", "exec is not used"),
    ("banned_calls", "node/config.py", "import yaml\nyaml.load(x)\n", "tomllib"),
    ("banned_calls", "scripts/cli.py", "import os\nos.fork()\n", "open database handle"),
    ("banned_calls", "ledger/store_kv.py", "import plyvel\nplyvel.repair_db('x')\n", "wrong values as good"),
    ("banned_calls", "scripts/chain.py", "store.repair_db()\n", "wrong values as good"),
    ("banned_calls", "ledger/chain.py", "import time as t\nclock = t.time\n", "`now` as an argument"),
    ("banned_calls", "node/replica.py", "from time import time\n", "`now` as an argument"),
    ("banned_calls", "consensus/raft.py", "import random\nrandom.random()\n", "`rng` as an argument"),
    ("banned_calls", "consensus/raft.py", "x = hash('a')\n", "differs from run to run"),
    ("banned_calls", "ledger/audit.py", "open('x')\n", "bytes as an argument"),
    ("banned_calls", "gateway/app.py", "print('x')\n", "telemetry"),
    ("bare_except", "scripts/cli.py", "try:\n    x()\nexcept:\n    raise\n", "bare except"),
    ("bare_except", "node/x.py", "try:\n    x()\nexcept Exception:\n    pass\n", "swallowed in silence"),
    ("floats_in_ledger", "ledger/block.py", "x = 0.5\n", "an integer and its unit"),
    ("floats_in_ledger", "ledger/block.py", "def f(x: float): ...\n", "instead: int"),
    ("floats_in_ledger", "ledger/block.py", "x = 4 / 2\n", "instead: //"),
    (
        "sql_text",
        "gateway/web/records.py",
        "x = 'SELECT id FROM records WHERE id = 1'\n",
        "gateway/adapters only",
    ),
    ("sql_text", "scripts/cli.py", "x = f'DELETE FROM {t}'\n", "gateway/adapters only"),
    ("parses", "scripts/cli.py", "def f(:\n", "not Python"),
    ("sizes", "ledger/block.py", "x = 1\n" * 401, "401 lines in a file"),
    ("sizes", "gateway/pages/console.css", "a {}\n" * 401, "401 lines in a file"),
    ("sizes", "tests/unit/x/test_y.py", "def f():\n" + "    x = 1\n" * 70, "f has 71 lines"),
    (
        "sizes",
        "scripts/cli.py",
        "class A:\n    async def f(self):\n" + "        x = 1\n" * 70,
        "f has 71 lines",
    ),
    ("docstrings", "tests/test_x.py", "x = 1\n", "opens with why"),
    ("docstrings", "ledger/block.py", DOC + "def f(): ...\n", "f is public and has no docstring"),
    ("docstrings", "scripts/cli.py", DOC + "class A:\n    " + DOC + "    def f(self): ...\n", "f is public"),
    ("docstrings", "node/x.py", DOC + "class A: ...\n", "A is public"),
    ("text_marks", "docs/x.md", f"one\n{MARK}: two\n", "stray mark"),
    ("text_marks", "node/x.py", "# FIX" + "ME later\n", "stray mark"),
    ("text_marks", "Makefile", "x = /ho" + "me/me/x\n", "path of one machine"),
    ("text_marks", "docs/x.md", "`/wo" + "rk/tree`\n", "path of one machine"),
    ("text_marks", "requirements.lock", "--index-url https://pyp" + "i.org/simple\n", "host"),
]

# (rule, path, text): spellings that look alike and are allowed
ALLOWED = [
    ("directions", "node/runtime.py", "import ledger, consensus, protos, asyncio\n"),
    ("directions", "scripts/cli.py", "import node, gateway, ledger\n"),
    ("directions", "tests/unit/ledger/test_x.py", "import gateway\n"),
    ("purity", "ledger/store_kv.py", "import plyvel\n"),
    ("purity", "ledger/headfile.py", "import os\n"),
    ("purity", "node/runtime.py", "import asyncio\n"),
    ("third_party", "ledger/ed25519.py", "from nacl import bindings\n"),
    ("third_party", "gateway/adapters/outbox.py", "import sqlalchemy\n"),
    (
        "gateway_rings",
        "gateway/app.py",
        "from gateway.web import routes\nfrom gateway.adapters import outbox\n",
    ),
    (
        "gateway_rings",
        "gateway/web/records.py",
        "from gateway.web import schema\nfrom gateway import errors\n",
    ),
    ("gateway_rings", "gateway/__init__.py", "from gateway.app import main\n"),
    ("banned_calls", "scripts/cli.py", "print('x')\n"),
    ("banned_calls", "node/runtime.py", "import time\nnow = time.time()\n"),
    ("banned_calls", "ledger/block.py", "def f(id, hash):\n    return id + hash\n"),
    ("banned_calls", "scripts/cli.py", "conn.exec('x')\nmodel.eval()\n"),
    ("bare_except", "node/x.py", "try:\n    x()\nexcept Exception:\n    tell()\n    raise\n"),
    ("floats_in_ledger", "ledger/store_chain.py", "from pathlib import Path\nx = Path('a') / 'b'\n"),
    ("floats_in_ledger", "node/metrics.py", "x = 0.5\n"),
    ("sql_text", "gateway/adapters/outbox.py", "x = 'SELECT id FROM records WHERE id = 1'\n"),
    ("sql_text", "gateway/web/records.py", "x = 'select one from the list'\n"),
    ("parses", "docs/x.md", "def f(:\n"),
    ("sizes", "ledger/block.py", "x = 1\n" * 400),
    ("sizes", "protos/peer_pb2.py", "x = 1\n" * 999),
    ("sizes", "docs/x.md", "x\n" * 999),
    ("docstrings", "ledger/block.py", DOC + "def _f(): ...\nclass _A: ...\n"),
    ("docstrings", "protos/peer_pb2.py", "x = 1\n"),
    (
        "text_marks",
        "docs/x.md",
        "/var/lib/tiezheng and https://example.org/ho" + "me/x and MAST" + MARK + "\n",
    ),
]

RULES = {rule.__name__: rule for rule in SOURCE_RULES}


@pytest.mark.parametrize(("rule", "path", "text", "words"), VIOLATIONS)
def test_violation_is_found(rule: str, path: str, text: str, words: str) -> None:
    """The rule finds the violation and says it, at its line, in the words that help."""
    found = list(RULES[rule](Source(path, text)))
    assert any(words in finding.says for finding in found), found
    assert all(finding.path == path and finding.line >= 1 for finding in found)


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_allowed_spelling_is_left_alone(rule: str, path: str, text: str) -> None:
    """What only looks like a violation is not one."""
    assert list(RULES[rule](Source(path, text))) == []


def tree_of(**files: str) -> Mapping[str, Source]:
    """A made-up tree; "__" in a keyword stands for a slash, and every file gets a docstring."""
    paths = {name.replace("__", "/") + ".py": DOC + text for name, text in files.items()}
    return {path: Source(path, text) for path, text in paths.items()}


def test_cycles_are_found_however_long() -> None:
    """Two modules that import each other, and three in a ring, are cycles; a diamond is none."""
    two = tree_of(ledger__a="import ledger.b\n", ledger__b="from ledger import a\n")
    three = tree_of(
        node__a="from node.b import x\n",
        node__b="def f():\n    from node import c\n",
        node__c="from node.a import y\n",
    )
    diamond = tree_of(
        ledger__a="from ledger import b, c\n",
        ledger__b="import ledger.d\n",
        ledger__c="import ledger.d\n",
        ledger__d="",
    )
    assert ["go round" in str(finding) for finding in tidy_imports.cycles(two)] == [True]
    assert ["node.a -> node.b -> node.c" in str(item) for item in tidy_imports.cycles(three)] == [True]
    assert list(tidy_imports.cycles(diamond)) == []


def test_missing_twin_is_found() -> None:
    """A module without its test file is named together with the file that is missing, subfolders mirrored."""
    tree = tree_of(gateway__web__records="", ledger__block="", tests__unit__ledger__test_block="")
    assert [(item.path, item.says) for item in tidy_shape.twins(tree)] == [
        ("gateway/web/records.py", "no test twin tests/unit/gateway/web/test_records.py")
    ]


def test_dead_module_is_found() -> None:
    """Imported, named for a lazy command, or started by hand is alive; used by its own tests alone is dead."""
    tree = tree_of(
        ledger__a="",
        ledger__b="import ledger.a\n",
        scripts__cli="COMMANDS = {'x': 'scripts.lazy'}\n",
        scripts__lazy="",
        scripts__tool="if __name__ == '__main__':\n    pass\n",
        tests__unit__ledger__test_b="import ledger.b\n",
        consensus__invariants="",
        tests__tools__simulator="from consensus import invariants\n",
    )
    assert [finding.path for finding in tidy_shape.dead_modules(tree)] == ["ledger/b.py"]


def test_unused_tool_and_test_package_are_found() -> None:
    """A test tool that no test imports is found, and so is an __init__.py under tests/."""
    tree = dict(tree_of(tests__tools__used="", tests__tools__idle="", tests__test_x="import used\n"))
    tree["tests/unit/__init__.py"] = Source("tests/unit/__init__.py", "")
    assert [finding.path for finding in tidy_shape.unused_tools(tree)] == ["tests/tools/idle.py"]
    assert [finding.path for finding in tidy_shape.test_packages(tree)] == ["tests/unit/__init__.py"]


def test_every_rule_is_tried() -> None:
    """No rule is without a deliberate violation, no ban without a name that it finds."""
    assert {rule for rule, *_ in VIOLATIONS} == RULES.keys()
    assert {rule.__name__ for rule in TREE_RULES} == {
        "cycles",
        "twins",
        "dead_modules",
        "unused_tools",
        "test_packages",
    }
    for ban in tidy_calls.BANS:
        path = ban.where[0].replace("*", "x.py")
        text = f"import {ban.name}x\n" if ban.name.endswith(".") else f"x = {ban.name}\n"
        assert list(tidy_calls.banned_calls(Source(path, text))), ban


def test_tree_is_read_with_and_without_git(tmp_path: Path) -> None:
    """Outside git (an unpacked release) every text file is read; made folders and binaries are not."""
    (tmp_path / "ledger").mkdir()
    (tmp_path / ".venv").mkdir()
    (tmp_path / "ledger/a.py").write_text("x = 1\n")
    (tmp_path / "ledger/picture.png").write_bytes(b"\xff\xfe\x00")
    (tmp_path / ".venv/b.py").write_text("x = 1\n")
    tree = load_tree(tmp_path)
    assert sorted(tree) == ["ledger/a.py"]
    assert findings(tree)["docstrings"][0].path == "ledger/a.py"
