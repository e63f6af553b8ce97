"""Runs that stopped and went on: with the bits they would have had, and refusing what would change them."""

import dataclasses
import json
import os
import pathlib
import signal

import mlflow
import numpy as np
import pytest
import tensorflow as tf

from kgan import card, checkpoints, configuration, environment, export, sender, state, tracking, training, variants
from kgan.callbacks import NonFiniteError, Progress
from kgan.errors import InputError, RunError
from kgan.journal import Journal
from kgan.settings import Settings
from kgan.variants.gan import GAN
from tests import tiny


class CrashError(Exception):
    """What a process dies of in these tests."""


def client(uri: str = "mlruns/mlflow.db") -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{pathlib.Path(uri).resolve()}")


def short(variant: str = "gan", steps: int = 9, **settings) -> Settings:
    every = {"sample_every": 4, "log_every": 2, "checkpoint_every": 3}
    same = {"precision": "float32", "jit": "off"}
    return Settings(**{"variant": variant, "steps": steps, "batch_size": 8, **every, **same, **settings})


def at(monkeypatch, step: int, action) -> None:
    """Does something after a step, when its measures are logged and its checkpoint is not written yet."""
    real = Progress.on_train_batch_end

    def hook(self, batch, logs=None):
        real(self, batch, logs)
        if int(self.model.step.numpy()) == step:
            monkeypatch.setattr(Progress, "on_train_batch_end", real)  # once
            action()

    monkeypatch.setattr(Progress, "on_train_batch_end", hook)


def die():
    raise CrashError


def crashed(monkeypatch, step: int, settings: Settings, recipe: dict) -> pathlib.Path:
    """The folder of a run whose process died after a step."""
    before = set(tracking.ROOT.glob("*/run.json"))
    at(monkeypatch, step, die)
    with pytest.raises(CrashError):
        training.train(settings, recipe)
    (about,) = set(tracking.ROOT.glob("*/run.json")) - before
    return about.parent


def counted(monkeypatch, owner: type, method: str) -> list:
    """Grows by one with each call of a method."""
    calls, real = [], getattr(owner, method)
    monkeypatch.setattr(owner, method, lambda *arguments: calls.append(method) or real(*arguments))
    return calls


def digest(folder: pathlib.Path) -> str:
    return checkpoints.read_header(state.find(folder, "last")).digest


def measures(run_id: str, uri: str = "mlruns/mlflow.db") -> set:
    """Everything that a tracker was told of the training, twice where it was told twice."""
    names = set(client(uri).get_run(run_id).data.metrics) - {"images_per_second"}
    told = [(name, m.step, m.value) for name in names for m in client(uri).get_metric_history(run_id, name)]
    assert len(told) == len(set(told))
    return set(told)


def pictures(run_id: str) -> list[str]:
    files = (file.path for file in client().list_artifacts(run_id, "images"))
    return sorted(path.split("+")[2] for path in files if path.endswith(".png"))


@pytest.fixture
def stopped(workplace, monkeypatch) -> pathlib.Path:
    """The folder of a gan that died after step 5 of 9; its last checkpoint is of step 3."""
    return crashed(monkeypatch, 5, short(), {"width": 20})


@pytest.mark.parametrize(
    ("settings", "recipe"),
    [
        (short("gan", flip=True, seed=5), {"width": 20, "k": 2, "generator_loss": "minimax", "momentum_steps": 6}),
        (short("gan", jit="on"), {"width": 20, "decay": 1.1, "minimum_learning_rate": 0.06}),
        (short("gan", batch_size=400), {"width": 20}),  # an epoch ends within step 5
        (short("dcgan", image_size=16, load_size=20, flip=True), {"width": 4, "update": "simultaneous"}),
        (short("dcgan", image_size=16, precision="mixed_bfloat16"), {"width": 4}),
    ],
    ids=["k=2-minimax-flip", "schedules-xla", "epochs", "simultaneous-crop-flip", "bfloat16"],
)
def test_a_run_goes_on_bit_for_bit(workplace, monkeypatch, settings, recipe):
    settings = dataclasses.replace(settings, log_every=7)  # the first window is open at the crash and its checkpoint
    straight = training.train(settings, recipe)
    folder = crashed(monkeypatch, 5, settings, recipe)
    assert checkpoints.steps(folder / "checkpoints") == [0, 3]
    resumed = training.resume(folder.name, {})
    assert digest(resumed.folder) == digest(straight.folder)
    assert checkpoints.steps(folder / "checkpoints") == [6, 9]
    assert measures(resumed.id) == measures(straight.id)
    assert {step for name, step, _ in measures(resumed.id) if name != "samples_distance"} == {7, 9}
    assert {step for name, step, _ in measures(resumed.id) if name == "samples_distance"} == {4, 8}
    assert pictures(resumed.id) == pictures(straight.id) == ["0", "4", "8", "9"]
    for file in (straight.folder / "samples").iterdir():
        assert (resumed.folder / "samples" / file.name).read_bytes() == file.read_bytes()
    assert client().get_run(resumed.id).info.status == "FINISHED"


@pytest.mark.parametrize("variant", variants.names())
def test_every_variant_goes_on_bit_for_bit_and_leaves_verified(workplace, monkeypatch, variant):
    traces = counted(monkeypatch, variants.load(variant), "train_step")
    settings, recipe = tiny.settings(variant, steps=4, checkpoint_every=2, log_every=2), tiny.recipe(variant)
    straight = training.train(settings, recipe)
    folder = crashed(monkeypatch, 3, settings, recipe)
    resumed = training.resume(folder.name, {})
    assert len(traces) == 3  # one for each of the trainings
    assert digest(resumed.folder) == digest(straight.folder)
    assert measures(resumed.id) == measures(straight.id)
    assert {*variants.load(variant).measures} <= {name for name, _, _ in measures(resumed.id)}
    export.export(resumed.id, "models/tiny")  # raises where another process computes something else from it
    assert card.read(pathlib.Path("models/tiny/1")).step == 4


def test_more_steps_are_as_if_asked_for_at_once(workplace):
    straight = training.train(short(steps=8), {"width": 20})
    run = training.train(short(steps=4), {"width": 20})
    assert client().get_run(run.id).info.status == "FINISHED"
    run = training.resume(str(run.folder), {"steps": 8, "width": 20, "seed": 0, "precision": "auto"})
    # The configuration, which is part of the digest, is that of a run of 8 steps from the start.
    assert digest(run.folder) == digest(straight.folder)
    assert client().get_run(run.id).data.tags["steps"] == "8"


def test_intervals_and_tracker_may_change(stopped):
    given = {"log_every": 1, "sample_every": 3, "checkpoint_every": 2, "keep": 9, "tracking_uri": "sqlite:///new.db"}
    run = training.resume(stopped.name, given)
    assert checkpoints.steps(stopped / "checkpoints") == [0, 3, 4, 6, 8, 9]
    settings = configuration.load(stopped).settings
    assert (settings.log_every, settings.keep, settings.batch_size) == (1, 9, 8)
    # The new tracker has all of the run, the old one what it had.
    about = json.loads((stopped / "run.json").read_text())
    assert {step for _, step, _ in measures(about["tracker_run_id"], "new.db")} == {2, 4, 5, 6, 7, 8, 9}
    stored = client("new.db").get_run(about["tracker_run_id"])
    assert stored.info.status == "FINISHED" and stored.data.params["width"] == "20"
    assert client().get_run(run.id).info.status == "FAILED"
    assert max(step for _, step, _ in measures(run.id)) == 4


REFUSED = [
    ({"seed": 1}, r"--resume: got --seed 1 \(the run has 0\); of a run only --steps, --sample-every, .* can change"),
    ({"width": 21, "batch_size": 9}, r"got --batch-size 9 \(the run has 8\), --width 21 \(the run has 20\)"),
    ({"variant": "dcgan"}, r"--variant dcgan \(the run has gan\)"),
    ({"flip": True}, r"--flip True \(the run has False\)"),
    ({"precision": "mixed_bfloat16"}, r"--precision mixed_bfloat16 \(the run has float32\)"),
    ({"jit": "on"}, r"--jit on \(the run has off\)"),
    ({"image_size": 28}, r"--image-size 28 \(the run has 24\)"),
    ({"experiment": "other"}, r"--experiment other \(the run has kgan\)"),
    ({"k": 2}, r"--k 2 \(the run has 1\)"),
    ({"steps": 2}, r"--steps: the run \w+ has done 3 steps; got 2, expected more"),
    ({"steps": 0}, r"--steps: got 0"),
    ({"keep": 0}, r"--keep: got 0"),
    ({"data": "nowhere"}, r"nowhere"),
    ({"tracking_uri": "http://127.0.0.1:9"}, r"--tracking-uri: http://127.0.0.1:9 does not work"),
]


def test_what_would_change_the_run_is_refused_and_nothing_lost(stopped):
    straight = training.train(short(), {"width": 20})
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    for given, message in REFUSED:
        with pytest.raises(InputError, match=message):
            training.resume(stopped.name, given)
        assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == before, given
    assert digest(training.resume(stopped.name, {}).folder) == digest(straight.folder)


def test_other_images_are_refused_and_moved_ones_are_not(workplace, monkeypatch):
    data = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    np.savez("a.npz", x_train=data)
    folder = crashed(monkeypatch, 5, short(data="a.npz"), {"width": 20})
    os.rename("a.npz", "b.npz")
    np.savez("a.npz", x_train=data[::-1])
    for given in ({}, {"data": "a.npz"}, {"data": "digits"}):
        with pytest.raises(InputError, match=r"got sha256:\w+, expected the images the run was trained on \(sha256:"):
            training.resume(folder.name, given)
    training.resume(folder.name, {"data": "b.npz"})
    assert state.load_model(folder).step == 9


def test_steps_that_a_schedule_falls_over_stay(workplace, monkeypatch):
    class Scheduled(GAN):
        """A variant whose schedule ends with the training."""

        def __init__(self, image_shape: tuple, width: int = 20, total_steps: int = 1, seed: int = 0):
            super().__init__(image_shape, width=width, seed=seed)
            self.total_steps = total_steps

    monkeypatch.setattr(variants, "load", lambda _: Scheduled)
    folder = crashed(monkeypatch, 5, short(), {})
    assert configuration.load(folder).recipe["total_steps"] == 9
    with pytest.raises(InputError, match=r"--steps 10 \(the run has 9\); of a run only --sample-every"):
        training.resume(folder.name, {"steps": 10})
    assert training.resume(folder.name, {"steps": 9}).is_tracked


def test_a_constant_schedule_may_go_on_for_longer(workplace):
    recipe = tiny.recipe("wgan-gp")
    straight = training.train(tiny.settings("wgan-gp", steps=4), recipe)
    run = training.train(tiny.settings("wgan-gp", steps=2), recipe)
    assert digest(training.resume(run.id, {"steps": 4}).folder) == digest(straight.folder)
    falling = training.train(tiny.settings("wgan-gp", steps=2), {**recipe, "schedule": "linear"})
    with pytest.raises(InputError, match=r"--steps 4 \(the run has 2\)"):
        training.resume(falling.id, {"steps": 4})


def test_the_newest_unfinished_run_is_latest(workplace, monkeypatch):
    with pytest.raises(InputError, match="--resume: no run in mlruns is unfinished"):
        tracking.find_own_run("latest")
    older = crashed(monkeypatch, 5, short(), {"width": 20})
    newer = crashed(monkeypatch, 5, short(), {"width": 20})
    training.train(short(steps=1), {"width": 20})
    assert tracking.find_own_run("latest") == newer
    training.resume("latest", {})
    assert tracking.find_own_run("latest") == older
    with tracking.locked(older), pytest.raises(InputError, match="is unfinished"):
        tracking.find_own_run("latest")


def test_a_finished_run_says_so(workplace):
    run = training.train(short(), {"width": 20})
    with pytest.raises(InputError, match=f"--steps: the run {run.id} has done 9 steps; got 9, expected more"):
        training.resume(run.id, {})


def test_a_live_run_is_refused(stopped):
    with tracking.locked(stopped), pytest.raises(InputError, match="is still being written by another process"):
        training.resume(stopped.name, {})


@pytest.mark.parametrize("link", ["samples/step-0000009.png", "journal.jsonl", "checkpoints/step-0000006.safetensors"])
def test_nothing_is_written_through_links(stopped, tmp_path, link):
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine, without a last newline")
    (stopped / link).unlink(missing_ok=True)
    (stopped / link).symlink_to(precious)
    for command in (
        lambda: training.resume(stopped.name, {}),
        lambda: training.resume("latest", {}),
        lambda: tracking.sync(stopped),
    ):
        with pytest.raises(InputError, match=r"holds a link, |no run in mlruns is unfinished"):
            command()
    training.train(short(steps=1), {"width": 20})  # it tells the tracker how others ended
    assert precious.read_bytes() == b"mine, without a last newline"


@pytest.mark.parametrize("file", ["journal.jsonl", "config.json", "checkpoints/step-0000003.safetensors"])
def test_pipes_are_not_waited_for(stopped, file):
    (stopped / file).unlink()
    os.mkfifo(stopped / file)
    with pytest.raises(InputError, match="no regular file"):
        training.resume(stopped.name, {})
    assert tracking.repair_stale_runs(tracking.default_tracking_uri()) == []
    if file != "journal.jsonl":
        with pytest.raises(InputError, match=r"no regular file|is missing"):
            state.load_model(stopped)


def test_a_folder_handed_over_does_not_choose_where_this_process_connects(stopped, monkeypatch):
    about = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps(about | {"tracking_uri": "http://127.0.0.1:9"}))
    asked = []
    real = sender.open_client
    monkeypatch.setattr(tracking, "open_client", lambda uri: asked.append(uri) or real(uri))
    (stopped / "journal.sent").unlink()
    training.train(short(steps=1), {"width": 20})
    assert asked and all(uri.startswith("sqlite:") for uri in asked)


def test_a_folder_that_cannot_be_locked_is_one_line(stopped):
    (stopped / ".lock").unlink(missing_ok=True)
    (stopped / ".lock").mkdir()
    with pytest.raises(InputError, match=r"cannot be written \("):
        training.resume(stopped.name, {})


def test_what_is_no_run_is_refused(workplace, stopped):
    with pytest.raises(InputError, match=f"--resume: there is no run '{stopped.name[:-1]}' .*mean '{stopped.name}'"):
        training.resume(stopped.name[:-1], {})
    (stopped / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        training.resume(stopped.name, {})
    (stopped / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config\.json: it is no run, or one that died before it began"):
        training.resume(stopped.name, {})


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(stopped, capsys):
    straight = training.train(short(), {"width": 20})
    newest = state.find(stopped, "last")
    newest.write_bytes(newest.read_bytes()[:-4])
    training.resume(stopped.name, {})
    said = capsys.readouterr().out
    assert f"{newest} is damaged" in said and "goes on after step 0" in said
    assert digest(stopped) == digest(straight.folder)


def test_all_checkpoints_damaged_is_one_line_and_keeps_them(stopped):
    for place in (stopped / "checkpoints").iterdir():
        place.write_bytes(b"x")
    with pytest.raises(InputError, match=r"no checkpoint of .* can be used") as error:
        training.resume(stopped.name, {})
    assert "\n" not in str(error.value)
    assert checkpoints.steps(stopped / "checkpoints") == [0, 3]


def test_a_run_killed_before_its_first_checkpoint_starts_again(workplace, monkeypatch):
    straight = training.train(short(), {"width": 20})
    with monkeypatch.context() as patch, pytest.raises(CrashError):
        patch.setattr(training, "_describe", lambda *_: die())  # its tracker does not even know what it is
        training.train(short(), {"width": 20})
    run = training.resume("latest", {})
    assert digest(run.folder) == digest(straight.folder)
    assert client().get_run(run.id).data.params["width"] == "20"


def test_another_machine_is_a_warning(stopped, monkeypatch, capsys):
    real = environment.decisive()
    monkeypatch.setattr(environment, "decisive", lambda: real | {"hardware.cpu": "abacus"})
    training.resume(stopped.name, {})
    said = capsys.readouterr().out
    assert f"warning: hardware.cpu was {real['hardware.cpu']} and is abacus: the last digits may differ" in said
    assert said.count("warning:") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_of_the_step(workplace, monkeypatch, number):
    straight = training.train(short(), {"width": 20})
    before = signal.getsignal(number)
    at(monkeypatch, 5, lambda: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
        training.train(short(), {"width": 20})
    assert signal.getsignal(number) is before
    folder = tracking.find_own_run("latest")
    assert checkpoints.steps(folder / "checkpoints") == [3, 5]
    assert client().get_run(folder.name).info.status == "KILLED"
    assert Journal(folder).status == "KILLED"
    assert digest(training.resume(folder.name, {}).folder) == digest(straight.folder)


def poisoned(monkeypatch, branches: int) -> None:
    """Latents of step 5 (counted from 0) are NaN in the first branches of the noise."""
    real = GAN.sample_prior

    def sample(self, stream, rows):
        bad = (tf.convert_to_tensor(self.step) == 5) & (tf.convert_to_tensor(self.branch) < branches)
        return tf.where(bad, float("nan"), real(self, stream, rows))

    monkeypatch.setattr(GAN, "sample_prior", sample)


def test_numbers_that_are_not_finite_stop_the_run(workplace, monkeypatch):
    poisoned(monkeypatch, 1)
    with pytest.raises(NonFiniteError) as error:
        training.train(short(checkpoint_every=2), {"width": 20})
    text = str(error.value)
    assert "\n" not in text and text.startswith(
        "step 6 made numbers that are not finite: generator_gradient_norm is nan"
    )
    for part in ("generator: h0/kernel", " of 6 tensors", "the checkpoint of step 4 is the last good one"):
        assert part in text
    folder = tracking.find_own_run("latest")
    stored = client().get_run(folder.name)
    assert stored.info.status == "FAILED" and stored.data.tags["nonfinite"].startswith("step 6 made")
    assert checkpoints.steps(folder / "checkpoints") == [2, 4]
    assert all(np.isfinite(v).all() for v in state.load_model(folder).variables)
    with pytest.raises(NonFiniteError):  # the same step has the same fate
        training.resume(folder.name, {})


def test_a_run_can_go_back_once_and_draw_anew(workplace, monkeypatch, capsys):
    plain = training.train(short(checkpoint_every=2), {"width": 20})
    poisoned(monkeypatch, 1)
    run = training.train(short(checkpoint_every=2, on_nonfinite="rollback"), {"width": 20})
    said = [line for line in capsys.readouterr().out.splitlines() if "back to step 4" in line]
    assert len(said) == 1 and "step 6 made numbers that are not finite" in said[0]
    stored = client().get_run(run.id)
    assert (
        stored.info.status == "FINISHED"
        and "back to step 4, from there with other noise" in stored.data.tags["rollback"]
    )
    model, other = state.load_model(run.folder), state.load_model(plain.folder)
    assert int(model.step) == 9 and int(model.branch) == 1
    assert any((v.numpy() != w.numpy()).any() for v, w in zip(model.variables, other.variables, strict=True))

    # Killed after it went back, it goes back again, to the same branch.
    folder = crashed(monkeypatch, 7, short(checkpoint_every=2, on_nonfinite="rollback", keep=9), {"width": 20})
    checkpoints.path(folder / "checkpoints", 6).unlink()
    resumed = training.resume(folder.name, {"keep": 2})
    for v, w in zip(model.variables, state.load_model(resumed.folder).variables, strict=True):
        np.testing.assert_array_equal(v, w)


def test_a_run_goes_back_only_once(workplace, monkeypatch):
    poisoned(monkeypatch, 2)
    with pytest.raises(NonFiniteError, match=r"step 6 .* it had been rolled back before"):
        training.train(short(checkpoint_every=2, on_nonfinite="rollback"), {"width": 20})
    assert Journal(tracking.find_own_run("latest")).status == "FAILED"


def test_weights_that_overflow_are_named(workplace):
    with pytest.raises(NonFiniteError, match=r"^step 1 made .*; generator: project/kernel and \d more") as error:
        training.train(short("dcgan", image_size=8), {"width": 4, "learning_rate": 3e38})
    assert "the checkpoint of step 0 is the last good one" in str(error.value)


def test_a_full_disk_is_one_line_and_the_earlier_checkpoint_loads(workplace, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    at(monkeypatch, 5, lambda: monkeypatch.setattr(checkpoints, "write_atomic", full))
    with pytest.raises(RunError, match=r"step-0000006.*\(No space left on device\); the one of step 3 stands"):
        training.train(short(), {"width": 20})
    monkeypatch.undo()
    folder = next(path.parent for path in workplace.glob("mlruns/*/run.json"))
    monkeypatch.chdir(workplace)
    assert Journal(folder).status == "FAILED"
    assert int(state.load_model(folder).step) == 3
    training.resume("latest", {})


def test_a_journal_that_cannot_grow_stops_the_run(workplace, monkeypatch):
    def full(self, **entry):
        raise RunError("the run cannot write journal.jsonl (No space left on device)")

    at(monkeypatch, 5, lambda: monkeypatch.setattr(Journal, "append", full))
    with pytest.raises(RunError, match="No space left"):
        training.train(short(), {"width": 20})
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    training.resume("latest", {})


@pytest.mark.parametrize("uri", ["sqlite:////proc/none/x.db", "strange://host", "http://127.0.0.1:9"])
def test_a_tracker_that_cannot_be_opened_is_said_once(stopped, capsys, uri):
    about = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps(about | {"tracking_uri": uri}))
    training.resume(stopped.name, {})
    assert capsys.readouterr().out.count("no number is lost, they are kept") == 1
    assert int(state.load_model(stopped).step) == 9


def test_a_tracker_that_has_forgotten_the_run_is_told_all_again(stopped):
    about = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps(about | {"tracker_run_id": "0" * 32}))  # as in a new database
    run = training.resume(stopped.name, {"tracking_uri": "sqlite:///mlruns/mlflow.db"})
    known = json.loads((stopped / "run.json").read_text())["tracker_run_id"]
    assert known not in (about["tracker_run_id"], "0" * 32)
    assert run.is_tracked and {step for _, step, _ in measures(known)} == {2, 4, 6, 8, 9}


def test_a_tracker_that_is_gone_does_not_keep_a_run_from_going_on(stopped, capsys):
    pathlib.Path("mlruns/mlflow.db").rename("away.db")
    pathlib.Path("mlruns/mlflow.db").mkdir()
    run = training.resume(stopped.name, {})
    said = capsys.readouterr().out
    assert "tracker: " in said and f"kgan.sync --run {run.id}" in said
    assert int(state.load_model(stopped).step) == 9
    pathlib.Path("mlruns/mlflow.db").rmdir()
    pathlib.Path("away.db").rename("mlruns/mlflow.db")
    tracking.sync(stopped)
    assert client().get_run(run.id).info.status == "FINISHED"
    assert {step for _, step, _ in measures(run.id)} == {2, 4, 6, 8, 9}
