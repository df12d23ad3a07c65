"""Chromium without a window, driven by the W3C WebDriver protocol over HTTP: what the page's tests and its
benchmark need of it, on the standard library alone.

    with Browser() as browser:
        browser.open(path)
        browser.run("return document.title")
"""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowLeft": "\ue012", "ArrowUp": "\ue013",
        "ArrowRight": "\ue014", "ArrowDown": "\ue015", "Shift": "\ue008", "Tab": "\ue004"}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for an element's reference


class BrowserError(Exception):
    """What the browser answered instead of a value."""


class Browser:
    def __init__(self, width=1440, height=900):
        for program in ("chromedriver", "chromium"):
            if shutil.which(program) is None:
                raise BrowserError(f"expected {program}, found none; bash data/fetch_packages.sh brings it")
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)
        try:
            self.address = f"http://127.0.0.1:{self._port()}"
            self.session = self._start(width, height)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if hasattr(self, "session"):
            self._send("DELETE", "")
        self.driver.terminate()
        self.driver.wait()
        self.driver.stdout.close()
        self.profile.cleanup()

    def _port(self):
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                return found[1]
        raise BrowserError("chromedriver ended before it took a port")

    def _start(self, width, height):
        arguments = ["--headless=new", f"--window-size={width},{height}", "--disable-gpu",
                     f"--user-data-dir={self.profile.name}", "--disable-dev-shm-usage"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")  # Chromium's sandbox refuses root
        wanted = {"browserName": "chrome",
                  "goog:chromeOptions": {"args": arguments},
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        answer = self._request("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        return answer["sessionId"]

    def _request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(json.load(error)["value"]["message"]) from None

    def _send(self, method, path, body=None):
        return self._request(method, f"/session/{self.session}{path}", body)

    def open(self, page: Path):
        self._send("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script, *arguments):
        """What `script`, the body of a function, returns."""
        return self._send("POST", "/execute/sync", {"script": script, "args": arguments})

    def run_async(self, script, *arguments):
        """What `script` hands to its last argument, a callback."""
        return self._send("POST", "/execute/async", {"script": script, "args": arguments})

    def find(self, selector):
        return self._send("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self._send("POST", f"/element/{self.find(selector)}/click", {})

    def hover(self, selector, across=0.5, down=0.5):
        """Moves the pointer over the element, to shares of its width and height."""
        self._point([self._move_to(selector, across, down)])

    def click_at(self, selector, across, down):
        """Clicks at shares of the element's width and height."""
        button = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        self._point([self._move_to(selector, across, down), *button])

    def _move_to(self, selector, across, down):
        width, height = self.run("const box = document.querySelector(arguments[0]).getBoundingClientRect();"
                                 "return [box.width, box.height]", selector)
        return {"type": "pointerMove", "duration": 0, "origin": {ELEMENT: self.find(selector)},
                "x": round(width * (across - 0.5)), "y": round(height * (down - 0.5))}

    def _point(self, actions):
        self._send("POST", "/actions", {"actions": [
            {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}]})

    def press(self, *keys):
        """Presses one key after the other, named as in KeyboardEvent.key."""
        strokes = [{"type": kind, "value": KEYS.get(key, key)}
                   for key in keys for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions",
                   {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def choose(self, selector, value):
        """Picks the option of a select, or moves a range, as a user would."""
        self.run("const field = document.querySelector(arguments[0]); field.value = arguments[1];"
                 "for (const type of ['input', 'change'])"
                 "  field.dispatchEvent(new Event(type, {bubbles: true}));", selector, str(value))

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def label(self, selector):
        """The name that assistive technology gives the element."""
        return self._send("GET", f"/element/{self.find(selector)}/computedlabel")

    def prefer(self, scheme):
        """Makes the system's colour scheme "light" or "dark"."""
        self._send("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]}})

    def console(self):
        """What the console has said since it was last asked."""
        return [entry["message"] for entry in self._send("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """Addresses that pages in files have asked for since last asked, but for the data they carry."""
        events = [json.loads(entry["message"])["message"]
                  for entry in self._send("POST", "/se/log", {"type": "performance"})]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent
                if params["documentURL"].startswith("file:")
                and not params["request"]["url"].startswith("data:")]

    def screenshot(self, path: Path):
        path.write_bytes(base64.b64decode(self._send("GET", "/screenshot")))
