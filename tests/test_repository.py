"""Files for those who work on the project or cite it say what is true of it."""

import re
from pathlib import Path

import pytest
import yaml

import pullback

ROOT = Path(__file__).resolve().parents[1]
YAML = ["CITATION.cff", ".pre-commit-config.yaml", ".github/workflows/ci.yml"]
YAML += [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))]


@pytest.mark.parametrize("name", YAML)
def test_a_file_of_a_host_is_yaml(name):
    assert isinstance(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")), dict)


def test_the_citation_names_this_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == pullback.__version__


def test_the_hosted_workflow_and_the_whole_check_use_targets_of_make_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in (".github/workflows/ci.yml", ".ci/run"):
        used = re.findall(r"(?:run: |step \d+ )make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8"))
        assert used and set(used) <= targets, name


def test_the_hosted_workflow_tests_every_python_that_the_package_allows():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    lowest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    assert jobs["test"]["strategy"]["matrix"]["python"] == [lowest, "3.12", "3.13"]
