"""Whatever is acknowledged closes, opens again and replays, whatever the app does, under the same memory limit.

The whole run: `PYTHONPATH=.:tests/support python tests/support/fan_apps.py 0 200 1`.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from paths import SUPPORT

APPS = 6
SCALE = 8


@pytest.mark.parametrize("part", [0, 1])
def test_random_apps(part: int) -> None:
    """Apps of random shape that change many keys or large values, in processes whose memory nothing can raise.

    Blocks may change an eighth of what they may, and processes have an eighth of the memory beside their libraries.
    """
    command = [sys.executable, str(SUPPORT / "fan_apps.py"), str(part * APPS), str(APPS), str(SCALE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": ":".join(sys.path)})
    assert 0 == done.returncode, done.stdout + done.stderr
    assert APPS == len(re.findall(r"^fan_app_\d+: \d+ taken", done.stdout, re.MULTILINE))
