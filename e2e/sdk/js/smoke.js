// The command interpreter (../README.md) for the JavaScript SDK, whose
// counter is an int, since there is no long.

const http = require("http");
const { StateFun, egressMessageBuilder, messageBuilder } = require("apache-flink-statefun");

const raw = (name) => StateFun.customType(`statefun.smoke.e2e/${name}`, Buffer.from, (data) => data);
const [SOURCE, COMMANDS, RESULT] = [raw("source-command"), raw("commands"), raw("verification-result")];
const [INCREMENT, SEND, SEND_AFTER, SEND_EGRESS, VERIFY] = [1, 2, 3, 4, 6];

function varint(data, at) {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = data[at++];
    value += (byte & 127) * scale;
    if (byte < 128) {
      return [value, at];
    }
  }
}

// The fields of a protobuf message of varints and length-delimited ones.
function fields(data) {
  const found = [];
  for (let at = 0; at < data.length;) {
    let tag, value;
    [tag, at] = varint(data, at);
    [value, at] = varint(data, at);
    if ((tag & 7) === 2) {
      [value, at] = [data.subarray(at, at + value), at + value];
    }
    found.push([tag >> 3, value]);
  }
  return found;
}

function encode(...values) {
  const out = [];
  values.forEach((value, i) => {
    out.push((i + 1) << 3);
    for (; value > 127; value = Math.floor(value / 128)) {
      out.push((value & 127) | 128);
    }
    out.push(value);
  });
  return Buffer.from(out);
}

function apply(context, kind, body) {
  const first = body.get(1) ?? 0;
  switch (kind) {
    case INCREMENT:
      context.storage.state = (context.storage.state ?? 0) + 1;
      return;
    case SEND:
    case SEND_AFTER: {
      const onward = messageBuilder({
        typename: context.self.typename, id: String(first), value: body.get(2) ?? Buffer.alloc(0), valueType: COMMANDS,
      });
      if (kind === SEND) {
        context.send(onward);
      } else {
        context.sendAfter(1, onward);
      }
      return;
    }
    case SEND_EGRESS:
      context.send(egressMessageBuilder({
        typename: "statefun.smoke.e2e/discard-sink", value: "discarded-message", valueType: StateFun.stringType(),
      }));
      return;
    case VERIFY:
      context.send(egressMessageBuilder({
        typename: "statefun.smoke.e2e/verification-sink", valueType: RESULT,
        value: encode(Number(context.self.id), first, context.storage.state ?? 0),
      }));
      return;
    default:
      throw new Error(`command ${kind}`);
  }
}

const functions = new StateFun();
functions.bind({
  typename: "statefun.smoke.e2e/command-interpreter-fn",
  specs: [{ name: "state", type: StateFun.intType() }],
  fn(context, message) {
    const commands = message.is(SOURCE) ? new Map(fields(message.as(SOURCE))).get(2) : message.as(COMMANDS);
    for (const [, command] of fields(commands ?? [])) {
      for (const [kind, body] of fields(command)) {
        apply(context, kind, new Map(fields(body)));
      }
    }
  },
});

http.createServer(functions.handler()).listen(Number(process.env.PORT), "127.0.0.1");
