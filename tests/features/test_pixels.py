import numpy as np
import pytest

from kgan.errors import InputError
from kgan.features import pixels


def test_are_flat_and_up_to_1(images):
    batch = images(3, 4, 5, 2)
    rows, logits = pixels().extract(batch)
    assert rows.dtype == np.float32 and logits is None
    np.testing.assert_allclose(rows, batch.astype(np.float64).reshape(3, 40) / 255, rtol=1e-7)


def test_have_a_name_and_no_network():
    features = pixels()
    assert (features.name, features.sha256, features.resize) == ("pixels", "", "none")


@pytest.mark.parametrize("wrong", [np.zeros((2, 4, 4, 1), np.float32), np.zeros((4, 4, 1), np.uint8), np.uint8(3)])
def test_refuse_what_is_no_batch_of_images(wrong):
    with pytest.raises(InputError, match=r"^images: got .*, expected uint8 \[n, h, w, c\], none of them 0$"):
        pixels().extract(wrong)
