"""The program's version, as installed."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final


def _installed() -> str:
    try:
        return version("tiezheng")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"


VERSION: Final = _installed()
