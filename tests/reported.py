"""Where the files lie that people reported as failing: beside the research data, where there are any."""

import os
from pathlib import Path

CASES = (
    Path(os.environ.get("PULLBACK_DATA_DIR") or Path(__file__).resolve().parents[2] / "shared" / "data").parent
    / "cases"
)
