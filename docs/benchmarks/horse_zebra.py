"""Does a classifier of real horses and zebras call a run's translated horses zebras?

    python docs/benchmarks/horse_zebra.py --run RUN_ID --data FOLDER_OF_HORSE2ZEBRA

The classifier is a small convolutional network, trained on the training photos of both; how many of the untouched test
photos it gets right is printed first. The test photos of each kind are then translated.
"""

import argparse

from kgan import options

options.load_tensorflow()

import keras
import numpy as np
from keras import layers

import pipelines
from kgan import state, tracking
from pipelines.pairs import Pairs

SIZE = 128
EPOCHS = 40


def classifier(train: Pairs) -> keras.Model:
    keras.utils.set_random_seed(0)
    stack = [layers.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 127.5, -1.0)]
    stack += [layers.RandomFlip("horizontal"), layers.RandomTranslation(0.1, 0.1), layers.RandomZoom(0.2)]
    for channels in (24, 48, 96, 128):
        stack += [layers.Conv2D(channels, 3, padding="same", use_bias=False), layers.BatchNormalization()]
        stack += [layers.ReLU(), layers.MaxPooling2D()]
    stack += [layers.GlobalAveragePooling2D(), layers.Dropout(0.3), layers.Dense(1)]
    model = keras.Sequential(stack)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * 38)), loss)
    images = np.concatenate([train.a.images, train.b.images])
    labels = np.repeat([0.0, 1.0], [train.a.size, train.b.size])
    model.fit(images, labels, batch_size=32, epochs=EPOCHS, verbose=0)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--data", required=True)
    arguments = parser.parse_args()
    train, test = (
        pipelines.load_pairs("unpaired", arguments.data, image_size=SIZE, split=s) for s in ("train", "test")
    )
    judge = classifier(train)

    def zebras(images: np.ndarray) -> str:
        return f"{np.mean(judge.predict(images, verbose=0) > 0):.1%} of {len(images)} called zebras"

    model = state.load_model(tracking.find_run(arguments.run))
    for kind, images, direction in (("horses", test.a.images, "a_to_b"), ("zebras", test.b.images, "b_to_a")):
        translated = np.concatenate([model.translate(image[None], direction) for image in images])
        print(f"test {kind}, untouched:  {zebras(images)}")
        print(f"test {kind}, translated: {zebras(translated)}")


if __name__ == "__main__":
    main()
