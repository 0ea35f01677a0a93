"""The suite's functions (../README.md) for the Python SDKs of 3.x."""

import datetime

from statefun import (
    BoolType, DoubleType, FloatType, IntType, LongType, StringType,
    StatefulFunctions, ValueSpec, egress_message_builder, kafka_egress_message,
    kinesis_egress_message, message_builder, simple_type,
)

THING = simple_type("suite/thing", lambda text: text.encode(), lambda data: bytes(data).decode())
FOUR_SECONDS = datetime.timedelta(seconds=4)

TYPES = [
    ValueSpec("a_bool", BoolType), ValueSpec("an_int", IntType), ValueSpec("a_long", LongType),
    ValueSpec("a_float", FloatType), ValueSpec("a_double", DoubleType), ValueSpec("a_string", StringType),
    ValueSpec("a_custom", THING),
]
VALUES = {
    "set": [True, -7, -(2**40), 1.5, -2.25, "grüße", '{"k":1}'],
    "zero": [False, 0, 0, 0.0, 0.0, "", "0"],
}

suite = []  # (typename, function, states)


def function(typename, *specs):
    def bind(target):
        suite.append((typename, target, list(specs)))
        return target
    return bind


def bound(wrap=lambda target: target):
    """The suite's functions as the SDK wants them, each one wrapped."""
    functions = StatefulFunctions()
    for typename, target, specs in suite:
        functions.register(typename, wrap(target), specs)
    return functions


def emit(context, text):
    context.send_egress(kafka_egress_message(
        typename="suite/out", topic="out", key=context.address.id, value=text))


def send(context, typename, id, text):
    context.send(message_builder(target_typename=typename, target_id=id, str_value=text))


def count(context, text):
    if text == "reset":
        del context.storage.seen
        emit(context, "reset")
        return
    context.storage.seen = (context.storage.seen or 0) + 1
    emit(context, f"{context.storage.seen} {text}")


@function("suite/counter", ValueSpec("seen", IntType))
def counter(context, message):
    count(context, message.as_string())


@function("suite/fails", ValueSpec("seen", IntType))
def fails(context, message):
    if message.as_string() == "bad":
        raise RuntimeError("the function does not like this message")
    count(context, message.as_string())


def shown(name, value):
    if value is None:
        return "-"
    if name == "a_bool":
        return "true" if value else "false"
    if name in ("a_float", "a_double"):
        return str(int(value * 4))
    return f"[{value}]" if name == "a_string" else str(value)


@function("suite/types", *TYPES)
def types(context, message):
    text, storage = message.as_string(), context.storage
    if text == "get":
        emit(context, " ".join(shown(spec.name, getattr(storage, spec.name)) for spec in TYPES))
        return
    for i, spec in enumerate(TYPES):
        if text == "clear":
            delattr(storage, spec.name)
        else:
            setattr(storage, spec.name, VALUES[text][i])
    emit(context, text)


@function("suite/expiring",
          ValueSpec("written", IntType, expire_after_write=FOUR_SECONDS),
          ValueSpec("called", IntType, expire_after_call=FOUR_SECONDS))
def expiring(context, message):
    text, storage = message.as_string(), context.storage
    if text == "add":
        storage.written = (storage.written or 0) + 1
        storage.called = (storage.called or 0) + 1
        emit(context, "added")
    elif text == "get":
        written = "-" if storage.written is None else storage.written
        called = "-" if storage.called is None else storage.called
        emit(context, f"written={written} called={called}")


@function("suite/delay")
def delay(context, message):
    verb, rest = message.as_string().split(" ", 1)
    if verb == "cancel":
        context.cancel_delayed_message(rest)
        emit(context, "cancelled")
        return
    milliseconds, token, text = rest.split(" ", 2)
    context.send_after(
        datetime.timedelta(milliseconds=int(milliseconds)),
        message_builder(target_typename="suite/counter", target_id=context.address.id, str_value=text),
        "" if token == "-" else token)


@function("suite/asker")
def asker(context, message):
    verb, _, rest = message.as_string().partition(" ")
    if verb == "ask":
        send(context, "suite/answerer", rest, "question")
    else:
        emit(context, message.as_string())


@function("suite/answerer")
def answerer(context, message):
    text = message.as_string()
    if context.caller is None:
        emit(context, f"nobody asked {text}")
    else:
        send(context, context.caller.typename, context.caller.id, f"answer to {text} by {context.address.id}")


@function("suite/fan", ValueSpec("expected", IntType), ValueSpec("answered", IntType))
def fan(context, message):
    verb, _, rest = message.as_string().partition(" ")
    storage = context.storage
    if verb == "fan":
        storage.expected = int(rest)
        for i in range(int(rest)):
            send(context, "suite/leaf", f"{context.address.id}-{i}", "leaf")
        return
    storage.answered = (storage.answered or 0) + 1
    if storage.answered == storage.expected:
        emit(context, f"all {storage.answered}")


@function("suite/leaf")
def leaf(context, message):
    send(context, context.caller.typename, context.caller.id, "done")


@function("suite/echo")
def echo(context, message):
    text = message.as_type(THING)
    context.send_egress(egress_message_builder(target_typename="suite/raw", value=text, value_type=THING))
    context.send_egress(kinesis_egress_message(
        typename="suite/out", stream="kinesis", partition_key=context.address.id, value=text, explicit_hash_key="7"))
