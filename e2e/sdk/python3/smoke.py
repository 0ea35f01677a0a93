"""The command interpreter (../README.md) for the Python SDKs of 3.x."""

import datetime

from statefun import (
    LongType, StatefulFunctions, StringType, ValueSpec, egress_message_builder, message_builder, simple_type,
)


def raw(name):
    return simple_type(f"statefun.smoke.e2e/{name}", bytes, bytes)


SOURCE, COMMANDS, RESULT = raw("source-command"), raw("commands"), raw("verification-result")
INCREMENT, SEND, SEND_AFTER, SEND_EGRESS, VERIFY = 1, 2, 3, 4, 6


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def fields(data):
    """The fields of a protobuf message of varints and length-delimited ones."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        value, at = varint(data, at)
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        yield tag >> 3, value


def encode(*values):
    out = bytearray()
    for number, value in enumerate(values, 1):
        out.append(number << 3)
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
    return bytes(out)


def interpret(context, message):
    commands = message.as_type(COMMANDS) if message.is_type(COMMANDS) else dict(fields(message.as_type(SOURCE))).get(2, b"")
    for _, command in fields(commands):
        for kind, body in fields(command):
            apply(context, kind, dict(fields(body)))


def apply(context, kind, body):
    if kind == INCREMENT:
        context.storage.state = (context.storage.state or 0) + 1
    elif kind in (SEND, SEND_AFTER):
        onward = message_builder(
            target_typename=context.address.typename, target_id=str(body.get(1, 0)),
            value=body.get(2, b""), value_type=COMMANDS)
        if kind == SEND:
            context.send(onward)
        else:
            context.send_after(datetime.timedelta(milliseconds=1), onward)
    elif kind == SEND_EGRESS:
        context.send_egress(egress_message_builder(
            target_typename="statefun.smoke.e2e/discard-sink", value="discarded-message", value_type=StringType))
    elif kind == VERIFY:
        result = encode(int(context.address.id), body.get(1, 0), context.storage.state or 0)
        context.send_egress(egress_message_builder(
            target_typename="statefun.smoke.e2e/verification-sink", value=result, value_type=RESULT))
    else:
        raise ValueError(f"command {kind}")


def bound(wrap=lambda target: target):
    functions = StatefulFunctions()
    functions.register("statefun.smoke.e2e/command-interpreter-fn", wrap(interpret), [ValueSpec("state", LongType)])
    return functions
