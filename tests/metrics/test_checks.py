import numpy as np
import pytest

from kgan.errors import InputError
from kgan.metrics import checks


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_takes_real_numbers_of_any_width(dtype):
    given = np.ones((3, 2), dtype)
    assert checks.numbers("x", given, "n, d") is given
    found = checks.array("x", given, "n, d")
    assert found.dtype == np.float64
    assert (found is given or np.shares_memory(found, given)) == (dtype is np.float64)


@pytest.mark.parametrize("given", [np.ones((3, 2), complex), np.array([["a"]]), np.array([[None]])])
def test_refuses_what_is_no_real_number(given):
    with pytest.raises(InputError, match=r"x: got an array of .*, expected real numbers"):
        checks.array("x", given, "n, d")


def test_names_the_first_value_that_is_not_finite():
    given = np.ones((3, 2), np.float32)
    given[1, 1] = -np.inf
    with pytest.raises(InputError, match=r"x: got -inf at \(1, 1\), expected finite numbers"):
        checks.array("x", given, "n, d")


@pytest.mark.parametrize("value", [1.0, True, "3", None, 0, 6])
def test_refuses_what_is_no_whole_number_in_range(value):
    with pytest.raises(InputError, match=r"k: got .*, expected a whole number from 1 to 5"):
        checks.whole("k", value, 1, 5)


def test_takes_whole_numbers_of_numpy():
    checks.whole("k", np.int32(5), 1, 5)
