"""What the tests of the metrics share: small blocks."""

import pytest

from kgan.metrics import blocks


@pytest.fixture
def small_blocks(monkeypatch):
    """Sets how many bytes a block may have."""

    def limit(size: int) -> None:
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)

    return limit
