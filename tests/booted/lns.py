"""ChirpStack's application side for the steps under a booted systemd: devices of Class A behind a broker that is there
already. They carry out what TS004 and TS005 ask of them and answer; fragments they count by what the forwarder's notes say."""
import base64
import json
import pathlib
import struct
import subprocess
import threading
import time

APPLICATION = "5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11"
GPS_FROM_UNIX_S = 315964800 - 18
# A frame of FragSessionStatusReq: header, port, two bytes and MIC. The double has no key and knows it by its length.
QUESTION_BYTES = 15
ANSWERS_AFTER_S = 5
# Payload bytes behind each command, and how it is answered (v1).
MC_GROUP_SETUP, MC_CLASS_C, FRAG_SETUP = 29, 10, 10


class Device:
    def __init__(self, number):
        self.dev_eui = f"70b3d57ed000000{number}"
        self.f_cnt, self.queue, self.nb_frag, self.seen = 0, [], None, 0
        self.session = None
        self.lock = threading.Lock()

    def commands(self, port, data):
        """The answers to what came in one downlink."""
        answers = b""
        while data:
            cid, data = data[0], data[1:]
            if cid == 0:
                answers += bytes([0, 2 if port == 200 else 3, 1])
            elif port == 200 and cid == 2:
                answers, data = answers + bytes([2, data[0] & 3]), data[MC_GROUP_SETUP:]
            elif port == 200 and cid == 4:
                start, = struct.unpack_from("<I", data, 1)
                gps = time.time() - GPS_FROM_UNIX_S
                self.session = start, start + (1 << (data[5] & 15))
                wait = int(start - gps) % (1 << 24)
                answers, data = answers + bytes([4, data[0] & 3]) + wait.to_bytes(3, "little"), data[MC_CLASS_C:]
            elif port == 201 and cid == 2:
                self.nb_frag, = struct.unpack_from("<H", data, 1)
                self.seen = 0
                answers, data = answers + bytes([2, (data[0] & 0x30) << 2]), data[FRAG_SETUP:]
            elif port == 201 and cid == 1:
                answers, data = answers + self.status(), data[1:]
            else:
                raise ValueError(f"no such command on port {port}: {cid}")
        return answers

    def status(self):
        return struct.pack("<BHBB", 1, self.seen, max(0, (self.nb_frag or 0) - self.seen), 0)

    def hears(self, frame):
        """What it has to say to a frame of its group."""
        now = time.time() - GPS_FROM_UNIX_S
        if self.session is None or not self.session[0] <= now < self.session[1]:
            return None
        if frame["size"] == QUESTION_BYTES:
            return self.status()
        self.seen += 1
        return None


class Lns:
    """Devices that send each few seconds, and their server."""

    def __init__(self, devices, interval_s, frames):
        self.devices, self.interval_s, self.frames = [Device(n) for n in range(devices)], interval_s, frames
        self.heard = 0
        topic = f"application/{APPLICATION}/device/+/command/down"
        self.commands = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-v", "-q", "1", "-t", topic], stdout=subprocess.PIPE, text=True)
        for work in (self.listen, self.live):
            threading.Thread(target=work, daemon=True).start()

    def publish(self, device, event, document):
        document["deviceInfo"] = {"devEui": device.dev_eui}
        topic = f"application/{APPLICATION}/device/{device.dev_eui}/event/{event}"
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-q", "1", "-t", topic, "-m", json.dumps(document)], check=True)

    def listen(self):
        for line in self.commands.stdout:
            topic, text = line.split(" ", 1)
            device = next(d for d in self.devices if d.dev_eui == topic.split("/")[3])
            device.queue.append(json.loads(text))

    def up(self, device, port, data):
        """An uplink and, half a second later, the window behind it."""
        with device.lock:
            device.f_cnt += 1
            self.publish(device, "up", {
                "fCnt": device.f_cnt, "fPort": port, "data": base64.b64encode(data).decode(),
                "rxInfo": [{"gatewayId": "0016c001f1500812", "rssi": -90, "snr": 7.0}],
                "txInfo": {"frequency": 902300000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7}}}})
            time.sleep(0.5)
            item = device.queue.pop(0) if device.queue else None
            if item:
                self.publish(device, "txack", {"queueItemId": item["id"], "fCntDown": 1})
                answer = device.commands(item["fPort"], base64.b64decode(item["data"]))
        if item and answer:
            self.up(device, item["fPort"], answer)

    def live(self):
        following = time.monotonic()
        while True:
            time.sleep(0.1)
            for frame in self.new_frames():
                for device in self.devices:
                    answer = device.hears(frame)
                    if answer:
                        # The note is made when the frame is handed over, which is before it is on the air.
                        threading.Timer(ANSWERS_AFTER_S, self.up, (device, 201, answer)).start()
            if time.monotonic() >= following:
                following += self.interval_s
                for device in self.devices:
                    threading.Thread(target=self.up, args=(device, 2, b"\1\2\3"), daemon=True).start()

    def new_frames(self):
        frames = self.frames()
        new, self.heard = frames[self.heard:], len(frames)
        return new

    def list_of_keys(self):
        lines = ["dev-eui,root-key"] + [f"{d.dev_eui},{n + 1:032x}" for n, d in enumerate(self.devices)]
        pathlib.Path("/root/keys.csv").write_text("\n".join(lines) + "\n")
