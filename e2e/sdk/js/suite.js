// The suite's functions (../README.md) for the JavaScript SDK. It has no
// long and no double: those states are never there.

const http = require("http");
const {
  StateFun, egressMessageBuilder, kafkaEgressMessage, kinesisEgressMessage, messageBuilder,
} = require("apache-flink-statefun");

const INT = StateFun.intType();
const THING = StateFun.customType("suite/thing", (text) => Buffer.from(text), (data) => data.toString());

const TYPES = [
  { name: "a_bool", type: StateFun.booleanType() }, { name: "an_int", type: INT },
  { name: "a_float", type: StateFun.floatType() }, { name: "a_string", type: StateFun.stringType() },
  { name: "a_custom", type: THING },
];
const VALUES = {
  set: [true, -7, 1.5, "grüße", '{"k":1}'],
  zero: [false, 0, 0, "", "0"],
};

const functions = new StateFun();

function emit(context, text) {
  context.send(kafkaEgressMessage({ typename: "suite/out", topic: "out", key: context.self.id, value: text }));
}

function send(context, typename, id, text) {
  context.send(messageBuilder({ typename, id, value: text }));
}

function count(context, text) {
  if (text === "reset") {
    context.storage.seen = null;
    emit(context, "reset");
    return;
  }
  context.storage.seen = (context.storage.seen || 0) + 1;
  emit(context, `${context.storage.seen} ${text}`);
}

functions.bind({
  typename: "suite/counter",
  specs: [{ name: "seen", type: INT }],
  fn: (context, message) => count(context, message.asString()),
});

functions.bind({
  typename: "suite/fails",
  specs: [{ name: "seen", type: INT }],
  fn(context, message) {
    if (message.asString() === "bad") {
      throw new Error("the function does not like this message");
    }
    count(context, message.asString());
  },
});

function shown(storage, name) {
  if (name === "a_long" || name === "a_double") {
    return "-";
  }
  const value = storage[name];
  if (value === null) {
    return "-";
  }
  return name === "a_float" ? value * 4 : name === "a_string" ? `[${value}]` : value;
}

functions.bind({
  typename: "suite/types",
  specs: TYPES,
  fn(context, message) {
    const text = message.asString();
    if (text === "get") {
      const names = ["a_bool", "an_int", "a_long", "a_float", "a_double", "a_string", "a_custom"];
      emit(context, names.map((name) => shown(context.storage, name)).join(" "));
      return;
    }
    TYPES.forEach(({ name }, i) => {
      context.storage[name] = text === "clear" ? null : VALUES[text][i];
    });
    emit(context, text);
  },
});

functions.bind({
  typename: "suite/expiring",
  specs: [
    { name: "written", type: INT, expireAfterWrite: 4000 },
    { name: "called", type: INT, expireAfterCall: 4000 },
  ],
  fn(context, message) {
    const storage = context.storage;
    switch (message.asString()) {
      case "add":
        storage.written = (storage.written || 0) + 1;
        storage.called = (storage.called || 0) + 1;
        emit(context, "added");
        break;
      case "get":
        emit(context, `written=${storage.written ?? "-"} called=${storage.called ?? "-"}`);
        break;
    }
  },
});

functions.bind({
  typename: "suite/delay",
  fn(context, message) {
    const [verb, first, token, ...text] = message.asString().split(" ");
    if (verb === "cancel") {
      context.cancelDelayedMessage(first);
      emit(context, "cancelled");
      return;
    }
    const later = messageBuilder({ typename: "suite/counter", id: context.self.id, value: text.join(" ") });
    context.sendAfter(Number(first), later, token === "-" ? undefined : token);
  },
});

functions.bind({
  typename: "suite/asker",
  fn(context, message) {
    const [verb, id] = message.asString().split(" ");
    if (verb === "ask") {
      send(context, "suite/answerer", id, "question");
    } else {
      emit(context, message.asString());
    }
  },
});

functions.bind({
  typename: "suite/answerer",
  async fn(context, message) {
    const text = message.asString();
    if (context.caller === null) {
      emit(context, `nobody asked ${text}`);
    } else {
      send(context, context.caller.typename, context.caller.id, `answer to ${text} by ${context.self.id}`);
    }
  },
});

functions.bind({
  typename: "suite/fan",
  specs: [{ name: "expected", type: INT }, { name: "answered", type: INT }],
  fn(context, message) {
    const [verb, n] = message.asString().split(" ");
    const storage = context.storage;
    if (verb === "fan") {
      storage.expected = Number(n);
      for (let i = 0; i < Number(n); i++) {
        send(context, "suite/leaf", `${context.self.id}-${i}`, "leaf");
      }
      return;
    }
    storage.answered = (storage.answered || 0) + 1;
    if (storage.answered === storage.expected) {
      emit(context, `all ${storage.answered}`);
    }
  },
});

functions.bind({
  typename: "suite/leaf",
  fn: (context) => send(context, context.caller.typename, context.caller.id, "done"),
});

functions.bind({
  typename: "suite/echo",
  fn(context, message) {
    const text = message.as(THING);
    context.send(egressMessageBuilder({ typename: "suite/raw", value: text, valueType: THING }));
    context.send(kinesisEgressMessage({
      typename: "suite/out", stream: "kinesis", partitionKey: context.self.id, hashKey: "7", value: text,
    }));
  },
});

http.createServer(functions.handler()).listen(Number(process.env.PORT), "127.0.0.1");
