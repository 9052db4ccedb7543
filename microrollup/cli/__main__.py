"""`python -m microrollup.cli`: the command line."""

import sys

from microrollup.cli import main

if __name__ == "__main__":
    sys.exit(main())
