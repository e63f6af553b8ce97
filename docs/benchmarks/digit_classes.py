"""Which digits a run makes: a classifier trained on the real MNIST counts the classes among 1,000 samples.

    python docs/benchmarks/digit_classes.py --run RUN_ID --data FOLDER_OF_MNIST

The classifier is a small convolutional network, two epochs on the training images; its accuracy on the test images is
printed first.
"""

import argparse

from kgan import options

options.load_tensorflow()

import keras
import numpy as np
from keras import layers

import pipelines
from kgan import state, tracking

SAMPLES = 1000


def classifier(data: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    stack = [layers.Input((28, 28, 1)), layers.Rescaling(1 / 255)]
    for channels in (32, 64):
        stack += [layers.Conv2D(channels, 3, activation="relu"), layers.MaxPooling2D()]
    stack += [layers.Flatten(), layers.Dropout(0.5), layers.Dense(10)]
    model = keras.Sequential(stack)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    train, test = pipelines.load(data), pipelines.load(data, split="test")
    model.fit(train.images, train.labels, batch_size=128, epochs=2, verbose=0)
    print(f"classifier: {model.evaluate(test.images, test.labels, verbose=0)[1]:.2%} of the test images right")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="append", required=True)
    parser.add_argument("--data", required=True)
    arguments = parser.parse_args()
    model = classifier(arguments.data)
    for run in arguments.run:
        samples = state.load_model(tracking.find_run(run)).generate(SAMPLES, seed=0)
        logits = model.predict(samples.astype("float32"), verbose=0)
        counts = np.bincount(logits.argmax(axis=1), minlength=10)
        print(f"run {run}: {np.count_nonzero(counts)} classes among {SAMPLES} samples, {counts.tolist()}")


if __name__ == "__main__":
    main()
