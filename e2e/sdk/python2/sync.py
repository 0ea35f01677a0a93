"""Serves the functions of a module here by http.server, the standard library's."""

import importlib
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from statefun import RequestReplyHandler

functions = importlib.import_module(sys.argv[1])
handler = RequestReplyHandler(functions.bound())


class Functions(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    disable_nagle_algorithm = True

    def do_POST(self):
        request = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, answer = 200, handler(request)
        except Exception as error:
            status, answer = 500, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server(("127.0.0.1", int(os.environ["PORT"])), Functions).serve_forever()
