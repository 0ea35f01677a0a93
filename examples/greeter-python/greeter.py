"""Two stateful functions: a person counts visits, a greeter answers each.

Run it with `python greeter.py`; PORT chooses the port (8000).
"""
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from statefun import (
    IntType,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    egress_message_builder,
    make_json_type,
    message_builder,
)

VISIT = make_json_type("example/Visit")
GREETING_ORDER = make_json_type("example/GreetingOrder")
EGRESS_RECORD = make_json_type("io.statefun.playground/EgressRecord")
EGRESS = "io.statefun.playground/egress"

functions = StatefulFunctions()


@functions.bind("example/person", specs=[ValueSpec("visits", IntType)])
def person(context, message):
    """Counts the visits of one person and orders a greeting for each."""
    name = message.as_type(VISIT)["name"]
    visits = (context.storage.visits or 0) + 1
    context.storage.visits = visits
    context.send(
        message_builder(
            target_typename="example/greeter",
            target_id=name,
            value={"name": name, "visits": visits},
            value_type=GREETING_ORDER,
        )
    )


@functions.bind("example/greeter")
def greeter(context, message):
    """Writes the greeting to the topic "greetings"."""
    order = message.as_type(GREETING_ORDER)
    text = words_for(order["name"], order["visits"])
    context.send_egress(
        egress_message_builder(EGRESS, {"topic": "greetings", "payload": text}, EGRESS_RECORD)
    )


def words_for(name, visits):
    if visits == 1:
        return f"Hello {name}, nice to meet you!"
    return f"Hello {name}, this is visit number {visits}."


handler = RequestReplyHandler(functions)


class FunctionServer(BaseHTTPRequestHandler):
    """Hands each POST to the SDK: one batch of messages in, its effects out."""

    protocol_version = "HTTP/1.1"  # keeps connections open between calls
    # Header and body leave in two writes; without this the second one waits
    # for the acknowledgement of the first.
    disable_nagle_algorithm = True

    def handle(self):
        try:
            super().handle()
        except ConnectionError:  # the caller has gone, and will call again
            pass

    def do_POST(self):
        request = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, body = 200, handler.handle_sync(request)
        except Exception as error:  # the caller retries, then keeps a dead letter
            status, body = 500, repr(error).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    print(f"greeter.py serves example/person and example/greeter on port {port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), FunctionServer).serve_forever()
