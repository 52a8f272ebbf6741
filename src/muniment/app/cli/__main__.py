"""The command line where the program is not installed: ``python -m muniment.app.cli``."""

from __future__ import annotations

import sys

from muniment.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
