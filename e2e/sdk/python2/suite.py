"""The suite's functions (../README.md) for the Python SDK 2.2.

States come from module.yaml, values are protobuf messages, and there is no
cancellation. A message from an ingress has a caller with empty names.
"""

import datetime

from google.protobuf.wrappers_pb2 import (
    BoolValue, BytesValue, DoubleValue, FloatValue, Int32Value, Int64Value, StringValue,
)
from statefun import StatefulFunctions, kafka_egress_record, kinesis_egress_record

TYPES = {
    "a_bool": BoolValue, "an_int": Int32Value, "a_long": Int64Value, "a_float": FloatValue,
    "a_double": DoubleValue, "a_string": StringValue, "a_custom": BytesValue,
}
VALUES = {
    "set": [True, -7, -(2**40), 1.5, -2.25, "grüße", b'{"k":1}'],
    "zero": [False, 0, 0, 0.0, 0.0, "", b"0"],
}

suite = []  # (typename, function)


def function(typename):
    def bind(target):
        suite.append((typename, target))
        return target
    return bind


def bound(wrap=lambda target: target):
    """The suite's functions as the SDK wants them, each one wrapped."""
    functions = StatefulFunctions()
    for typename, target in suite:
        functions.register(typename, wrap(target))
    return functions


def emit(context, text):
    context.pack_and_send_egress("suite/out", kafka_egress_record(
        topic="out", key=context.address.identity, value=StringValue(value=text)))


def send(context, typename, id, text):
    context.pack_and_send(typename, id, StringValue(value=text))


def text_of(message):
    value = StringValue()
    if not message.Unpack(value):
        raise ValueError(f"a message of the type {message.type_url}")
    return value.value


def get(context, name, cls=Int32Value):
    """A state's value, None if it has none."""
    message = context.state(name).unpack(cls)
    return None if message is None else message.value


def add(context, name):
    total = (get(context, name) or 0) + 1
    context.state(name).pack(Int32Value(value=total))
    return total


def count(context, text):
    if text == "reset":
        del context["seen"]
        emit(context, "reset")
    else:
        emit(context, f"{add(context, 'seen')} {text}")


@function("suite/counter")
def counter(context, message):
    count(context, text_of(message))


@function("suite/fails")
def fails(context, message):
    if text_of(message) == "bad":
        raise RuntimeError("the function does not like this message")
    count(context, text_of(message))


def shown(name, value):
    if value is None:
        return "-"
    if name == "a_bool":
        return "true" if value else "false"
    if name in ("a_float", "a_double"):
        return str(int(value * 4))
    if name == "a_custom":
        return value.decode()
    return f"[{value}]" if name == "a_string" else str(value)


@function("suite/types")
def types(context, message):
    text = text_of(message)
    if text == "get":
        emit(context, " ".join(shown(name, get(context, name, cls)) for name, cls in TYPES.items()))
        return
    for i, (name, cls) in enumerate(TYPES.items()):
        if text == "clear":
            del context[name]
        else:
            context.state(name).pack(cls(value=VALUES[text][i]))
    emit(context, text)


@function("suite/expiring")
def expiring(context, message):
    text = text_of(message)
    if text == "add":
        add(context, "written")
        add(context, "called")
        emit(context, "added")
    elif text == "get":
        written, called = get(context, "written"), get(context, "called")
        emit(context, f"written={'-' if written is None else written} called={'-' if called is None else called}")


@function("suite/delay")
def delay(context, message):
    _, milliseconds, _, text = text_of(message).split(" ", 3)
    context.pack_and_send_after(
        datetime.timedelta(milliseconds=int(milliseconds)),
        "suite/counter", context.address.identity, StringValue(value=text))


@function("suite/asker")
def asker(context, message):
    verb, _, rest = text_of(message).partition(" ")
    if verb == "ask":
        send(context, "suite/answerer", rest, "question")
    else:
        emit(context, text_of(message))


@function("suite/answerer")
def answerer(context, message):
    text = text_of(message)
    if context.caller.identity:
        context.pack_and_reply(StringValue(value=f"answer to {text} by {context.address.identity}"))
    else:
        emit(context, f"nobody asked {text}")


@function("suite/fan")
def fan(context, message):
    verb, _, rest = text_of(message).partition(" ")
    if verb == "fan":
        context.state("expected").pack(Int32Value(value=int(rest)))
        for i in range(int(rest)):
            send(context, "suite/leaf", f"{context.address.identity}-{i}", "leaf")
        return
    answered = add(context, "answered")
    if answered == get(context, "expected"):
        emit(context, f"all {answered}")


@function("suite/leaf")
def leaf(context, message):
    context.pack_and_reply(StringValue(value="done"))


@function("suite/echo")
def echo(context, message):
    context.send_egress("suite/raw", message)
    value = BytesValue()
    message.Unpack(value)
    context.pack_and_send_egress("suite/out", kinesis_egress_record(
        stream="kinesis", partition_key=context.address.identity, value=value, explicit_hash_key="7"))
