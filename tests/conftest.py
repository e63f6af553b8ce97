"""What all tests share: quiet TensorFlow, real data where it is there, a tracking database made once."""

import os
import pathlib
import shutil
import sys

# Many tests start processes that import TensorFlow, for which Python compiles 3,000 files where it may not keep them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # steps are compiled more often than run
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.pop("MLFLOW_TRACKING_URI", None)

import pytest

_SHARED = pathlib.Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The folder of real data sets beside the repository."""
    if not _SHARED.is_dir():
        pytest.skip("no real data beside the repository (../shared/data)")
    return _SHARED


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory) -> pathlib.Path:
    import mlflow

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def workplace(tmp_path, monkeypatch, _empty_database) -> pathlib.Path:
    """An empty current directory whose `mlruns/mlflow.db` is migrated already: that takes MLflow seconds."""
    (tmp_path / "mlruns").mkdir()
    shutil.copy(_empty_database, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path
