"""A line before a server that is slow, or freezes where a test wants it to. Standard library
alone."""

import socket
import threading
import time


class Line:
    """Passes connections of loopback on to a port, until it sees a word on one of them."""

    def __init__(self, port):
        self.target = port
        self.word = None
        # Seconds that 64 KiB to the server take.
        self.pause = 0.0
        self.frozen = threading.Event()
        self.thawed = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze_at(self, word):
        """Holds up the connection on which `word` is sent from now on."""
        self.frozen.clear()
        self.thawed.clear()
        self.word = word

    def thaw(self):
        """Lets everything pass again."""
        self.word = None
        self.thawed.set()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source, sink, watched):
        try:
            while data := source.recv(1 << 16):
                if watched and self.word and self.word in data:
                    self.frozen.set()
                    self.thawed.wait()
                if watched and self.pause:
                    time.sleep(self.pause * len(data) / (1 << 16))
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        """Takes no more connections."""
        self.thaw()
        self.listener.close()
