"""Figures of a judge against the metrics themselves, on samples and images taken by hand."""

import dataclasses

import numpy as np
import pytest

from kgan import datasets, features, judging, metrics, state, training
from kgan.errors import InputError
from kgan.features import Features
from kgan.judging import Judge, Plan
from kgan.settings import Settings
from tests import tiny

HELD_OUT = 297


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "cache"))


def config_of(variant: str = "gan", **settings):
    settings = tiny.settings(variant, **settings)
    return training.resolve(settings, tiny.recipe(variant), datasets.for_training(settings).train)


def judged(config, *names: str, features: str = "pixels", num: int = 300, **plan) -> dict:
    model = state.build(config)
    values = Judge(config, Plan(names, features, num=num, **plan), datasets.of_run(config)).judge(model)
    return model, {value.name: value for value in values}


def pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255.0


def fake_classifier(train, test, digest) -> Features:
    """Of dark to bright: four classes of each image's mean."""

    def extract(images: np.ndarray):
        means = images.reshape(len(images), -1).mean(axis=1).astype(np.float32)[:, None]
        return np.concatenate([means, means**2], axis=1), -np.abs(means - np.float32([0, 64, 128, 255]))

    return Features("classifier", "ab", "none", extract)


def test_the_distances_are_those_of_features_taken_by_hand():
    config = config_of()
    model, found = judged(config, "fid", "kid", "pr", "dc")
    real = pixels(datasets.of_run(config).train.images)
    fake = pixels(model.generate(300))
    assert found["pixels_fid"].mean == pytest.approx(metrics.frechet_distance(real, fake), rel=1e-4)
    assert found["pixels_fid"].protocol.real_count == 1797 and found["pixels_fid"].protocol.fake_count == 300
    assert found["pixels_fid"].spread is None and found["pixels_fid"].better == "lower"
    chosen = real[np.sort(np.random.default_rng(0).choice(1797, 300, False))]
    mean, std = metrics.kernel_distance(chosen, fake, 100, 300)
    assert found["pixels_kid"].mean == pytest.approx(mean, rel=1e-4)
    assert found["pixels_kid"].spread == pytest.approx(std, rel=1e-3)
    assert found["pixels_kid"].protocol.parameters == {"subsets": 100, "subset_size": 300}
    names = {"precision": 0, "recall": 1}
    assert {n: found[f"pixels_{n}"].mean for n in names} == {
        n: metrics.precision_recall(chosen, fake, 3)[i] for n, i in names.items()
    }
    assert found["pixels_coverage"].mean == metrics.density_coverage(chosen, fake, 5)[1]
    assert found["pixels_precision"].protocol.real_count == 300


def test_a_protocol_says_how_a_figure_was_measured():
    config = config_of()
    _, found = judged(config, "fid", truncation=0.5, seeds=(0, 1))
    protocol = found["pixels_fid"].protocol
    assert (protocol.metric, protocol.features, protocol.resize, protocol.split) == ("fid", "pixels", "none", "train")
    assert (protocol.truncation, protocol.ema, protocol.precision) == (0.5, False, "float32")
    assert protocol.seeds == (0, 1) and protocol.data == config.data["digest"]
    assert set(protocol.versions) == {"kgan", "keras", "tensorflow", "numpy"}


def test_seeds_are_averaged():
    config = config_of()
    model, found = judged(config, "fid", seeds=(0, 1, 2))
    real = pixels(datasets.of_run(config).train.images)
    by_hand = [metrics.frechet_distance(real, pixels(model.generate(300, seed))) for seed in range(3)]
    value = found["pixels_fid"]
    assert value.mean == pytest.approx(np.mean(by_hand), rel=1e-4)
    assert value.spread == pytest.approx(np.std(by_hand, ddof=1), rel=1e-2)
    assert value.spread_of == "standard deviation over 3 sets of samples"


def test_parzen_chooses_by_held_out_images_and_measures_on_others():
    config = config_of(hold_out=HELD_OUT)
    model, found = judged(config, "parzen", features="inception")  # no features: none are fetched
    unseen = pixels(datasets.of_run(config).validation.images)
    samples = pixels(model.generate(300))
    sigma = metrics.choose_sigma(samples, unseen[::2])
    mean, error = metrics.parzen_log_likelihood(samples, unseen[1::2], sigma)
    value = found["parzen"]
    assert value.found == {"sigma": sigma} and value.better == "higher"
    assert value.mean == pytest.approx(mean, rel=1e-5) and value.spread == pytest.approx(error, rel=1e-4)
    assert (value.protocol.features, value.protocol.split, value.protocol.real_count) == ("pixels", "validation", 148)


def test_with_a_test_split_the_window_is_chosen_on_what_was_held_out(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    np.savez(tmp_path / "set.npz", x_train=images[:40], x_test=images[40:])
    config = config_of(data=str(tmp_path / "set.npz"), hold_out=10)
    model, found = judged(config, "parzen", num=50)
    samples = pixels(model.generate(50))
    sigma = metrics.choose_sigma(samples, pixels(images[30:40]))
    assert found["parzen"].found == {"sigma": sigma}
    expected = metrics.parzen_log_likelihood(samples, pixels(images[40:]), sigma)[0]
    assert found["parzen"].mean == pytest.approx(expected, rel=1e-5)
    assert found["parzen"].protocol.split == "test"


def test_nothing_is_chosen_by_the_test_split(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    np.savez(tmp_path / "set.npz", x_train=images[:40], x_test=images[40:])
    config = config_of(data=str(tmp_path / "set.npz"), hold_out=10)
    model, found = judged(config, "parzen", num=50, split="validation")
    samples, held_out = pixels(model.generate(50)), pixels(images[30:40])
    expected = metrics.parzen_log_likelihood(samples, held_out[1::2], metrics.choose_sigma(samples, held_out[::2]))[0]
    assert found["parzen"].mean == pytest.approx(expected, rel=1e-5)
    assert found["parzen"].protocol.split == "validation"


def test_classes_are_those_of_a_classifier(monkeypatch):
    monkeypatch.setattr(features, "classifier", fake_classifier)
    model, found = judged(config_of(), "coverage", "is", features="auto")
    labels = fake_classifier(0, 0, 0).extract(model.generate(300))[1].argmax(axis=1)
    assert found["classes"].mean == len(set(labels.tolist()))
    assert found["classes"].found["counts"] == np.bincount(labels, minlength=4).tolist()
    assert found["classes_kl"].mean > 0 and found["classifier_is"].mean >= 1
    assert found["classifier_is"].spread_of == "standard deviation over 10 splits"


def test_copies_are_found_and_shown(monkeypatch):
    config = config_of(hold_out=HELD_OUT)
    train = datasets.of_run(config).train.images
    model = state.build(config)
    judge = Judge(config, Plan(("memorisation",), "pixels", num=200), datasets.of_run(config))
    assert judge.judge(model)[0].mean < 0.5
    monkeypatch.setattr(model, "pictures", lambda *_: iter([train[100:200], train[:100]]))
    monkeypatch.setattr(model, "decode", lambda latents: train[:8])
    memorised, duplicates = judge.judge(model)
    assert memorised.name == "pixels_memorised" and memorised.mean == 1.0
    assert memorised.protocol.parameters == {"calibrated_on": HELD_OUT} and duplicates.protocol.real_count == 200
    assert memorised.spread_of == "standard error over 200 samples"
    for sample, nearest, distance in memorised.found["pairs"]:
        assert distance == 0.0
        np.testing.assert_array_equal(train[nearest], np.concatenate([train[100:200], train[:100]])[sample])
    (picture,) = judge.pictures(model, [memorised, duplicates]).values()
    assert picture.dtype == np.uint8 and picture.shape[1] == 4 * 9 * 8  # 8 px and a gap, 8 times enlarged


@pytest.mark.parametrize("variant", ["cyclegan", "pix2pix"])
def test_systems_that_translate_are_judged_by_direction(variant):
    config = config_of(variant, image_size=16)
    model, found = judged(config, "fid", "kid")
    test = datasets.of_run(config).test
    translated = model.translate(test.a.images, "a_to_b")
    assert set(found) == {f"{d}_pixels_{m}" for d in model.directions for m in ("fid", "kid")}
    value = found["a_to_b_pixels_fid"]
    expected = metrics.frechet_distance(pixels(test.b.images), pixels(translated))
    assert value.mean == pytest.approx(expected, rel=1e-3)
    assert (value.protocol.split, value.protocol.fake_count) == ("test", test.a.size)


@pytest.mark.parametrize(
    ("variant", "plan", "message"),
    [
        ("gan", {"names": ("fdi",)}, r"--metrics: got 'fdi', expected some of fid,.* Did you mean 'fid'"),
        ("gan", {"names": ("parzen",)}, "--metrics: parzen needs images that the training has not seen"),
        ("gan", {"names": ("memorisation",)}, "--metrics: memorisation needs images that"),
        ("gan", {"names": ("is",)}, "--metrics: is counts classes, got pixels"),
        ("gan", {"names": ("coverage",)}, "--metrics: coverage counts classes, got pixels"),
        ("gan", {"names": ("fid",), "num": 1}, "--num: got 1, expected 2 or more"),
        ("gan", {"names": ("fid",), "seeds": ()}, "--seeds: got 0, expected 1 or more"),
        ("gan", {"names": ("fid",), "truncation": 1.5}, "--truncation: got 1.5"),
        ("gan", {"names": ("fid",), "split": "validation"}, "--split: got validation, but the run held no"),
        ("gan", {"names": ("fid",), "inception": "x.pb"}, "--inception: got x.pb with --features pixels"),
        (
            "gan",
            {"names": ("fid",), "resize": "clean"},
            "--resize: got clean, but pixels takes images of their own size",
        ),
        ("gan", {"names": ("pr",), "num": 3}, "--num: got 3, expected 4 or more for pr"),
        ("gan", {"names": ("fid", "fid")}, "--metrics: got fid twice"),
        ("cyclegan", {"names": ("fid",), "truncation": 0.5}, "--truncation: got 0.5, but CycleGAN draws no latents"),
        ("cyclegan", {"names": ("fid",), "seeds": (0, 1)}, "--seeds: got 2, but CycleGAN draws nothing"),
        ("cyclegan", {"names": ("parzen",)}, "--metrics: parzen is for systems that draw latents"),
        (
            "cyclegan",
            {"names": ("fid",), "features": "classifier"},
            "--features: got classifier, but the data have no",
        ),
    ],
)
def test_what_cannot_be_measured_is_one_line(variant, plan, message):
    with pytest.raises(InputError, match=message):
        judged(config_of(variant, image_size=16), *plan.pop("names"), **plan)


def test_a_damaged_test_split_is_not_taken_for_none(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, x_test=images[0])
    with pytest.raises(InputError, match=r"a\.npz: x_test"):
        judged(config_of(data=str(tmp_path / "a.npz")), "parzen")


def test_without_labels_and_network_the_graph_is_asked_for(monkeypatch, tmp_path):
    images = np.zeros((10, 8, 8), np.uint8)
    np.savez(tmp_path / "set.npz", x_train=images)
    asked = []
    monkeypatch.setattr(features, "inception", lambda *arguments: asked.append(arguments) or features.pixels())
    config = config_of(data=str(tmp_path / "set.npz"))
    judging.Judge(config, Plan(("fid",), inception="graph.pb", resize="clean"), datasets.of_run(config))
    assert asked == [("graph.pb", "clean")]


def test_samples_come_in_batches_and_are_those_of_generate():
    model = state.build(config_of())
    batches = list(model.pictures(600, seed=3, truncation=0.5))
    assert [len(batch) for batch in batches] == [256, 256, 88]
    np.testing.assert_array_equal(np.concatenate(batches), model.generate(600, seed=3, truncation=0.5))


def test_the_classifier_is_of_what_was_trained_on(monkeypatch):
    asked = []

    def classifier(train, test, digest):
        asked.append((len(train[0]), len(test[0]) if test else None, digest))
        return fake_classifier(train, test, digest)

    monkeypatch.setattr(features, "classifier", classifier)
    whole, part = config_of(), config_of(hold_out=HELD_OUT)
    for config in (whole, part):
        Judge(config, Plan(("fid",)), datasets.of_run(config))
    assert asked[0][:2] == (1797, None) and asked[1][:2] == (1500, HELD_OUT)
    assert asked[0][2] != asked[1][2]


def test_settings_of_a_run_do_not_change_by_being_judged():
    config = config_of()
    before = dataclasses.asdict(config)
    judged(config, "fid")
    assert dataclasses.asdict(config) == before
    assert isinstance(config.settings, Settings)


def test_the_classes_asked_for_are_those_judged(monkeypatch):
    monkeypatch.setattr(features, "classifier", fake_classifier)
    config = config_of("cgan")
    model, found = judged(config, "accuracy", "intra", features="auto")
    asked = model.inputs(300)[1].numpy()
    images = model.generate(300)
    extract = fake_classifier(0, 0, 0).extract
    said = extract(images)[1].argmax(axis=1)
    assert found["class_accuracy"].mean == pytest.approx((said == asked).mean())
    assert found["class_accuracy"].found["by_class"] == {i: (said[asked == i] == i).mean() for i in range(10)}
    data = datasets.of_run(config).train
    distances = [
        metrics.frechet_distance(extract(data.images[data.labels == i])[0], extract(images[asked == i])[0])
        for i in range(10)
    ]
    assert found["classifier_intra_fid"].mean == pytest.approx(np.mean(distances), rel=1e-4)
    by_class = found["classifier_intra_fid"].found["by_class"]
    assert by_class == pytest.approx(dict(enumerate(distances)), rel=1e-4)


@pytest.mark.parametrize(
    ("variant", "plan", "message"),
    [
        ("gan", {"metrics": "accuracy"}, "--metrics: accuracy is for systems that are told a class"),
        ("gan", {"metrics": "intra"}, "--metrics: intra is for systems that are told a class"),
        ("cgan", {"metrics": "accuracy"}, "accuracy counts classes, got pixels; expected --features classifier"),
        ("cgan", {"metrics": "intra", "num": 12}, "intra got .* samples of class .*; try a larger --num"),
    ],
)
def test_of_classes_what_cannot_be_measured_is_one_line(variant, plan, message):
    with pytest.raises(InputError, match=message):
        judged(config_of(variant), plan["metrics"], num=plan.get("num", 300))
