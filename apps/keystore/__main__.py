"""`python -m apps.keystore`: the keystore's contracts on many chains."""

from __future__ import annotations

import sys

from .chains.group import main

if __name__ == "__main__":
    sys.exit(main())
