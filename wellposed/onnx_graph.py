"""A portable policy as an ONNX model: one input for each key of an observation, one output `action`.

Inputs are float32; float64 where the numbers of a key are far from 0 for their spread.
"""

import importlib
import json
from typing import Any

import numpy as np

from wellposed.errors import UserError
from wellposed.portable import PortablePolicy, Seen

OPSET = 18


class _Graph:
    """Nodes and constants of a model that is being written."""

    def __init__(self, onnx: Any):
        self.onnx, self.nodes, self.constants = onnx, [], []

    def constant(self, array: Any, name: str) -> str:
        """A constant; its name."""
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """One operation; the name of its output."""
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(op, [*inputs], [name], name, **attributes))
        return name


def onnx_model(policy: PortablePolicy) -> bytes:
    """The model; its card is in the metadata, under "wellposed".

    Raises:
        UserError: if the package onnx is not installed.
    """
    try:
        onnx = importlib.import_module("onnx")
    except ImportError as error:
        raise UserError("The package onnx is not installed: pip install 'wellposed[export]'.") from error
    header, graph = policy.header, _Graph(onnx)
    actions = _in_units(policy, graph, _network(policy, graph, _features(policy, graph)))
    graph.nodes.append(onnx.helper.make_node("Identity", [actions], ["action"], "action"))
    single, double, describe = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.helper.make_tensor_value_info
    inputs = [describe(one.name, double if one.origin else single, ["n", *one.shape]) for one in header.fields]
    outputs = [describe("action", single, ["n", len(header.action_low)])]
    made = onnx.helper.make_graph(graph.nodes, "policy", inputs, outputs, graph.constants)
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(made, opset_imports=[opset], producer_name="wellposed", ir_version=9)
    onnx.helper.set_model_props(model, {"wellposed": json.dumps(header.card)})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _features(policy: PortablePolicy, graph: _Graph) -> str:
    """What the network is shown, [n, f]."""
    arrays, header = policy.arrays, policy.header
    constant, node = graph.constant, graph.node
    flat = [node("Flatten", _single(one, graph)) for one in header.fields]
    first = graph.constant(np.array([0]), "first")
    nothing = node("Mul", node("Gather", flat[0], first, axis=1), constant(np.float32(0), "zero"))
    x = node("Concat", *flat, nothing, axis=1)
    ends = [node("Gather", x, constant(arrays[name].astype(np.int64), name), axis=1) for name in ("plus", "minus")]
    apart = node("Sub", node("Sub", *ends), constant(arrays["mean"], "mean"))
    offset = node("Div", apart, constant(arrays["std"], "std"))
    parts = [node("Gather", offset, constant(np.arange(policy.shown), "shown"), axis=1)]
    if len(arrays["groups"]):
        grouped = node("Gather", offset, constant(arrays["groups"].astype(np.int64), "groups"), axis=1)  # [n, k, g]
        mean = node("ReduceMean", node("Mul", grouped, grouped), constant(np.array([2]), "last"), keepdims=0)
        size = node("Add", node("Sqrt", mean), constant(np.float32(header.nearest), "nearest"))
        parts.append(node("Log", size))
    low, high = constant(np.float32(-header.clip), "feature_low"), constant(np.float32(header.clip), "feature_high")
    return node("Clip", node("Concat", *parts, axis=1), low, high)


def _single(one: Seen, graph: _Graph) -> str:
    """What is seen under one key as the policy is shown it, in single precision."""
    found = one.name
    if one.origin:
        apart = graph.node("Sub", found, graph.constant(np.array(one.origin), f"{one.name}.origin"))
        found = graph.node("Cast", apart, to=graph.onnx.TensorProto.FLOAT)
    return graph.node("MatMul", found, graph.constant(one.turn, f"{one.name}.turn")) if one.pairs else found


def _network(policy: PortablePolicy, graph: _Graph, h: str) -> str:
    """Actions [n, action_dim] in [-1, 1] of features [n, f]."""
    for i, (weights, biases) in enumerate(policy.layers):
        h = graph.node("Relu", h) if i else h
        h = graph.node("Gemm", h, graph.constant(weights, f"weights.{i}"), graph.constant(biases, f"biases.{i}"))
    outputs = graph.constant(np.arange(len(policy.header.action_low)), "outputs")
    h = graph.node("Gather", h, outputs, axis=1)
    if policy.header.squash == "tanh":
        return graph.node("Tanh", h)
    return graph.node("Clip", h, graph.constant(np.float32(-1), "least"), graph.constant(np.float32(1), "most"))


def _in_units(policy: PortablePolicy, graph: _Graph, action: str) -> str:
    """Actions in the environment's own units."""
    low, high = (np.array(side, np.float32) for side in (policy.header.action_low, policy.header.action_high))
    half = graph.constant((high - low) / 2, "action_half")
    middle = graph.constant((high + low) / 2, "action_middle")
    scaled = graph.node("Add", graph.node("Mul", action, half), middle)
    return graph.node("Min", graph.node("Max", scaled, graph.constant(low, "low")), graph.constant(high, "high"))
