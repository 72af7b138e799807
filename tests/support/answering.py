"""A host that is no service: it hears whoever comes."""

from __future__ import annotations

import socket
import threading

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n"
    b'Connection: close\r\n\r\n{"key_id":"x"}'
)


class Answering:
    """Answers every connection the same way, over TLS if it has a context.

    ``heard`` has what each connection sent, or its error.
    """

    def __init__(self, context=None):
        self.context = context
        self.heard = []
        self.over = False

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.socket.close()

    def listen(self):
        while not self.over:
            try:
                connection, _ = self.socket.accept()
            except TimeoutError:
                continue
            connection.settimeout(2)
            with connection:
                try:
                    if self.context is not None:
                        connection = self.context.wrap_socket(connection, server_side=True)
                    self.heard.append(connection.recv(65536))
                    connection.sendall(_ANSWER)
                    connection.close()
                except OSError as error:
                    self.heard.append(error)
