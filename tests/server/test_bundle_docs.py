"""docs/bundle.md is true: its script makes a bundle that is served, and its rules are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.repository import registry
from rhapsode_server.repository.registry import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "bundle.md").read_text(encoding="utf-8")


def test_the_script_writes_a_bundle_that_is_served(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    served = registry.load(tmp_path / "models", Runtime(RuntimeOptions(provider="cpu")), Batching(max_batch=4))
    model = served.find("gradient")
    assert model.batch_invariant
    assert model.decoder is not None
    (picture,) = model.decoder.advance([ImageRow(0, np.array([0.5, 0.0], np.float32))])[0].events
    assert picture.values.shape == (1, 4, 4)
    assert np.allclose(picture.values[0, 2], np.tanh(0.5 * np.linspace(-1, 1, 4)))


def test_every_rule_of_the_code_is_on_the_page_and_the_other_way_round() -> None:
    sources = (PROJECT / "server" / "rhapsode_server" / "repository").glob("*.py")
    named = set(re.findall(r'"([ACFMGV]\d+)"', "".join(path.read_text(encoding="utf-8") for path in sources)))
    assert named == set(re.findall(r"^- \*\*([ACFMGV]\d+)\*\*", PAGE, re.MULTILINE))


def test_every_rule_is_broken_by_a_test() -> None:
    tests = [*(PROJECT / "tests").glob("*/test_bundle*.py"), *(PROJECT / "tests" / "server").glob("test_verify.py")]
    broken = set(re.findall(r"\b([ACFMGV]\d+)\b", "".join(path.read_text(encoding="utf-8") for path in tests)))
    assert broken == set(re.findall(r"^- \*\*([ACFMGV]\d+)\*\*", PAGE, re.MULTILINE))
