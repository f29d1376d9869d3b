"""Every run collects all tests: what is slow to import waits until a test uses it (``tests/later.py``)."""

import subprocess
import sys

import pytest
from tests.test_layers import ROOT

SLOW = ("diffusers", "lightning", "scipy.stats", "torch._dynamo", "torchmetrics", "trimesh", "pyvista")
SCRIPT = """
import sys, pytest
class Told:
    def pytest_collection_finish(self):
        print("loaded:", sorted(set(sys.argv[1:]) & set(sys.modules)))
sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", "tests"], plugins=[Told()]))
"""


@pytest.mark.slow
def test_collecting_imports_nothing_that_is_slow():
    done = subprocess.run([sys.executable, "-c", SCRIPT, *SLOW], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "loaded: []" in done.stdout
