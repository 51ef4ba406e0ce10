"""What a page of the built site costs its reader: bytes as a server sends them, and how far its content jumps."""

import functools
import gzip
import io
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

SCREENS = {1440: 900, 390: 844}
# Compressed as they are; a server compresses the rest.
COMPRESSED = {".png", ".webp", ".woff", ".woff2"}
# Chapters have figures and maths.
MOST_KIB = {"chapter": 900, "text": 350}
MOST_SHIFT = 0.02

OBSERVE = """window.shifts = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shifts += entry.value; })).observe(
  { type: "layout-shift", buffered: true });"""
DRAWN = """async () => {
  await document.fonts.ready;
  await new Promise((done) => setTimeout(done, 500));  // what the last script has drawn
}"""
# What a reader who scrolls to the end has loaded, too.
IMAGES = "[...document.images].map((image) => image.src)"


class Handler(SimpleHTTPRequestHandler):
    """Compresses what a server on the web does, and is quiet."""

    def send_head(self):
        file = Path(self.translate_path(self.path))
        if not file.is_file() or file.suffix in COMPRESSED:
            return super().send_head()
        content = gzip.compress(file.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)

    def log_message(self, *_):
        pass


def serve(folder):
    """Serve a folder on a free port of localhost, in the background."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def weigh(browser, folder, url, name, width=1440):
    """Load a page of the site in `folder`, which is served at `url`. Returns `kib`, `requests` and `shift`."""
    page = browser.new_page(viewport={"width": width, "height": SCREENS[width]})
    page.add_init_script(OBSERVE)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{url}/{name}.html", wait_until="networkidle")
    page.evaluate(DRAWN)
    paths = {urlsplit(address).path for address in asked + page.evaluate(IMAGES) if address.startswith(url)}
    shift = page.evaluate("window.shifts")
    page.close()
    files = [folder / unquote(path).lstrip("/") for path in paths]
    return SimpleNamespace(kib=sum(map(sent, files)) / 1024, requests=len(files), shift=shift)


def sent(file):
    """The bytes of a file as a server sends it."""
    content = file.read_bytes()
    return len(content) if file.suffix in COMPRESSED else len(gzip.compress(content))


def most_kib(name):
    """The most that a page may weigh, by its name."""
    return MOST_KIB["chapter" if name[0].isdigit() else "text"]
