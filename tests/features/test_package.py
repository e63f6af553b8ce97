import subprocess
import sys


def test_is_imported_without_tensorflow_or_keras():
    code = (
        "import sys, kgan.features; print(sorted({'tensorflow', 'keras', 'mlflow', 'sklearn'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
