"""An exported model as MLflow serves it. MLflow copies this file beside the model and runs it there, without kgan."""

import mlflow
import tensorflow as tf
from mlflow.types.type_hints import TypeFromExample


class Served(mlflow.pyfunc.PythonModel):
    """Answers by one signature of the SavedModel, the one that `model_config` names."""

    def load_context(self, context):
        model = tf.saved_model.load(context.artifacts["saved_model"])
        self._model = model  # a signature alone does not keep the variables alive
        self._signature = model.signatures[context.model_config["signature"]]

    # Without a type hint MLflow warns at each load, with another one it converts what comes.
    def predict(self, context, model_input: TypeFromExample, params=None):
        """Arrays by name in, arrays by name out; what the signature has defaults for comes in `params`."""
        values = {**(params or {}), **model_input}
        _, specs = self._signature.structured_input_signature
        inputs = {name: tf.constant(values[name], spec.dtype) for name, spec in specs.items()}
        return {name: output.numpy() for name, output in self._signature(**inputs).items()}


mlflow.models.set_model(Served())
