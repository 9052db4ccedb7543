"""One browser for all tests of the room in a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from browser_fixtures import PROVIDER
from chromium import Chromium, open_chromium


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One Chromium, whose authenticator has a user who consents."""
    with open_chromium(tmp_path_factory.mktemp("profile")) as chromium:
        chromium.add_authenticator()
        chromium.call("Page.addScriptToEvaluateOnNewDocument", source=PROVIDER)
        yield chromium
