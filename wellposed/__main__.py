"""`python -m wellposed` is the command line."""

import sys

from wellposed.cli import main

if __name__ == "__main__":
    sys.exit(main())
