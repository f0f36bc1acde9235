"""`pater` as it is, watched: writes down what patient data left it (see tests/completeness.py)."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from tests import completeness

    completeness.install()
    from pater.cli import main

    main(prog_name="pater")
