"""Draws Mermaid's graphs in a real browser, and tells what is to be seen.

    mermaid.py < [GRAPH, ...] > [{"nodes": {ID: TEXT}, "arrows": [TEXT], "error": null}, ...]

Mermaid is the one that the Python package nicegui has with it. The page is served on loopback.
"""
import http.server
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

PAGE = b"""<!doctype html><meta charset="utf-8"><body><script type="module">
import { mermaid } from "/dist/index.js";
mermaid.initialize({ startOnLoad: false, securityLevel: "loose" });
const lines = (element) => {
  const copy = element.cloneNode(true);
  copy.querySelectorAll("br").forEach((br) => br.replaceWith("\\n"));
  return copy.textContent;
};
const isSeen = (element) => {
  const box = element.getBoundingClientRect();
  return getComputedStyle(element).visibility !== "hidden" && box.width > 0 && box.height > 0;
};
const seen = [];
for (const [number, graph] of (await (await fetch("/graphs")).json()).entries()) {
  const found = { nodes: {}, arrows: [], error: null };
  try {
    const { svg } = await mermaid.render("graph" + number, graph);
    document.body.innerHTML = svg;
    await document.fonts.ready;
    for (const node of document.querySelectorAll("g.node")) {
      const id = node.id.match(/flowchart-(.*)-[0-9]+$/)[1];
      found.nodes[id] = isSeen(node) ? lines(node.querySelector(".label")) : null;
    }
    for (const label of document.querySelectorAll("g.edgeLabels g.edgeLabel")) {
      found.arrows.push(lines(label));
    }
    if (document.querySelector("svg img, svg i, svg script, svg a, svg math")) found.error = "text became elements";
  } catch (error) { found.error = String(error); }
  seen.push(found);
}
await fetch("/seen", { method: "POST", body: JSON.stringify(seen) });
</script>"""

graphs = sys.stdin.buffer.read()
dist = os.path.join(importlib.util.find_spec("nicegui").submodule_search_locations[0], "elements/mermaid/dist")
seen, asked = [], []
done = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/":
            self.answer(PAGE, "text/html")
        elif self.path == "/graphs":
            self.answer(graphs, "application/json")
        elif self.path.startswith("/dist/") and os.path.isfile(dist + self.path[5:]):
            with open(dist + self.path[5:], "rb") as file:
                self.answer(file.read(), "text/javascript")
        else:
            asked.append(self.path)
            self.send_error(404)

    def do_POST(self):
        seen.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(b"", "text/plain")
        done.set()

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
home = tempfile.mkdtemp()
browser = subprocess.Popen(
    ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
     f"--user-data-dir={home}", "--remote-debugging-port=0", f"http://127.0.0.1:{server.server_port}/"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": home})
try:
    if not done.wait(300):
        sys.exit("the browser did not answer within 300 s")
finally:
    browser.terminate()
    browser.wait()
    shutil.rmtree(home, ignore_errors=True)
strange = [path for path in asked if path not in ("/favicon.ico",)]
if strange:
    sys.exit(f"the picture asked for {strange}")
sys.stdout.buffer.write(seen[0])
