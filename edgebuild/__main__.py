"""`python -m edgebuild`."""

import sys

from edgebuild.cli import main

if __name__ == "__main__":
    sys.exit(main())
