"""Schedules and optimizers of GANs."""

import math

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable("kgan")
class ExponentialDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Divides the learning rate by `factor` each update, down to `minimum`: max(initial / factor**step, minimum)."""

    def __init__(self, initial: float, factor: float, minimum: float):
        self.initial = initial
        self.factor = factor
        self.minimum = minimum

    def __call__(self, step):
        # By the logarithm in float64: 1 / factor rounded to float32 would be off by percents after a million steps.
        exponent = -math.log(self.factor) * ops.cast(step, "float32")
        return ops.maximum(self.initial * ops.exp(exponent), self.minimum)

    def get_config(self) -> dict:
        return {"initial": self.initial, "factor": self.factor, "minimum": self.minimum}


@keras.saving.register_keras_serializable("kgan")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Keeps the learning rate at `initial` for `begin` updates, then lets it fall linearly to 0 at update `end`."""

    def __init__(self, initial: float, begin: int, end: int):
        self.initial = initial
        self.begin = begin
        self.end = end

    def __call__(self, step):
        left = (self.end - ops.cast(step, "float32")) / max(1, self.end - self.begin)
        return self.initial * ops.clip(left, 0.0, 1.0)

    def get_config(self) -> dict:
        return {"initial": self.initial, "begin": self.begin, "end": self.end}


def scheduled(name: str, rate: float, updates: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate by the name of its course.

    Args:
        name: one of `SCHEDULES`: "constant", or from `rate` down to 0 "linear", or along half a "cosine".
        rate: at the start.
        updates: of the player, in the whole training.
    """
    return SCHEDULES[name](rate, updates)


SCHEDULES = {
    "constant": lambda rate, updates: rate,
    "linear": lambda rate, updates: LinearDecay(rate, 0, updates),
    "cosine": keras.optimizers.schedules.CosineDecay,
}


@keras.saving.register_keras_serializable("kgan")
class Adam(keras.optimizers.Adam):
    """Keras' Adam (Kingma & Ba 2015, section 2 with the faster order of its last paragraph), its update as one kernel.

    Keras composes the update of a dozen operations, each of which reads and writes all weights; on a CPU that takes
    longer than some networks' gradients. What it keeps, and its arguments, are those of `keras.optimizers.Adam`.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        index, step = self._get_variable_index(variable), tf.cast(self.iterations + 1, variable.dtype)
        beta_1, beta_2, epsilon, rate = (
            tf.cast(number, variable.dtype) for number in (self.beta_1, self.beta_2, self.epsilon, learning_rate)
        )
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )


@keras.saving.register_keras_serializable("kgan")
class SGD(keras.optimizers.SGD):
    """Gradient descent whose momentum grows linearly from `momentum` to `final_momentum` over `momentum_steps`.

    v <- m(t) v - lr(t) g,  w <- w + v (Goodfellow et al. 2014 used it with m from .5 to .7).
    """

    def __init__(
        self, learning_rate=0.1, momentum: float = 0.5, final_momentum: float = 0.7, momentum_steps: int = 1, **kwargs
    ):
        super().__init__(learning_rate=learning_rate, momentum=momentum, **kwargs)
        self.final_momentum = final_momentum
        self.momentum_steps = momentum_steps

    def current_momentum(self):
        """The momentum of the step that is about to be taken, a float32 scalar."""
        share = ops.minimum(ops.cast(self.iterations, "float32") / self.momentum_steps, 1.0)
        return self.momentum + (self.final_momentum - self.momentum) * share

    def build(self, variables):
        if not self.built:
            super().build(variables)
            # Keras makes no velocities where the initial momentum is 0; a schedule may leave 0 later.
            if not self.momentums:
                self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        tf.raw_ops.ResourceApplyKerasMomentum(  # one kernel, as for Adam
            var=_handle(variable),
            accum=_handle(self.momentums[self._get_variable_index(variable)]),
            lr=tf.cast(learning_rate, variable.dtype),
            momentum=tf.cast(self.current_momentum(), variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )

    def get_config(self) -> dict:
        schedule = {"final_momentum": self.final_momentum, "momentum_steps": self.momentum_steps}
        return {**super().get_config(), **schedule}


def _handle(variable: keras.Variable | tf.Variable) -> tf.Tensor:
    """What a TensorFlow kernel changes a variable by."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
