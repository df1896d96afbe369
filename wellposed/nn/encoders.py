"""The encoders by name. A new one is one file and one line here, or an entry point of the group below elsewhere."""

from jax import Array

from wellposed.nn.cnn import ConvEncoder
from wellposed.nn.inputs import Encoder, InputConfig, StateEncoder
from wellposed.nn.rnn import GRUEncoder
from wellposed.registry import Registry
from wellposed.types import Field, Spec

ENCODERS: Registry[type[Encoder]] = Registry("encoder", "wellposed.encoders")
ENCODERS.register("state", StateEncoder)
ENCODERS.register("cnn", ConvEncoder)
ENCODERS.register("gru", GRUEncoder)


def make_encoder(config: InputConfig, fields: tuple[Field, ...], spec: Spec, key: Array) -> Encoder:
    """A fresh encoder of these fields.

    Raises:
        UserError: if there is no encoder of the configured name, or it cannot read one of the fields.
    """
    make: type = ENCODERS.find(config.encoder)
    return make(config, fields, spec, key)
