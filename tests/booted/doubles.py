"""A packet forwarder and a network server for the steps under a booted systemd; run as a program, a forwarder that reads
its own configuration file, as the real ones do."""
import json
import pathlib
import socket
import sys
import threading
import time

EUI = bytes.fromhex("0016c001f1500812")


class Server(threading.Thread):
    """A network server: acknowledges, counts uplinks."""

    def __init__(self, port=1710):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", port))
        self.seen = set()
        self.start()

    def run(self):
        while True:
            data, source = self.socket.recvfrom(65536)
            if data[3] == 0:
                self.socket.sendto(bytes([2, data[1], data[2], 1]), source)
                for packet in json.loads(data[12:]).get("rxpk", []):
                    self.seen.add(packet["tmst"])
            elif data[3] == 2:
                self.socket.sendto(bytes([2, data[1], data[2], 4]), source)


class Forwarder(threading.Thread):
    """A packet forwarder: keepalives, uplinks, reports, an answer to every frame. It may be killed and comes back on
    another port with a counter that begins anew."""

    def __init__(self, server=("127.0.0.1", 1700)):
        super().__init__(daemon=True)
        self.server = server
        self.lock = threading.Lock()
        self.frames, self.acknowledged, self.sent, self.tmsts = [], 0, 0, 0
        self.is_up = True
        self.begin()
        self.start()

    def begin(self):
        self.zero = time.monotonic()
        self.push, self.pull = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for path in (self.push, self.pull):
            path.connect(self.server)
            path.setblocking(False)
        self.txnb, self.pending = 0, set()

    def counter(self):
        return int((time.monotonic() - self.zero) * 1e6) & 0xFFFFFFFF

    def uplink(self):
        """One reception; whether it left. Each has a counter value of its own."""
        with self.lock:
            self.tmsts += 1
            token = self.tmsts & 0xFFFF
            packet = {"tmst": self.counter(), "freq": 868.1, "modu": "LORA", "datr": "SF7BW125", "codr": "4/5", "stat": 1,
                      "size": 13, "data": "QAEAACaAAQABqrvM3Q=="}
            body = json.dumps({"rxpk": [packet]}).encode()
            try:
                self.push.send(bytes([2, token >> 8, token & 255, 0]) + EUI + body)
            except OSError:
                return None
            self.pending.add(token)
            self.sent += 1
            return packet["tmst"]

    def run(self):
        keepalive, report = 0.0, time.monotonic() + 2
        while True:
            time.sleep(0.002)
            if not self.is_up:
                continue
            now = time.monotonic()
            try:
                if now >= keepalive:
                    keepalive = now + 1
                    self.pull.send(bytes([2, 1, 1, 2]) + EUI)
                    self.uplink()
                if now >= report:
                    report = now + 2
                    body = json.dumps({"stat": {"rxnb": 1, "txnb": self.txnb, "dwnb": self.txnb}}).encode()
                    self.push.send(bytes([2, 9, 9, 0]) + EUI + body)
                    self.txnb = 0
                self.receive()
            except OSError:
                keepalive = now + 0.2

    def receive(self):
        for path in (self.push, self.pull):
            while True:
                try:
                    data = path.recv(65536)
                except BlockingIOError:
                    break
                if data[3] == 1:
                    with self.lock:
                        token = data[1] << 8 | data[2]
                        if token in self.pending:
                            self.pending.discard(token)
                            self.acknowledged += 1
                elif data[3] == 3:
                    self.frames.append(json.loads(data[4:])["txpk"])
                    self.txnb += 1
                    self.pull.send(bytes([2, data[1], data[2], 5]) + EUI)

    def die(self):
        self.is_up = False
        for path in (self.push, self.pull):
            path.close()

    def live(self):
        self.begin()
        self.is_up = True


def main():
    """lora_pkt_fwd: sends where global_conf.json beside it says, and notes each frame in the file that it is given."""
    gateway = json.loads(pathlib.Path("global_conf.json").read_text())["gateway_conf"]
    assert gateway["serv_port_up"] == gateway["serv_port_down"]
    forwarder = Forwarder((gateway["server_address"], gateway["serv_port_up"]))
    seen = 0
    with open(sys.argv[1], "a") as notes:
        while True:
            time.sleep(0.02)
            for frame in forwarder.frames[seen:]:
                notes.write(json.dumps(frame) + "\n")
                notes.flush()
                seen += 1


if __name__ == "__main__":
    main()
