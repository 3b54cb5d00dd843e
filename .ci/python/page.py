#!/usr/bin/env python3
"""Uses the page of a report in headless Chromium, as a reader does, and compares what it says with
`report.json`.

    python3 .ci/python/page.py REPORT [--screenshots FOLDER]

REPORT is the folder with `report.html`; `report.json` stands beside it. The script speaks Chromium's
DevTools protocol through a pipe, so it needs nothing but Python and Chromium, and the page runs with its
own content security policy.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time


class Browser:
    """Chromium with one page."""

    def __init__(self, folder):
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        (self.read, theirs_out), (theirs_in, self.write) = os.pipe(), os.pipe()

        def descriptors():
            # Both ends get numbers above 4 first, so that neither overwrites the other.
            source, target = os.dup2(theirs_in, 63), os.dup2(theirs_out, 64)
            os.dup2(source, 3)
            os.dup2(target, 4)

        arguments = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={folder}"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(arguments, preexec_fn=descriptors, close_fds=False, stdin=quiet, stdout=quiet, stderr=quiet)
        os.close(theirs_out)
        os.close(theirs_in)
        self.rest, self.number, self.session, self.events = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Network", "Log", "Runtime"]:
            self.call(f"{domain}.enable")

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.read, 1 << 16)
            assert more, "Chromium has ended"
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        command = {"id": self.number, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.write, json.dumps(command).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.message())

    def value(self, expression):
        """The value of an expression of the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def key(self, key):
        codes = {"ArrowRight": 39, "Home": 36, "End": 35, "Enter": 13}
        # A button is pressed by the character of the key.
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=codes[key], **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=codes[key])

    def screenshot(self, file):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        image = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        pathlib.Path(file).write_bytes(base64.b64decode(image["data"]))

    def close(self):
        os.write(self.write, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        self.process.wait(timeout=30)


def confusion(page):
    return page.value("""[...document.querySelectorAll('#explore-confusion tbody tr')]
        .map(r => [...r.querySelectorAll('td')].slice(1).map(c => Number(c.textContent)))""")


def check_errors(page):
    """The share of a class has a standard error unless its answers are all alike."""
    for label, line in enumerate(page.value("""[...document.querySelectorAll('#explore-confusion tbody tr')]
        .map(r => [...r.querySelectorAll('td')].map(c => c.textContent))""")):
        counts = [int(c or 0) for c in line[1:]]
        alike = counts[label] in (0, sum(counts))
        assert ("±" in line[0]) != alike, (label, line)


def decimal(value):
    """As the page writes a number with one decimal."""
    return f"{value:.1f}"


def check_slider(page, report):
    """Each position of the slider shows the accuracy and the confusion matrix of its T."""
    rows = [s for s in report["strategies"] if any(p["confusion"] for p in s["points"])]
    assert rows, "no row has stored answers"
    seen = 0
    for k, row in enumerate(rows):
        if len(rows) > 1:
            page.value(f"(() => {{ const s = document.getElementById('explore-row'); s.value = {k}; s.dispatchEvent(new Event('change')); }})()")
        for leak in ["time", "step"]:
            page.value(f"(() => {{ const s = document.getElementById('explore-leak'); s.value = '{leak}'; s.dispatchEvent(new Event('change')); }})()")
            page.value("document.getElementById('explore-t').focus()")
            page.key("Home")
            expected = sorted((p for p in row["points"] if p["leak"] == leak), key=lambda p: p["steps"])
            for number, p in enumerate(expected):
                if number:
                    page.key("ArrowRight")
                at = f"T = {p['steps']}"
                assert page.value("document.getElementById('explore-at').textContent") == at, at
                assert page.value("document.getElementById('explore-t').getAttribute('aria-valuetext')") == at, at
                said = page.value("document.getElementById('explore-said').textContent")
                assert said.startswith(f"{row['name']}: {at}, {decimal(p['accuracy'])} "), (said, p["accuracy"])
                shown = confusion(page)
                assert shown == p["confusion"], f"{row['name']}, {at}: another confusion matrix"
                check_errors(page)
                total = sum(map(sum, shown))
                right = sum(shown[i][i] for i in range(len(shown)))
                assert abs(100 * right / total - p["accuracy"]) < 0.05, (at, right, total, p["accuracy"])
                seen += 1
            page.key("End")
            if row["event_driven"]:
                assert page.value("document.getElementById('explore-at').textContent") == "no clock"
                assert confusion(page) == row["event_driven"]["confusion"]
                rings = page.value("[...document.querySelectorAll('.ring')].map(r => Number(r.getAttribute('cx')))")
                assert len(rings) == 2 and all(x > 0 for x in rings), "no ring in the drawings of the frontier"
    print(f"slider: {seen} positions of {len(rows)} rows, each with its accuracy and its confusion matrix")


def check_budget(page, report):
    """The drawing of the frontier shows the setting that was chosen for a budget, and says it in words."""
    chosen = [(s["name"], s["chosen"]) for s in report["strategies"] if s["chosen"]]
    shown = page.value("""(() => { const f = document.querySelector('section[aria-labelledby=explore] figure'); return {
        caption: f.querySelector('figcaption').textContent,
        drawings: [...f.querySelectorAll('svg desc')].map(d => d.textContent) } })()""")
    for name, c in chosen:
        assert f"the chosen budget of {name}, {c['words']}." in shown["caption"], (name, c, shown["caption"])
        said = f"{name}: {decimal(c['accuracy'])} % with "
        for drawing in shown["drawings"]:
            own = [part for part in drawing.split("; ") if part.startswith(said) and "at the chosen budget" in part]
            assert len(own) == 1, (name, c, drawing)
    assert shown["drawings"] or not chosen, "no drawing of the frontier"
    print(f"budget: {len(chosen)} rows with a chosen setting, {[c['words'] for _, c in chosen]}")


def check_playing(page, report):
    """The play button moves time on, and stops; the values follow."""
    state = lambda: page.value("""(() => { const c = document.querySelector('.course:not([hidden])'); return {
        moment: Number(c.querySelector('.moment').value), max: Number(c.querySelector('.moment').max),
        said: c.querySelector('.now-said').textContent, pressed: c.querySelector('.play').getAttribute('aria-pressed'),
        bars: [...c.querySelectorAll('meter')].map(m => m.value), row: Number(c.dataset.row),
        later: Number(c.querySelector('.later').getAttribute('x')) } })()""")
    focus = lambda what: page.value(f"document.querySelector('.course:not([hidden]) {what}').focus()")
    row = [s for s in report["strategies"] if s["course"]][state()["row"]]
    percent = [[round(100 * p) for p in moment] for moment in row["course"]["probabilities"]]
    near = lambda shown, wanted: all(abs(a - b) <= 1 for a, b in zip(shown, wanted, strict=True))
    end = state()
    assert end["moment"] == end["max"] and near(end["bars"], percent[-1]), "the page shows the end first"
    focus(".play")
    page.key("Enter")
    begun = state()
    assert begun["pressed"] == "true" and begun["moment"] < end["max"], begun
    time.sleep(0.5)
    focus(".play")
    page.key("Enter")
    stopped = state()
    assert stopped["pressed"] == "false" and begun["moment"] < stopped["moment"] < end["max"], (begun, stopped)
    k = stopped["moment"]
    assert near(stopped["bars"], percent[k]), f"moment {k}: {stopped['bars']} shown, {percent[k]} measured"
    assert abs(stopped["later"] - 1000 * k / end["max"]) < 0.01
    focus(".moment")
    page.key("Home")
    first = state()
    assert first["moment"] == 0 and near(first["bars"], percent[0]) and first["later"] == 0
    spikes = [sum(t <= row["course"]["moments"][0] for t, _ in l["spikes"]) for l in row["raster"]["layers"]]
    assert all(f"{l['name']} {n:,}" in first["said"] for l, n in zip(row["raster"]["layers"], spikes)), first["said"]
    print(f"recording: played from moment 0 to {k} of {end['max']}, stopped, and moved back by keyboard")


def check_accessible(page):
    """Every control has a role and a name, and what changes is announced."""
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = lambda role: [n["name"]["value"] for n in nodes if not n["ignored"] and n.get("role", {}).get("value") == role]
    for role in ["slider", "combobox", "button", "image", "table"]:
        names = named(role)
        assert names and all(names), f"{role}: {names}"
    assert page.value("document.getElementById('explore-said').getAttribute('aria-live')") == "polite"
    print(f"accessibility: sliders {named('slider')}, buttons {named('button')}")


def check_looks(page, folder):
    """No part is wider than the screen, in light, dark, at 400 pixels and on paper."""
    looks = [("light", 1200, "light", ""), ("dark", 1200, "dark", ""), ("phone", 400, "light", ""), ("phone-dark", 400, "dark", ""), ("print", 760, "dark", "print")]
    for name, width, scheme, media in looks:
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        page.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
        overflow = page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name}: the page is {overflow} pixels wider than the screen"
        paper = page.value("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light" or media == "print"), (name, paper)
        controls = page.value("getComputedStyle(document.getElementById('explore-controls')).display")
        assert (controls == "none") == (media == "print"), f"{name}: controls are {controls}"
        if folder:
            page.screenshot(pathlib.Path(folder) / f"{name}.png")
    print("looks: " + ", ".join(l[0] for l in looks))


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    html, report = folder / "report.html", folder.parent / "report.json"
    report = json.loads(report.read_text())
    size = html.stat().st_size
    assert size < 3_000_000, f"{html}: {size} bytes"
    with tempfile.TemporaryDirectory() as profile:
        page = Browser(profile)
        try:
            page.call("Page.navigate", url=html.as_uri())
            page.wait_for("Page.loadEventFired")
            check_slider(page, report)
            check_budget(page, report)
            check_playing(page, report)
            check_accessible(page)
            check_looks(page, sys.argv[3] if sys.argv[2:3] == ["--screenshots"] else None)
            asked = [e["params"]["request"]["url"] for e in page.events if e.get("method") == "Network.requestWillBeSent"]
            assert asked == [html.as_uri()], f"the page loads {asked}"
            wrong = [e["params"] for e in page.events if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]
            assert not wrong, wrong
        finally:
            page.close()
    print(f"{size:,} bytes, nothing loaded, no error")


if __name__ == "__main__":
    main()
