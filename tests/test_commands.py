"""The commands as a person calls them, each in a process of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

from kgan import options, train

REPOSITORY = pathlib.Path(__file__).parents[1]


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("command", ["train", "evaluate", "generate", "translate", "sync", "export"])
def test_help_needs_no_tensorflow(command, tmp_path):
    for heavy in ("tensorflow", "keras", "mlflow", "numpy", "sklearn"):  # importing one of these would fail
        (tmp_path / f"{heavy}.py").write_text("raise ImportError('heavy')")
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    done = call("-m", f"kgan.{command}", "--help", PYTHONPATH=path)
    assert done.returncode == 0 and done.stderr == ""
    assert "Usage: python -m kgan." in done.stdout
    if command == "train":
        for name in ("dcgan", "gan", "digits", "tfds:NAME[/CONFIG]", "--batch-size", "--tracking-uri"):
            assert name in done.stdout


def test_help_of_a_variant_lists_its_recipe():
    done = call("-m", "kgan.train", "--variant", "gan", "--help")
    assert done.returncode == 0 and done.stderr == ""
    for text in ("--generator-loss [non-saturating|minimax]", "--k INTEGER", "[default: 1200]", "--momentum-steps"):
        assert text in done.stdout
    assert "--image-shape" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--variant", "dcgn"], "got 'dcgn', expected one of acgan, cgan, cyclegan, dcgan, gan, lsgan, pix2pix,"),
        (["--data", "digts"], "Did you mean 'digits'?"),
        (["--wdith", "3"], "--width"),
        (["--steps", "many"], "Invalid value for '--steps': 'many' is not a valid integer"),
        (["--variant", "gan", "--generator-loss", "hinge"], "'hinge' is not one of 'non-saturating', 'minimax'"),
        (["--config", "none.yaml"], "--config: none.yaml cannot be read"),
        (["--resume", "nothing"], "--resume: there is no run 'nothing' in mlruns"),
        (["--resume", "latest"], "--resume: no run in mlruns is unfinished"),
        (["--resume"], "Option '--resume' requires an argument"),
        (["--on-nonfinite", "pray"], "'pray' is not one of 'stop', 'rollback'"),
    ],
)
def test_what_is_wrong_is_one_line(workplace, capsys, arguments, line):
    with pytest.raises(SystemExit) as stop, options.command_line():
        train.main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1
    assert line in error


def test_nothing_but_the_line_is_on_stderr(workplace):
    done = call("-m", "kgan.generate", "--run", "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --run: there is no run 'nothing'") and done.stderr.count("\n") == 1


def test_from_a_file_to_pictures_and_a_tracker_that_has_them(workplace):
    (workplace / "c.yaml").write_text("variant: gan\nsteps: 3\nbatch-size: 5\nwidth: 10\n")
    trained = call("-m", "kgan.train", "--config", "c.yaml", "--steps", "2")
    assert trained.returncode == 0, trained.stderr
    lines = trained.stdout.splitlines()
    assert lines[-1].startswith("run ")
    run_id = lines[-1].removeprefix("run ")
    assert any("step 2/2" in line for line in lines)
    assert f"pictures: mlruns/{run_id}/samples" in lines
    assert any("mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db" in line for line in lines)
    (hint,) = (line.split("python -m ")[1] for line in lines if line.startswith("generate more"))

    generated = call("-m", *hint.split())
    assert generated.returncode == 0, generated.stderr
    assert len(list((workplace / "generated").glob("seed-0-*.png"))) == 16
    (workplace / "d.yaml").write_text(f"resume: {run_id}\nwidth: 10\n")
    refused = call("-m", "kgan.train", "--config", "d.yaml", "--width", "11")
    assert refused.returncode == 2 and refused.stderr.startswith("error: --resume: got --width 11 (the run has 10);")
    resumed = call("-m", "kgan.train", "--config", "d.yaml", "--steps", "4")
    assert resumed.returncode == 0, resumed.stderr
    assert f"run {run_id} goes on after step 2" in resumed.stdout and "step 4/4" in resumed.stdout
    chosen = call("-m", "kgan.generate", "--run", run_id, "--checkpoint", "3")
    assert chosen.returncode == 2 and chosen.stderr.endswith("got '3', expected last, best or one of 2, 4\n")
    synced = call("-m", "kgan.sync", "--run", run_id)
    assert (synced.returncode, synced.stdout) == (0, f"run {run_id}: the tracker has everything\n")
