"""How soon a command can begin: what it does not use, it does not import."""

import subprocess
import sys

SLOW = ("sklearn", "scipy.stats", "matplotlib", "pandas", "torch._dynamo")  # half a second to a second each
LOAD = """
import sys
from pathlib import Path
import bertsmith.tasks.prediction
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.folder import load_model
load_model(BertForPreTraining, Path(sys.argv[1]))
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


def test_who_loads_a_model_to_predict_imports_nothing_that_is_slow_and_not_needed(pretrained):
    command = [sys.executable, "-c", LOAD, str(pretrained), *SLOW]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == []
