"""A backend on Python's http.server that says what it saw: one line of JSON on stdout per request, the port first."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOCK = threading.Lock()


def say(value):
    with LOCK:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


class Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(length)
        headers = [text for name, value in self.headers.items() for text in (name.lower(), value)]
        say({"backend": "python", "method": self.command, "target": self.path, "headers": headers,
             "body": body.decode("latin-1")})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def send_error(self, code, message=None, explain=None):
        say({"backend": "python", "method": "", "target": "", "headers": [], "body": "", "error": str(code)})
        super().send_error(code, message, explain)

    def log_message(self, format, *args):
        pass


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a gateway that closes a connection


server = Quiet(("127.0.0.1", 0), Recorder)
say({"ports": {"python": server.server_address[1]}})
server.serve_forever()
