"""What the tests of spans share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data():
    """The folder with squad/, xquad/ and so on."""
    folder = Path(os.environ.get("BERTSMITH_DATA", Path.home() / ".cache/bertsmith-data"))
    if not (folder / "squad").is_dir():
        pytest.skip(f"the real SQuAD files are not here: {folder / 'squad'} (set BERTSMITH_DATA)")
    return folder
