"""What every variant must do, over the registry."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import options, variants
from kgan.errors import InputError
from kgan.latent import Latent
from kgan.priors import Uniform
from kgan.variants.base import Variant
from tests import tiny
from tests.graphs import unordered_updates

SHAPE = (16, 16, 3)
ROWS = 6
CLASSES = 3


def make(name: str, optimizer=None, **arguments) -> Variant:
    """A small model of a variant, compiled, by its recipe or with an optimizer made by `optimizer()` for each player.

    Its steps are not traced, which takes longer than a few of them do.
    """
    keras.utils.set_random_seed(1)
    model = build(name, SHAPE, **tiny.recipe(name), **arguments)
    own = {player.name: optimizer() for player in model.players} if optimizer else None
    model.compile(own, jit_compile=False, run_eagerly=True)
    return model


@functools.cache
def refusing_model(name: str) -> Variant:
    """A model for what must not reach it."""
    return make(name)


def build(name: str, shape: tuple, **arguments) -> Variant:
    variant = variants.load(name)
    classes = {"classes": CLASSES} if variant.data == "labelled" else {}
    return variant(shape, **classes, **arguments)


def sgd() -> keras.optimizers.SGD:
    """Adam would make much of a last digit."""
    return keras.optimizers.SGD(0.01)


def rows(model: Variant, steps: int = 1) -> tuple[np.ndarray, ...]:
    """What `fit` takes: images; of each domain, or with labels."""
    count = ROWS * model.rounds_per_step * steps
    domains = 2 if model.data in variants.TWO_DOMAINS else 1
    images = tuple(np.random.default_rng(0).integers(0, 256, (domains, count, *SHAPE), dtype=np.uint8))
    return with_labels(model, images)


def with_labels(model: Variant, images: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    labels = np.arange(len(images[0]), dtype=np.int32) % CLASSES
    return (*images, labels) if model.data == "labelled" else images


def black_and_white(model: Variant) -> list[np.ndarray]:
    """Images whose pixels are -1 and 1 exactly, however they are computed, and what else there is."""
    return [images // 128 * 255 if images.ndim == 4 else images for images in rows(model)]


def values(variables) -> dict[str, np.ndarray]:
    return {f"{i} {v.path}": np.asarray(v.value).copy() for i, v in enumerate(variables)}


def train(model: Variant, steps: int = 1) -> None:
    model.fit(*rows(model, steps), batch_size=ROWS * model.rounds_per_step, shuffle=False, verbose=0)


@pytest.fixture(params=variants.names())
def name(request) -> str:
    return request.param


def test_a_step_moves_every_variable_of_every_player(name):
    model = make(name, lambda: keras.optimizers.Adam(0.01))  # moves where a gradient is small, but none where it is 0
    for v in model.trainable_variables:
        if v.path.endswith("logits/bias"):  # a hinge moves it only where one side is beyond its margin
            v.assign(tf.fill(v.shape, 3.0))
    before = values(model.trainable_variables)
    train(model)
    after = values(model.trainable_variables)
    assert [path for path in before if np.array_equal(before[path], after[path])] == []
    owned = [id(v) for player in model.players for v in player.variables]
    assert {id(v) for v in model.trainable_variables} == set(owned)
    assert len(owned) == len(set(owned))


def test_networks_are_in_training_mode(name):
    model = make(name)
    statistics = [v for player in model.players for n in player.networks for v in n.non_trainable_variables]
    statistics = [v for v in statistics if np.prod(v.shape) > 1]  # a direction of one number has nowhere to go
    before = values(statistics)
    train(model)
    after = values(statistics)
    assert [path for path in before if np.array_equal(before[path], after[path])] == []


def test_an_update_moves_one_player_only(name):
    for mover in (player.name for player in make(name).players):
        model = make(name)
        before = {player.name: values(player.variables) for player in model.players}
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(v**2) + tf.reduce_sum(v) for v in model.trainable_variables])
        norm = model.minimize(mover, tape, loss)
        moved = {player.name: values(player.variables) for player in model.players}
        for player, old in before.items():
            for path in old:
                assert np.array_equal(old[path], moved[player][path]) == (player != mover), path
        gradients = np.concatenate([2 * v.ravel() + 1 for v in before[mover].values()])
        np.testing.assert_allclose(norm, np.linalg.norm(gradients.astype("float64")), rtol=1e-5)


def test_a_loss_that_misses_a_variable_is_named(name):
    model = make(name)
    player = model.players[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(player.variables[0] ** 2)
    with pytest.raises(InputError, match=player.variables[1].path):
        model.minimize(player.name, tape, loss)


def test_the_same_step_with_and_without_xla(name):
    results = []
    for jit in (False, True):
        model = make(name, sgd)
        before = values(model.variables)
        logs = tf.function(model.train_step, jit_compile=jit)(tuple(map(tf.constant, black_and_white(model))))
        moves = {path: value - before[path] for path, value in values(model.variables).items()}
        results.append(({k: float(v) for k, v in logs.items()}, moves))
    (plain_logs, plain), (xla_logs, xla) = results
    assert plain_logs == pytest.approx(xla_logs, rel=1e-4, abs=1e-6)
    for path, move in plain.items():
        assert np.linalg.norm(move - xla[path]) <= 1e-3 * np.linalg.norm(move) + 1e-6, path


@pytest.mark.parametrize("name", ["wgan", "wgan-gp"])  # TensorFlow's optimizer loses the order of these
def test_a_traced_step_does_not_race_with_itself(name):
    model = make(name)
    assert unordered_updates(tf.function(model.train_step), tuple(map(tf.constant, rows(model)))) == []


def test_training_depends_on_the_seed(name):
    # That it depends on nothing else is what tests/test_resume.py compares.
    first, other = make(name), make(name, seed=1)
    for model in (first, other):
        train(model, 3)  # an image pool is full by then
    one, differs = (values(m.trainable_variables) for m in (first, other))
    assert not all(np.array_equal(one[path], differs[path]) for path in one)


def test_save_and_load_are_exact(name, tmp_path):
    model = make(name)
    train(model, 2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.run_eagerly = True
    for argument in variants.recipe(type(model)):
        assert getattr(again, argument) == getattr(model, argument)
    for _ in range(2):  # as loaded, and after one more step of each
        for v, w in zip(model.variables, again.variables, strict=True):
            np.testing.assert_array_equal(v, w, err_msg=v.path)
        for player, optimizer in model.optimizers.items():
            for v, w in zip(optimizer.variables, again.optimizers[player].variables, strict=True):
                np.testing.assert_array_equal(v, w, err_msg=f"{player} {v.path}")
        train(model)
        train(again)


def test_every_argument_is_an_attribute_and_positive_where_it_counts(name):
    model = make(name)
    assert set(variants.recipe(type(model))) | {"image_shape", "seed"} <= set(model.get_config())
    with pytest.raises(InputError, match="width: got 0"):
        build(name, SHAPE, width=0)


@pytest.mark.parametrize("shape", [(10, 10, 1), (4, 4, 1), (260, 260, 1), (8, 8, 5)])
def test_shapes_that_are_not_allowed(name, shape):
    with pytest.raises(InputError, match="image_shape: got"):
        build(name, shape)


def test_recipe_has_what_the_command_needs(name):
    variant = variants.load(name)
    assert variant.batch_size > 0 and variant.steps + variant.epochs > 0
    assert {"width", "steps"} <= set(variant.small)
    assert "width" in variants.recipe(variant)
    assert variants.summary(name)


def test_its_outline_has_the_options_of_its_recipe(name):
    variant, outline = variants.load(name), variants.outline(name)
    assert outline.data == variant.data
    read, imported = (options.from_signature(c, skip=variants.NOT_IN_RECIPE) for c in (outline, variant))
    assert [option.to_info_dict() for option in read] == [option.to_info_dict() for option in imported]


def test_fit_compiles_by_itself_and_counts_steps(name):
    model = make(name)
    fresh = type(model).from_config(model.get_config())
    data = tf.data.Dataset.from_tensor_slices(rows(model, 3)).batch(ROWS * model.rounds_per_step)
    history = fresh.fit(data, verbose=0)
    assert int(fresh.step) == 3
    assert set(history.history) == {*model.measures, "finite"}
    assert np.isfinite(list(history.history.values())).all()


def test_floats_give_the_same_step_as_bytes(name):
    model, twin = make(name, sgd), make(name, sgd)
    pixels = black_and_white(model)
    floats = [images.astype("float32") / 127.5 - 1 if images.ndim == 4 else images for images in pixels]
    for each, data in ((model, pixels), (twin, floats)):
        each.fit(*data, batch_size=ROWS * each.rounds_per_step, shuffle=False, verbose=0)
    for v, w in zip(model.variables, twin.variables, strict=True):
        np.testing.assert_array_equal(v, w)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((12, 16, 16, 1), "uint8"), r"got shape \(16, 16, 1\), expected \(16, 16, 3\)"),
        (np.full((12, *SHAPE), 255.0, "float32"), "float32 from 255 to 255, expected uint8, or floats in"),
        (np.full((12, *SHAPE), 7, "int64"), "int64 from 7 to 7"),
        (np.full((12, *SHAPE), np.nan, "float32"), "float32 from nan to nan"),
    ],
)
def test_fit_refuses_what_are_no_images(name, images, message):
    model = refusing_model(name)
    with pytest.raises(InputError, match=message):
        model.fit(tf.data.Dataset.from_tensors(both(model, images)), verbose=0)


def test_arrays_are_looked_at_whole(name):
    images = np.zeros((300, *SHAPE), "float32")
    images[299, 0, 0, 0] = 255.0
    model = refusing_model(name)
    with pytest.raises(InputError, match="float32 from 0 to 255"):
        model.fit(*both(model, images), batch_size=4, verbose=0)


def both(model: Variant, images: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same images as every domain."""
    return with_labels(model, (images,) * (2 if model.data in variants.TWO_DOMAINS else 1))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "labels: got none, expected an integer below 3"),
        (np.arange(12) % 4, "labels: got 0 to 3, expected integers from 0 to 2"),
        (np.full(12, -1), "labels: got -1 to -1, expected integers from 0 to 2"),
        (np.zeros(12, "float32"), "labels: got float32 of the shape"),
        (np.zeros((12, 3), "int32"), "labels: got int32 of the shape"),
    ],
)
def test_labels_that_are_no_classes(name, labels, message):
    model = refusing_model(name)
    if model.data != "labelled":
        pytest.skip(f"{name} takes no labels")
    with pytest.raises(InputError, match=message):
        model.fit(np.zeros((12, *SHAPE), np.uint8), labels, batch_size=12, verbose=0)


def test_optimizers_must_fit_the_players(name):
    with pytest.raises(InputError, match="expected one for each of"):
        make(name).compile({"nobody": keras.optimizers.SGD()})


@functools.cache
def latent_model(name: str) -> Variant:
    """A trained model that makes images, the same for all tests: they only look at it."""
    model = make(name)
    if not isinstance(model, Latent):
        pytest.skip(f"{name} has no latent")
    train(model)
    return model


def test_image_i_depends_on_seed_and_i_alone(name):
    model = latent_model(name)
    many = model.generate(70, seed=3)
    assert many.shape == (70, *SHAPE) and many.dtype == np.uint8
    np.testing.assert_array_equal(model.generate(5, seed=3), many[:5])
    np.testing.assert_array_equal(model.generate(65, seed=3), many[:65])
    assert (model.generate(5, seed=4) != many[:5]).any()
    with pytest.raises(InputError, match="num: got 0"):
        model.generate(0)


def test_classes_are_asked_for_drawn_and_refused(name):
    model = latent_model(name)
    if model.data != "labelled":
        with pytest.raises(InputError, match="label: got 1, but the system knows no classes"):
            model.generate(2, label=1)
        return
    latents, labels = model.inputs(200, seed=3)
    assert set(labels.numpy().tolist()) == set(range(CLASSES))
    assert np.bincount(labels).min() > 40
    np.testing.assert_array_equal(model.inputs(5, seed=3)[1], labels[:5])
    drawn = model.generate(20, seed=3)
    for label in range(CLASSES):
        asked = model.generate(20, seed=3, label=label)
        same = labels[:20].numpy() == label
        np.testing.assert_array_equal(asked[same], drawn[same])
        np.testing.assert_array_equal(model.inputs(20, 3, label=label)[0], latents[:20])
    with pytest.raises(InputError, match="label: got 3, expected 0 to 2"):
        model.generate(1, label=3)
    grid = model.grid()  # a row for each class, the same latents in all
    gap = SHAPE[0] // 8
    assert grid.shape[:2] == (CLASSES * (SHAPE[0] + gap), 8 * (SHAPE[1] + gap))
    np.testing.assert_array_equal(grid[-16 - gap : -gap, :16], model.generate(1, seed=0, label=CLASSES - 1)[0])


def test_generation_does_not_touch_the_model(name):
    model = latent_model(name)
    before = values(model.variables)
    model.generate(3)
    model.grid()
    assert all(np.array_equal(before[path], value) for path, value in values(model.variables).items())


def test_a_walk_passes_through_its_points_and_closes(name):
    model = latent_model(name)
    label = int(model.inputs(1, seed=2)[1][0]) if model.data == "labelled" else None  # the class of the first image
    walk = model.interpolate(3, 4, seed=2)
    assert walk.shape == (12, *SHAPE)
    # A great circle comes back to its points but for rounding, a straight line exactly.
    difference = walk[::4].astype(int) - model.generate(3, seed=2, label=label)
    assert np.abs(difference).max() <= (0 if isinstance(model.prior, Uniform) else 1)


def test_truncation_shrinks_the_latents(name):
    model = latent_model(name)
    whole, part = model.latents(9, 1).numpy(), model.latents(9, 1, 0.5).numpy()
    assert (np.abs(part) < np.abs(whole)).all() and (np.sign(part) == np.sign(whole)).all()
    with pytest.raises(InputError, match="truncation: got 2"):
        model.generate(1, truncation=2.0)
