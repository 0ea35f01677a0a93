// Two stateful functions: a person counts visits, a greeter answers each.
//
// Run it with `npm start`; PORT chooses the port (8000).
"use strict";

const http = require("http");
const { StateFun, messageBuilder, egressMessageBuilder } = require("apache-flink-statefun");

const VISIT = StateFun.jsonType("example/Visit");
const GREETING_ORDER = StateFun.jsonType("example/GreetingOrder");
const EGRESS_RECORD = StateFun.jsonType("io.statefun.playground/EgressRecord");

const functions = new StateFun();

// Counts the visits of one person and orders a greeting for each.
functions.bind({
  typename: "example/person",
  specs: [{ name: "visits", type: StateFun.intType() }],
  fn(context, message) {
    const { name } = message.as(VISIT);
    const visits = (context.storage.visits || 0) + 1;
    context.storage.visits = visits;
    context.send(
      messageBuilder({
        typename: "example/greeter",
        id: name,
        value: { name, visits },
        valueType: GREETING_ORDER,
      }),
    );
  },
});

// Writes the greeting to the topic "greetings".
functions.bind({
  typename: "example/greeter",
  fn(context, message) {
    const { name, visits } = message.as(GREETING_ORDER);
    const payload =
      visits === 1 ? `Hello ${name}, nice to meet you!` : `Hello ${name}, this is visit number ${visits}.`;
    context.send(
      egressMessageBuilder({
        typename: "io.statefun.playground/egress",
        value: { topic: "greetings", payload },
        valueType: EGRESS_RECORD,
      }),
    );
  },
});

const port = Number(process.env.PORT || 8000);
http.createServer(functions.handler()).listen(port, "127.0.0.1", () => {
  console.log(`greeter.js serves example/person and example/greeter on port ${port}`);
});
