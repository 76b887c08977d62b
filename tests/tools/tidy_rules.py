"""The tidy test's whole rule book, in one call: what is wrong with a tree of sources.

The rules are tables and small functions in three files: `tidy_imports` (who may import whom), `tidy_calls`
(what is not used, and what instead) and `tidy_shape` (sizes, docstrings, twins, dead modules, stray words). A
rule sees one file, or the whole tree; none has exemptions by file.
"""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import tidy_calls
import tidy_imports
import tidy_shape
from tidy_model import Finding, Source

SOURCE_RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (
    *tidy_imports.SOURCE_RULES,
    *tidy_calls.SOURCE_RULES,
    *tidy_shape.SOURCE_RULES,
)
TREE_RULES: tuple[Callable[[Mapping[str, Source]], Iterator[Finding]], ...] = (
    tidy_imports.cycles,
    *tidy_shape.TREE_RULES,
)
UNREAD = (".venv", ".git", "__pycache__", "tiezheng-dev", "build", "dist")


def load_tree(root: Path) -> dict[str, Source]:
    """Every text file that git has or would take, by its path from the root; without git, every file but the
    made ones.

    Files that are not UTF-8 (pictures, stores kept for tests) are left out.
    """
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0 and listing.stdout:
        paths = listing.stdout.decode().split("\0")
    else:
        paths = [file.relative_to(root).as_posix() for file in root.rglob("*")]
        paths = [path for path in paths if not set(path.split("/")) & set(UNREAD)]
    tree: dict[str, Source] = {}
    for path in sorted(filter(None, paths)):
        file = root / path
        if not file.is_file():  # deleted but not yet committed, or a folder
            continue
        try:
            tree[path] = Source(path, file.read_bytes().decode())
        except UnicodeDecodeError:
            continue
    return tree


def findings(tree: Mapping[str, Source]) -> dict[str, list[Finding]]:
    """What each rule finds in the tree, by the rule's name; a rule without findings has an empty list."""
    found = {
        rule.__name__: [item for source in tree.values() for item in rule(source)] for rule in SOURCE_RULES
    }
    return found | {rule.__name__: list(rule(tree)) for rule in TREE_RULES}
