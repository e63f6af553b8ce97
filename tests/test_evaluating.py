"""Runs that are judged while they train and afterwards."""

import json
import pathlib
import shutil

import mlflow
import numpy as np
import pytest

from kgan import checkpoints, configuration, evaluate, evaluating, state, tracking, training
from kgan.errors import InputError
from kgan.journal import Journal
from kgan.judging import Plan
from tests import tiny

EVERY = {"evaluate_every": 1, "evaluate_metrics": "fid,kid", "evaluate_num": 64, "evaluate_features": "pixels"}
NAMES = ["pixels_fid", "pixels_kid"]


@pytest.fixture(autouse=True)
def cache(workplace, monkeypatch):
    monkeypatch.setenv("KGAN_CACHE", str(workplace / "cache"))


def trained(**settings) -> tracking.Run:
    return training.train(tiny.settings("dcgan", **settings), tiny.recipe("dcgan"))


def client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{pathlib.Path('mlruns/mlflow.db').resolve()}")


def all_values(folder: pathlib.Path) -> dict[int, list]:
    steps = {int(path.stem.split("-")[1]) for path in (folder / "evaluations").iterdir()}
    return {step: evaluating.values_of(folder, step) for step in sorted(steps)}


def test_the_best_checkpoint_is_kept_beside_the_last(capsys):
    run = trained(steps=6, keep=1, **EVERY)
    values = all_values(run.folder)
    assert sorted(values) == [1, 2, 3, 4, 5, 6]
    assert all([value.name for value in found] == NAMES for found in values.values())
    fids = {step: found[0].mean for step, found in values.items()}
    best = min(fids, key=fids.get)
    assert checkpoints.steps(run.folder / "best") == [best] and checkpoints.steps(run.folder / "checkpoints") == [6]
    assert int(state.load_model(run.folder, "best").step) == best
    said = capsys.readouterr().out
    assert f"pixels_fid: {values[6][0]} at the last step, {values[best][0]} at the best, {best}" in said

    for name, index in zip(NAMES, (0, 1), strict=True):
        history = client().get_metric_history(run.id, f"{name} train 64")
        assert {m.step: m.value for m in history} == {step: found[index].mean for step, found in values.items()}
    artifacts = {f.path for f in client().list_artifacts(run.id)}
    assert {"best", "evaluations", "checkpoints"} <= artifacts
    assert len(client().list_artifacts(run.id, "evaluations")) == 6


def test_what_is_held_out_decides_where_it_can():
    plain = evaluating.last_values(trained(steps=1, **EVERY).folder)["pixels_fid"]
    held = evaluating.last_values(trained(steps=1, hold_out=297, **EVERY).folder)["pixels_fid"]
    assert (plain.protocol.split, plain.protocol.real_count) == ("train", 1797)
    assert (held.protocol.split, held.protocol.real_count) == ("validation", 297)


def test_being_judged_changes_no_training():
    judged, plain = trained(steps=3, **EVERY), trained(steps=3)
    digests = [checkpoints.read_header(state.find(run.folder, "last")).digest for run in (judged, plain)]
    arrays = [checkpoints.read(state.find(run.folder, "last")).arrays for run in (judged, plain)]
    assert digests[0] != digests[1]  # the settings stand in the file
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])


def stopped(monkeypatch, at: int, **settings) -> pathlib.Path:
    """A run that was killed right after a step."""
    shown = training.Progress.show

    def show(self, step, values):
        shown(self, step, values)
        if step == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Progress, "show", show)
        trained(**settings)
    return next(path.parent for path in tracking.ROOT.glob("*/run.json") if Journal(path.parent).status == "KILLED")


def test_a_run_that_goes_on_knows_its_best(monkeypatch):
    whole = trained(steps=6, checkpoint_every=1, **EVERY)
    expected = {step: [v.mean for v in found] for step, found in all_values(whole.folder).items()}
    best = checkpoints.steps(whole.folder / "best")
    assert len({values[0] for values in expected.values()}) == 6  # it moves
    folder = stopped(monkeypatch, 4, steps=6, checkpoint_every=2, **EVERY)
    run = training.resume(folder.name, {})
    found = {step: [v.mean for v in values] for step, values in all_values(run.folder).items()}
    assert found == expected  # each step once
    assert checkpoints.steps(run.folder / "best") == best


def test_a_run_that_is_judged_otherwise_judges_its_best_anew():
    run = trained(steps=2, **EVERY)
    (best,) = checkpoints.steps(run.folder / "best")
    run = training.resume(run.id, {"steps": 4, "evaluate_num": 32})
    values = all_values(run.folder)
    counts = {step: [value.protocol.fake_count for value in found[::2]] for step, found in values.items()}
    assert counts == {1: [64], 2: [64], 3: [32], 4: [32]} | {best: [64, 32]}
    by_32 = {step: found[-2].mean for step, found in values.items() if found[-2].protocol.fake_count == 32}
    assert checkpoints.steps(run.folder / "best") == [min(by_32, key=by_32.get)]


def test_the_report_is_of_like_figures(capsys):
    run = trained(steps=2, **EVERY)
    config = configuration.load(run.folder)
    (judged,) = evaluating.evaluate(run.folder, config, Plan(("fid",), "pixels", num=50), "2")
    evaluating.log(run.folder, [judged])
    capsys.readouterr()
    run = training.resume(run.id, {"steps": 3})
    said = capsys.readouterr().out
    (best,) = checkpoints.steps(run.folder / "best")
    best_value = next(v for v in all_values(run.folder)[best] if v.protocol.fake_count == 64)
    assert f"{all_values(run.folder)[3][0]} at the last step, {best_value} at the best" in said


def test_a_run_stopped_while_it_is_judged_catches_up(monkeypatch):
    whole = all_values(trained(steps=4, **EVERY | {"evaluate_every": 2}).folder)
    asked = []

    def judge(self, *arguments):
        asked.append(1)
        if len(asked) == 2:  # in the last step
            raise KeyboardInterrupt
        return real(self, *arguments)

    real = training.Judge.judge
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Judge, "judge", judge)
        trained(steps=4, **EVERY | {"evaluate_every": 2})
    folder = next(p.parent for p in tracking.ROOT.glob("*/run.json") if Journal(p.parent).status == "KILLED")
    assert checkpoints.steps(folder / "checkpoints")[-1] == 4  # nothing lost
    run = training.resume(folder.name, {})
    found = all_values(run.folder)
    assert {s: [v.mean for v in vs] for s, vs in found.items()} == {s: [v.mean for v in vs] for s, vs in whole.items()}
    assert Journal(run.folder).status == "FINISHED"


def test_systems_that_translate_choose_by_training_images():
    settings = tiny.settings("pix2pix", image_size=16, **EVERY)
    run = training.train(settings, tiny.recipe("pix2pix"))
    assert {v.protocol.split for v in evaluating.values_of(run.folder, 3)} == {"train"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"evaluate_every": 0}, "--evaluate-every: got 0, expected at least 1"),
        ({**EVERY, "evaluate_metrics": "fid,nid"}, "--metrics: got 'nid'"),
        ({**EVERY, "evaluate_metrics": "fid,fid"}, "--metrics: got fid twice"),
        ({**EVERY, "evaluate_metrics": "is"}, "--metrics: is counts classes, got pixels"),
        ({**EVERY, "evaluate_metrics": "pr", "evaluate_num": 3}, "--num: got 3, expected 4 or more for pr"),
        ({**EVERY, "evaluate_num": 0}, "--num: got 0"),
        ({"evaluate_num": 10}, "--evaluate-num: got 10, which needs --evaluate-every N"),
        ({**EVERY, "evaluate_metrics": "parzen"}, "parzen needs images that the training has not seen"),
        ({**EVERY, "evaluate_features": "nothing.keras"}, "nothing.keras"),
        ({"hold_out": 1797}, "--hold-out: got 1797, expected 1 to 1796 of the 1797 images"),
    ],
)
def test_what_cannot_be_judged_is_told_before_a_run_starts(settings, message):
    with pytest.raises(InputError, match=message):
        trained(**settings)
    assert not list(tracking.ROOT.glob("*/run.json"))


def test_a_finished_run_is_judged_and_stays_finished(capsys):
    run = trained(steps=2)
    before = client().get_run(run.id).info
    evaluate.evaluate(run.id, metrics="fid,pr", features="pixels", num=64, seeds=2)
    said = capsys.readouterr().out
    last = evaluating.last_values(run.folder)
    assert list(last) == ["pixels_fid", "pixels_precision", "pixels_recall"]
    assert "last (step 2)" in said and str(last["pixels_fid"]) in said and "±" in said
    assert f"pixels_fid: {last['pixels_fid'].protocol}" in said
    assert "pixels_precision, pixels_recall: pixels" in said
    after = client().get_run(run.id)
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.end_time)
    assert after.data.metrics["pixels_fid train 64"] == last["pixels_fid"].mean
    assert Journal(run.folder).status == "FINISHED" and run.is_tracked
    (file,) = (run.folder / "evaluations").iterdir()
    assert json.loads(file.read_text())[0]["protocol"]["features"] == "pixels"


def test_best_and_last_are_judged_and_one_of_them_where_they_are_the_same():
    run = trained(steps=3, **EVERY)
    config = configuration.load(run.folder)
    plan = Plan(("fid",), "pixels", num=64)
    (best,) = checkpoints.steps(run.folder / "best")
    found = [(one.name, one.step) for one in evaluating.evaluate(run.folder, config, plan, None)]
    assert found == ([("best and last", 3)] if best == 3 else [("best", best), ("last", 3)])
    (one,) = evaluating.evaluate(run.folder, config, plan, "3")
    assert (one.name, one.step) == ("checkpoint", 3)
    # In float32 as while it trained: it compares, but by other samples than it was chosen by.
    difference = one.values[0].minus(evaluating.values_of(run.folder, 3)[0])
    assert 0 < abs(difference) < 0.1 * one.values[0].mean


def test_a_run_without_best_says_so():
    run = trained(steps=1)
    with pytest.raises(
        InputError, match=r"--checkpoint: got best, but .* has none \(--evaluate-every N in training\)"
    ):
        evaluate.evaluate(run.id, checkpoint="best", features="pixels")


def test_a_run_is_compared_with_another(capsys):
    first, second = trained(steps=1), trained(steps=1, seed=1)
    for run in (first, second):
        evaluate.evaluate(run.id, features="pixels", num=64)
    capsys.readouterr()
    evaluate.evaluate(first.id, features="pixels", num=64, against=second.id)
    difference = [evaluating.last_values(run.folder)["pixels_fid"].mean for run in (first, second)]
    assert f"pixels_fid   {difference[0] - difference[1]:+.5g}" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"the protocols are unlike, .*fake_count: 32 and 64"):
        evaluate.evaluate(first.id, features="pixels", num=32, against=second.id)
    with pytest.raises(InputError, match=r"--against: .* has no pixels_kid; it has pixels_fid"):
        evaluate.evaluate(first.id, metrics="kid", features="pixels", num=64, against=second.id)


def test_a_run_that_is_being_written_is_judged_and_not_touched(capsys):
    run = trained(steps=1)
    with tracking.locked(run.folder):
        evaluate.evaluate(run.id, features="pixels", num=64)
    said = capsys.readouterr().out
    assert "pixels_fid" in said and "not logged: the run" in said and "still being written" in said
    assert not (run.folder / "evaluations").exists()


def test_data_that_have_moved_are_named(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images)
    run = trained(steps=1, data=str(tmp_path / "a.npz"))
    (tmp_path / "a.npz").rename(tmp_path / "b.npz")
    with pytest.raises(InputError, match=r"--data .*a\.npz"):
        evaluate.evaluate(run.id, features="pixels", num=64)
    evaluate.evaluate(run.id, features="pixels", num=64, data=str(tmp_path / "b.npz"))
    assert "pixels_fid" in evaluating.last_values(run.folder)
    np.savez(tmp_path / "b.npz", x_train=255 - images)
    with pytest.raises(InputError, match="expected the images the run was trained on"):
        evaluate.evaluate(run.id, features="pixels", num=64, data=str(tmp_path / "b.npz"))


def test_files_are_numbered_beyond_those_that_are_gone():
    run = trained(steps=2, **EVERY)
    first, second = sorted((run.folder / "evaluations").iterdir())
    first.unlink()
    content = second.read_bytes()
    evaluate.evaluate(run.id, features="pixels", num=64)
    assert second.read_bytes() == content and len(list((run.folder / "evaluations").iterdir())) == 2


def test_a_damaged_file_of_another_step_does_no_harm():
    run = trained(steps=2, **EVERY | {"evaluate_every": 2})
    (run.folder / "evaluations" / "step-0000001-9.json").write_text("{")
    assert training.resume(run.id, {"steps": 4}).id == run.id


def test_a_run_stays_finished_where_its_judge_was_killed():
    run = trained(steps=1)
    evaluate.evaluate(run.id, features="pixels", num=64)
    lines = Journal(run.folder).path.read_bytes().splitlines(keepends=True)
    Journal(run.folder).path.write_bytes(b"".join(lines[:-1]))  # before it said the last word again
    assert Journal(run.folder).status == "FINISHED"
    evaluate.evaluate(run.id, features="pixels", num=64)
    assert client().get_run(run.id).info.status == "FINISHED"


def test_a_folder_elsewhere_is_judged_and_not_touched(tmp_path_factory, capsys):
    run = trained(steps=1)
    place = tmp_path_factory.mktemp("elsewhere") / run.id
    shutil.copytree(run.folder, place)
    evaluate.evaluate(str(place), features="pixels", num=64)
    assert "pixels_fid" in (said := capsys.readouterr().out) and "is no run of mlruns" in said
    assert not (place / "evaluations").exists()


def test_weights_that_are_not_finite_are_no_model():
    run = trained(steps=1)
    place = state.find(run.folder, "last")
    checkpoint = checkpoints.read(place)
    name = next(name for name in checkpoint.arrays if name.endswith("kernel"))
    checkpoint.arrays[name][...] = np.nan
    checkpoints.write(place.parent, checkpoint, 1)
    with pytest.raises(InputError, match="has numbers that are not finite in"):
        evaluate.evaluate(run.id, features="pixels", num=64)
