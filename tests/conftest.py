from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of public data sets, `RTRL_CHEM_DATA` or `shared/data` beside the checkout; skips where there is none."""
    folder = Path(os.environ.get("RTRL_CHEM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no folder of public data sets (set RTRL_CHEM_DATA)")
    return folder
