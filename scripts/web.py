"""One small HTTP client for the command line: gateway API, read door and ops door.

Why: commands need five requests, not a client library; and every failure must become a sentence with a way out and
the right exit code, in one place.

Refuses: following redirects, answers over 32 MiB, waits without an end, addresses that are not http or https.
"""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.exit_codes import CommandError, Exit, exit_for

_ANSWER_MAX_BYTES = 32 << 20
_FIELDS_MAX = 5  # wrong fields named in one message

_EXIT_BY_STATUS = {
    400: Exit.USAGE,
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    422: Exit.USAGE,
    429: Exit.DEGRADED,
    503: Exit.DEGRADED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers in lower case and body of one HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded JSON body; CommandError when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise CommandError(
                Exit.FAILURE, "the answer is not JSON", hint="is this the right address?"
            ) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Turns every redirect into an answer like any other."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse."""
        return


# No proxy from the environment: the doors of a network of institutions are named, not discovered.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


def request(
    url: str,
    *,
    method: str = "GET",
    document: Any = None,
    api_key: str = "",
    headers: dict[str, str] | None = None,
    timeout_s: float = 15.0,
) -> Answer:
    """Make one request and return the answer, whatever its status.

    Raises CommandError (UNREACHABLE) when nobody answers, (USAGE) when the address is none.
    """
    if not url.startswith(("http://", "https://")):
        raise CommandError(Exit.USAGE, f"{url!r} is not an http or https address")
    body = None if document is None else json.dumps(document).encode()
    message = urllib.request.Request(url, data=body, method=method, headers=headers or {})  # noqa: S310 - checked above
    if body is not None:
        message.add_header("Content-Type", "application/json")
    if api_key:
        message.add_header("Authorization", f"Bearer {api_key}")
    try:
        with _OPENER.open(message, timeout=timeout_s) as answer:
            return Answer(answer.status, _lower(answer.headers), _bounded(answer))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _lower(error.headers), _bounded(error))
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise CommandError(
            Exit.UNREACHABLE,
            f"nobody answers at {url}: {reason}",
            hint="`tiezheng status` shows what is running",
        ) from error


def expect(answer: Answer, *good: int) -> Answer:
    """Return the answer when its status is one of `good`; else raise CommandError from its problem document."""
    if answer.status in good:
        return answer
    exit_code = _EXIT_BY_STATUS.get(answer.status, Exit.FAILURE)
    try:
        problem = json.loads(answer.body)
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    words = str(problem.get("detail") or problem.get("title") or f"HTTP status {answer.status}")
    hint = str(problem.get("hint") or "")
    fields = problem.get("errors")
    wrong = [one for one in fields if isinstance(one, dict)] if isinstance(fields, list) else []
    if wrong:  # the hint of such a problem points at this list, which people see here
        words += ": " + "; ".join(f"{one.get('path')}: {one.get('message')}" for one in wrong[:_FIELDS_MAX])
        hint = ""
    raise CommandError(exit_code, words, hint=hint, code=str(problem.get("code") or ""))


def read_key_file(path: Path) -> str:
    """Return the API key that a file holds; refuses files that others may read."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            exit_for(error, Exit.UNREADABLE), f"the API key file {path} cannot be read: {error}"
        ) from error
    if mode & 0o077:
        raise CommandError(
            Exit.NOT_ALLOWED, f"the API key file {path} may be read by others", hint=f"chmod 600 {path}"
        )
    return text


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _bounded(answer: Any) -> bytes:
    body = bytes(answer.read(_ANSWER_MAX_BYTES + 1))
    if len(body) > _ANSWER_MAX_BYTES:
        raise CommandError(Exit.FAILURE, f"the answer is longer than {_ANSWER_MAX_BYTES} bytes")
    return body
