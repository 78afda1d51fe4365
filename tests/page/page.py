#!/usr/bin/env python3
"""The page in a browser without a screen, on a running and on a finished campaign: what it shows is what the terminal and the
metrics say, it fits a phone, it loads nothing from elsewhere, and names with markup are text. Then promtool judges the
metrics, the alert rules and what the dashboard asks for. Exit 0: all held.

Usage: page.py PROGRAM [FOLDER for screenshots]      (needs chromium, chromedriver, promtool, mosquitto)
"""
import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/booted"))
from common import check, end, run, until  # noqa: E402
from doubles import Forwarder, Server  # noqa: E402

PAGE = "http://127.0.0.1:18970/"
DRIVER = "http://127.0.0.1:19515"
MARKUP = "<img src=x onerror=alert(1)><b>bold"
CONFIG = """
[gateway]
region = "US915"
[[network-server]]
address = "127.0.0.1:18710"
[forwarder]
listen = "127.0.0.1:18700"
[state]
dir = "{dir}/state"
[tasks]
folder = "{dir}/tasks"
[status]
socket = "{dir}/status.sock"
[clock]
trust = "always"
[web]
listen = "127.0.0.1:18970"
[[lns]]
name = "cs"
kind = "chirpstack"
broker = "mqtt://127.0.0.1:18883"
applications = ["5aa8e2f5-2a3d-4d6e-9c0b-3f1f6a0d9b11"]
"""
# Devices that a network server would set up; none of them speaks here.
DEVICES = 7
# A gateway whose law limits its airtime, and a group that listens in a session that is to come.
LIMITED = (CONFIG[:CONFIG.index("[web]")].replace("US915", "EU868").replace("18710", "18711").replace("18700", "18701")
           + '[web]\nlisten = "127.0.0.1:18971"\n')


class Browser:
    """The WebDriver protocol, as far as it is needed here."""

    def __init__(self, width, height):
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},{height}"],
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1.0}},
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.path = ""
        self.path = "/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def ask(self, method, path, body=None):
        prefix = f"/session{self.path}" if self.path else ""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(DRIVER + prefix + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def js(self, code):
        return self.ask("POST", "/execute/sync", {"script": f"return {code}", "args": []})

    def text(self):
        return self.js("document.body.innerText")

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def complaints(self):
        lines = self.ask("POST", "/se/log", {"type": "browser"})
        return [line["message"] for line in lines if "favicon" not in line["message"]]

    def close(self):
        self.ask("DELETE", "")


class Site:
    def __init__(self, program, folder, config=CONFIG):
        self.program, self.folder = program, folder
        self.config = folder / "fuotad.toml"
        self.config.write_text(config.format(dir=folder))
        (folder / "tasks").mkdir()
        code, text = run(program, "group", "new", "meters", "--key-file", str(folder / "meters.mckey"), "-c", str(self.config))
        lines = text[text.index("[[group]]"):text.index("warning:")]
        if config == CONFIG:
            devices = folder / "meters.devices.toml"
            listed = "".join(f'[[device]]\nname = "m{i}"\ndev-eui = "70b3d57ed000000{i}"\nmc-key-encrypted = "{i:032x}"\n' for i in range(1, DEVICES + 1))
            devices.write_text(f'group = "meters"\n{listed}')
            devices.chmod(0o600)
            lines = lines.replace('"windows"', '"always"') + f'\nlns = "cs"\ndevices-file = "{devices}"\n'
        self.config.write_text(self.config.read_text() + lines)
        self.process = subprocess.Popen([program, "run", "-c", str(self.config)], stderr=open(folder / "log", "w"))

    def order(self, size, *words):
        image = self.folder / "app.bin"
        image.write_bytes(os.urandom(size))
        return run(self.program, "order", str(image), "--group", "meters", "--name", "app-1.4.2", "--yes", "-c", str(self.config), *words)

    def status(self):
        try:
            return json.loads(run(self.program, "status", "--json", "-c", str(self.config))[1])
        except ValueError:
            return {}

    def done(self):
        campaigns = [task.get("campaign") for task in self.status().get("tasks", [])]
        return max((campaign["frames_done"] for campaign in campaigns if campaign), default=0)

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1])


def metrics():
    with urllib.request.urlopen(PAGE + "metrics", timeout=10) as answer:
        return answer.read().decode()


def idle(site):
    check(until(20, site.status), "the service answers")
    # A program that is not optimised maps many more pages.
    limit_kb = 32 * 1024 if "debug" in site.program else 16 * 1024
    check(site.rss_kb() < limit_kb, f"idle with page and metrics: {site.rss_kb()} kB")
    check(until(10, lambda: "fuotad_ready 1.0" in metrics()), "the metrics say that it is ready")


def running(site, screenshots):
    code, text = site.order(1500)
    check(code == 0, f"ordered: {text.splitlines()[-1:]}")
    (site.folder / "tasks" / f"{MARKUP.replace('/', '')}.json").write_text("{}")
    browser = Browser(1000, 1400)
    browser.open(PAGE)
    check(until(20, lambda: "app-1.4.2" in browser.text() and " of " in browser.text()), "the page shows the campaign")
    until(60, lambda: site.done() > 12)
    before, shown, after = site.done(), re.search(r"(\d+) of (\d+) \(", browser.text()), site.done()
    planned = re.search(r'fuotad_task_frames\{[^}]*state="planned"\} (\d+)', metrics())
    check(shown and before - 1 <= int(shown[1]) <= after, f"page and terminal show the same frames: {before} <= {shown and shown[1]} <= {after}")
    check(shown and planned and shown[2] == planned[1], f"page and metrics show the same plan: {shown and shown[2]}, {planned and planned[1]}")
    check(browser.js("document.querySelectorAll('path.course').length") == 1, "the course is drawn")
    check(browser.js("document.querySelectorAll('#campaigns path.foreseen').length") == 1, "with the devices that are foreseen to complete")
    fleet = site.status()["fleets"][0]
    measured = sum(int(float(n)) for n in re.findall(r'fuotad_devices\{[^}]*\} (\d+)', metrics()))
    check(fleet["devices"] == DEVICES == measured, f"terminal and metrics know the same devices: {fleet['devices']}, {measured}")
    check(f"{DEVICES} devices" in browser.text() and browser.js("document.querySelectorAll('#devices path.state-2').length") == 1, "the page shows them by state over time")
    hearing, told = site.status()["hearing"], run(site.program, "status", "-c", str(site.config))[1]
    shown = re.search(r"([\d.]+) % of usual uplinks in the last hour, ([\d.]+) % promised", browser.text())
    promised = re.search(r'fuotad_hearing_ratio\{of="promised"\} ([\d.]+)', metrics())
    check(shown and float(shown[2]) == hearing["promised_percent"] == 100 * float(promised[1]) and f"{shown[2]} % promised" in told,
          f"page, terminal and metrics show the same promise of hearing: {shown and shown[0]}")
    check(shown and abs(float(shown[1]) - hearing["kept_percent"]) < 1, f"and what is kept of it: {hearing['kept_percent']} %")
    check(until(10, lambda: MARKUP in browser.text()), "a name with markup is shown as it is")
    check(browser.js("document.querySelectorAll('img, main b').length") == 0, "and is no markup")
    urls = browser.js("performance.getEntriesByType('resource').map((entry) => entry.name)")
    check(urls and all(url.startswith(PAGE) for url in urls), f"everything is loaded from here: {len(urls)} resources")
    check(not browser.complaints(), f"the browser complains of nothing: {browser.complaints()}")
    begin, cpu = time.monotonic(), site.cpu_s()
    time.sleep(10)
    share = (site.cpu_s() - cpu) / (time.monotonic() - begin) * 100
    print(f"while one page is open and a campaign is sent: {share:.1f} % of a core, {site.rss_kb()} kB", flush=True)
    browser.screenshot(screenshots / "page-running.png")
    browser.close()
    phone = Browser(390, 1400)
    phone.open(PAGE)
    until(20, lambda: "app-1.4.2" in phone.text())
    check(phone.js("document.documentElement.scrollWidth <= window.innerWidth"), "it fits a phone of 390 pixels")
    phone.screenshot(screenshots / "page-phone.png")
    phone.close()


def finished(site, screenshots):
    check(until(240, lambda: site.status().get("finished")), "the campaign ends")
    outcome = dict(site.status()["finished"])["app-1.4.2"]
    browser = Browser(1000, 1000)
    browser.open(PAGE)
    check(until(20, lambda: outcome in browser.text()), f"the page says how: {outcome}")
    check(browser.js("document.querySelectorAll('#history path.course').length") == 1, "with its course")
    check("no task" in browser.text(), "and that there is no task")
    results(site, browser)
    begin, cpu = time.monotonic(), site.cpu_s()
    time.sleep(10)
    share = (site.cpu_s() - cpu) / (time.monotonic() - begin) * 100
    check(share <= 1.5, f"one page open on an idle service: {share:.1f} % of a core")
    browser.screenshot(screenshots / "page-finished.png")
    site.process.terminate()
    check(until(20, lambda: "does not answer" in browser.text()), "a service that ended is told as such")
    browser.close()


def results(site, browser):
    """What devices hold, of which none was told here."""
    counts = site.status()["answers"][0]["counts"]
    words = f"0 done, {DEVICES} not told"
    told = run(site.program, "status", "-c", str(site.config))[1]
    measured = re.search(r'fuotad_device_results\{group="meters",result="not_told"\} (\d+)', metrics())
    check(counts["not-told"] == DEVICES == int(measured[1]) and f"app-1.4.2: {words}" in told and f"answers: {words}" in browser.text(),
          f"page, terminal and metrics show what devices hold: {words}")
    check(f"{DEVICES} devices do not hold the image" in browser.text() and "70b3d57ed0000001" not in browser.text(), "those that do not hold the image are in a list that is closed")
    browser.js("document.querySelector('#history summary').focus()")
    browser.js("document.querySelector('#history summary').click()")
    shown = lambda: browser.js("document.querySelectorAll('#history details[open] li').length") == DEVICES
    check(until(10, shown) and "70b3d57ed0000001 not-told" in browser.text(), "opened, it names each with its result")
    browser.js("document.querySelector('#history summary').seen = true")
    check(until(10, lambda: not browser.js("document.querySelector('#history summary').seen")), "the page is drawn anew")
    check(shown() and browser.js("document.activeElement === document.querySelector('#history summary')"), "it stays open then, and keeps the keyboard")


def limited(program, folder, screenshots):
    """Airtime against a law, and sessions that are to come."""
    folder.mkdir()
    Server(18711)
    site = Site(program, folder, LIMITED)
    Forwarder(("127.0.0.1", 18701))
    try:
        check(until(20, site.status), "a second service answers")
        start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200))
        code, text = site.order(9000, "--start", start)
        check(code == 0, f"ordered: {text.splitlines()[-1:]}")
        browser = Browser(1000, 1400)
        browser.open("http://127.0.0.1:18971/")
        check(until(20, lambda: "timetable" in browser.text() and start in browser.text()), "the page has the timetable")
        check(until(20, lambda: browser.js("document.querySelectorAll('#campaigns rect.session').length") >= 1), "the sessions are drawn")
        check("Why nothing is sent" in browser.text() and "waits for" in browser.text(), "and why nothing is sent")
        bands = site.status()["bands"]
        shown = re.findall(r"reserve for servers ([\d.]+) s", browser.text())
        check(bands and shown == [f"{band['reserve_us'] / 1e6:.1f}" for band in bands], f"the reserve of each sub-band is shown as the terminal has it: {shown}")
        check(not browser.complaints(), f"the browser complains of nothing: {browser.complaints()}")
        browser.screenshot(screenshots / "page-timetable.png")
        browser.close()
    finally:
        site.process.kill()


def prometheus(text):
    promtool = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    check(promtool.returncode == 0, f"promtool: metrics {promtool.stdout}{promtool.stderr}")
    folder = ROOT / "packaging/monitoring"
    code, said = run("promtool", "check", "rules", str(folder / "fuotad.rules.yml"))
    check(code == 0, f"promtool: {said.strip().splitlines()[-1:]}")
    code, said = run("sh", "-c", f"cd {folder} && promtool test rules fuotad.rules.test.yml")
    check(code == 0, f"promtool: each alert fires when it must: {said.strip().splitlines()[-1:]}")


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fuotad-page-"))
    screenshots = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else folder)
    screenshots.mkdir(parents=True, exist_ok=True)
    driver = subprocess.Popen(["chromedriver", "--port=19515", "--silent"], stdout=subprocess.DEVNULL)
    broker = subprocess.Popen(["mosquitto", "-p", "18883"], stderr=subprocess.DEVNULL)
    Server(18710)
    site = Site(program, folder)
    Forwarder(("127.0.0.1", 18700))
    text = []
    try:
        idle(site)
        sampler = threading.Timer(20, lambda: text.append(metrics()))
        sampler.start()
        running(site, screenshots)
        sampler.join()
        limited(program, folder / "limited", screenshots)
        finished(site, screenshots)
        prometheus(text[0])
    finally:
        driver.terminate()
        broker.terminate()
        site.process.kill()
    end()


main()
