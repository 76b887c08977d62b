"""The documents fit the tree: links lead somewhere, pages are listed, decisions are numbered, commands
exist.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest
from markdown_pages import anchors, commands, links
from tidy_rules import load_tree

ROOT = Path(__file__).resolve().parents[1]
ADR_PARTS = ["Context", "Options", "Decision", "Consequence"]


@pytest.fixture(scope="module")
def pages() -> Mapping[str, str]:
    """Path -> text of every Markdown page."""
    return {path: source.text for path, source in load_tree(ROOT).items() if path.endswith(".md")}


def resolved(page: str, target: str) -> tuple[str, str]:
    """The path from the root that a relative link means, and its anchor."""
    path, _, anchor = target.partition("#")
    if not path:
        return page, anchor
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / path).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts), anchor


def test_relative_links_lead_somewhere(pages: Mapping[str, str]) -> None:
    """Every link that is not an address of the web means a file of this tree, and its anchor a heading
    there.
    """
    wrong: list[str] = []
    for page, text in pages.items():
        for link in links(text):
            if re.match(r"[a-z]+:", link.target):
                continue
            path, anchor = resolved(page, link.target)
            if not (ROOT / path).exists() or (
                anchor and path in pages and anchor not in anchors(pages[path])
            ):
                wrong.append(f"{page}:{link.line}: {link.target}")
    assert not wrong, "\n".join(wrong)


def test_every_page_is_listed(pages: Mapping[str, str]) -> None:
    """Each page under docs/ is linked from docs/README.md or from the README.md of its own folder."""
    listed = {
        resolved(page, link.target)[0]
        for page, text in pages.items()
        if page.startswith("docs/") and page.endswith("/README.md")
        for link in links(text)
    }
    missing = [page for page in pages if page.startswith("docs/") and page not in listed | {"docs/README.md"}]
    assert not missing, missing


def test_decisions_are_numbered_without_gaps(pages: Mapping[str, str]) -> None:
    """ADR numbers run from 0001 without gap or double, as in the file's name and title; the list names
    each.
    """
    names = sorted(Path(page).name for page in pages if re.match(r"docs/adr/\d", page))
    assert [name[:4] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    index = [link.target for link in links(pages["docs/adr/README.md"])]
    assert index == names
    for name in names:
        assert pages[f"docs/adr/{name}"].startswith(f"# {name[:4]} "), name


def test_decisions_have_their_four_parts(pages: Mapping[str, str]) -> None:
    """A record says its date and state, then context, options, decision and consequence, in this order."""
    for page, text in pages.items():
        if re.match(r"docs/adr/\d", page):
            assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ADR_PARTS, page
            assert re.search(r"^\d{4}-\d\d-\d\d · (accepted|replaced by \d{4})$", text, re.MULTILINE), page


def test_glossary_has_each_word_once(pages: Mapping[str, str]) -> None:
    """Within a table of the glossary no Chinese word stands twice, and none lacks its English."""
    for table in pages["docs/GLOSSARY.md"].split("\n## ")[1:]:
        rows = [
            [cell.strip() for cell in row.split("|")[1:-1]]
            for row in table.splitlines()
            if row.startswith("|")
        ][2:]
        assert rows
        words = [row[0] for row in rows]
        assert len(set(words)) == len(words), [word for word in words if words.count(word) > 1]
        assert all(row[1] for row in rows)


def test_changelog_speaks_of_formats(pages: Mapping[str, str]) -> None:
    """Every release of the changelog says under Formats whether any byte has moved."""
    releases = re.split(r"^## ", pages["CHANGELOG.md"], flags=re.MULTILINE)[1:]
    assert releases
    assert all("### Formats\n" in release for release in releases)


def test_commands_in_pages_exist(pages: Mapping[str, str]) -> None:
    """A `make` target named in a shell block is in the Makefile, a `python -m` module of ours is in the tree.

    Running the README's blocks from top to bottom is an end-to-end test's work; it takes them from
    `markdown_pages.commands` as well.
    """
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong: list[str] = []
    for page, text in pages.items():
        for line, command in commands(text):
            words = [word for word in shlex.split(command, comments=True) if "=" not in word]
            if words[:1] == ["make"]:
                wrong += [f"{page}:{line}: make {word}" for word in words[1:] if word not in targets]
            elif words[1:2] == ["-m"] and words[2].startswith("scripts."):
                file = ROOT / words[2].replace(".", "/")
                if not (file.with_suffix(".py").exists() or (file / "__main__.py").exists()):
                    wrong.append(f"{page}:{line}: {words[2]}")
    assert not wrong, "\n".join(wrong)


PAGE = """# A title: with `code`, and 中文

See [here](docs/x.md#part-two) and `[not](this)`.

```sh
# a comment
$ make demo
tiezheng verify FILE \\
  --policy TRUST
```

```text
[nor](that)
make nonsense
```
## Part two
"""


def test_pages_are_read_rightly() -> None:
    """Links in code are not links; only shell blocks hold commands; anchors are as hosting sites make
    them.
    """
    assert [(link.line, link.target) for link in links(PAGE)] == [(3, "docs/x.md#part-two")]
    assert list(commands(PAGE)) == [(7, "make demo"), (8, "tiezheng verify FILE --policy TRUST")]
    assert anchors(PAGE) == {"a-title-with-code-and-中文", "part-two"}
    assert resolved("docs/adr/README.md", "../../THREAT_MODEL.md") == ("THREAT_MODEL.md", "")
