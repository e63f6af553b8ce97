import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.variants.cyclegan import CycleGAN

SHAPE = (16, 16, 3)


def make(**arguments) -> CycleGAN:
    keras.utils.set_random_seed(1)
    model = CycleGAN(SHAPE, **{"width": 4, "blocks": 1, "patch": 16, "pool": 4, **arguments})
    model.compile({p.name: keras.optimizers.SGD(0.01) for p in model.players}, jit_compile=False)
    return model


def images(rows: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 256, (2, rows, *SHAPE), dtype=np.uint8)
    return a, b


def l1(x, y) -> float:
    return float(np.abs(np.asarray(x, "float64") - np.asarray(y, "float64")).mean())


@pytest.mark.parametrize("share", [0.5, 0.0])
def test_the_losses_are_those_of_the_paper(share):
    """Equations 1 to 3 and the identity loss of section 5.2, from the networks as they were before the step."""
    model = make(lambda_identity=share)
    raw = images()
    a, b = (x.astype("float32") / 127.5 - 1 for x in raw)
    fake_b, fake_a = model.a_to_b(a), model.b_to_a(b)
    expected = {
        "a_to_b_loss": np.mean((model.discriminator_b(fake_b).numpy().astype("float64") - 1) ** 2),
        "b_to_a_loss": np.mean((model.discriminator_a(fake_a).numpy().astype("float64") - 1) ** 2),
        "cycle_a_loss": l1(model.b_to_a(fake_b), a),
        "cycle_b_loss": l1(model.a_to_b(fake_a), b),
        "identity_a_loss": l1(model.b_to_a(a), a) if share else 0.0,
        "identity_b_loss": l1(model.a_to_b(b), b) if share else 0.0,
    }
    for name, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
        judge = getattr(model, f"discriminator_{name}")
        real, fake = (judge(x).numpy().astype("float64") for x in (real, fake))
        expected[f"discriminator_{name}_loss"] = 0.5 * (np.mean((real - 1) ** 2) + np.mean(fake**2))
    logs = {name: float(value) for name, value in model.train_step(tuple(map(tf.constant, raw))).items()}
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=2e-5, abs=1e-7), name


def test_the_generators_move_down_the_gradient_of_equation_3():
    model = make()
    a, b = (tf.constant(x.astype("float32") / 127.5 - 1) for x in images())
    with tf.GradientTape() as tape:
        fake_b, fake_a = model.a_to_b(a), model.b_to_a(b)
        judged = [model.discriminator_b(fake_b), model.discriminator_a(fake_a)]
        cycle = [model.b_to_a(fake_b) - a, model.a_to_b(fake_a) - b]
        same = [model.b_to_a(a) - a, model.a_to_b(b) - b]
        loss = sum(tf.reduce_mean((x - 1) ** 2) for x in judged)
        loss += sum(weight * tf.reduce_mean(abs(x)) for weight, xs in ((10, cycle), (5, same)) for x in xs)
    variables = model.a_to_b.trainable_variables + model.b_to_a.trainable_variables
    gradients = tape.gradient(loss, variables)
    expected = [v - 0.01 * g for v, g in zip(variables, gradients, strict=True)]
    model.train_step(images())
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-6, err_msg=variable.path)


def test_discriminators_learn_from_the_pool():
    model = make(pool=2)
    for seed in range(12):
        model.train_step(images(rows=1, seed=seed))
    assert int(model.pool_a.stored.numpy()) == 2
    kept = model.pool_b.images.numpy()
    fresh = model.a_to_b(images(rows=1, seed=11)[0] / 127.5 - 1).numpy()
    assert np.abs(kept - fresh).max((1, 2, 3)).min() > 1e-3  # images of earlier steps


def test_the_learning_rate_falls_in_the_second_half():
    model = CycleGAN(SHAPE, width=4, blocks=1, patch=16, total_steps=100)
    for optimizer in model.default_optimizers().values():
        rates = []
        for step in (0, 50, 75, 99, 100):
            optimizer.iterations.assign(step)
            rates.append(float(optimizer.learning_rate))
        np.testing.assert_allclose(rates, [2e-4, 2e-4, 1e-4, 4e-6, 0.0], rtol=1e-5)


def test_six_blocks_up_to_128_pixels_and_nine_above():
    for size, blocks in ((128, 6), (132, 9)):
        model = CycleGAN((size, size, 3), width=2)
        assert sum("_add" in layer.name for layer in model.a_to_b.layers) == blocks


def test_panels_are_input_translated_reconstructed_identity():
    model = make()
    a, b = (x.astype("float32") / 127.5 - 1 for x in images())
    panels = model.panels(a, b)
    for name, start, there, back in (
        ("a_to_b", a, model.a_to_b, model.b_to_a),
        ("b_to_a", b, model.b_to_a, model.a_to_b),
    ):
        for column, expected in zip(panels[name], (start, there(start), back(there(start)), back(start)), strict=True):
            np.testing.assert_allclose(column, expected, atol=1e-6)
    grids = model.grids(images())
    assert set(grids) == {"a_to_b", "b_to_a"} == set(model.grid_names)
    np.testing.assert_array_equal(grids["b_to_a"][:16, :16], images()[1][0])


def test_one_set_of_images_is_refused():
    with pytest.raises(InputError, match="images: got one set, expected two"):
        make().fit(images()[0], verbose=0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"patch": 71},
        {"gan_loss": "hinge"},
        {"upsample": "bicubic"},
        {"lambda_identity": -1.0},
        {"pool": -1},
        {"blocks": 0},
    ],
)
def test_what_cannot_be_is_named(arguments):
    (name,) = arguments
    with pytest.raises(InputError, match=rf"{name}: got {arguments[name]!r}"):
        make(**arguments)


def test_a_patch_needs_room():
    with pytest.raises(InputError, match=r"patch: got 70 for images of 16x16, expected 16 or smaller"):
        CycleGAN(SHAPE, width=4)
