"""A counter with the SDK of StateFun 2.2, for state, expiry and delays that the
module and protocol 2.x give it. Served by http.server, one call at a time."""

import os
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from statefun import RequestReplyHandler, StatefulFunctions, kafka_egress_record

functions = StatefulFunctions()


@functions.bind("old/forward")
def forward(context, message: StringValue):
    """Passes "<id> <word>" on to the counter called id."""
    target, word = message.value.split(" ", 1)
    context.pack_and_send("old/count", target, StringValue(value=word))


@functions.bind("old/count")
def count(context, message: StringValue):
    word = message.value
    if word == "later":
        context.pack_and_send_after(timedelta(milliseconds=300), "old/count", context.address.identity, StringValue(value="delayed"))
        return
    if word == "forget":
        del context["seen"]
        return
    if word == "lease":
        context.state("lease").pack(StringValue(value="held"))
        return
    if word == "leased?":
        held = context["lease"] is not None
        emit(context, StringValue(value="held" if held else "gone"))
        return
    if word == "undeclared":
        context["other"] = context["seen"]
        return
    seen = context.state("seen").unpack(Int32Value) or Int32Value(value=0)
    seen.value += 1
    context.state("seen").pack(seen)
    emit(context, StringValue(value=f"{word} {seen.value}"))


def emit(context, value):
    context.pack_and_send_egress("old/out", kafka_egress_record(topic="words", key=context.address.identity, value=value))


handler = RequestReplyHandler(functions)
one_at_a_time = threading.Lock()


class Functions(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    disable_nagle_algorithm = True

    def do_POST(self):
        request = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            with one_at_a_time:  # the handler has one context for all calls
                status, answer = 200, handler(request)
        except Exception as error:
            status, answer = 500, repr(error).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Functions).serve_forever()
