import os
import pathlib
import signal
import subprocess
import sys

import pytest

from kgan.interrupts import Interrupts

REPOSITORY = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_until_it_is_heeded(number, capfd):
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        interrupts.heed()
        assert not interrupts.asked
        os.kill(os.getpid(), number)
        assert interrupts.asked
        with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
            interrupts.heed()
    assert signal.getsignal(number) is before
    assert capfd.readouterr().err == "\nstopping after this step, with a checkpoint; once more leaves at once\n"


def test_the_second_leaves_at_once():
    code = """
        import os, signal
        from kgan.interrupts import Interrupts
        with Interrupts():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                print("settled")
    """
    lines = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", lines], env={"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.endswith("left at once\n")
