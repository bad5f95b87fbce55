"""Screenshots as small files: 256 colours are enough for what has few, and a palette halves the file."""

import base64
import struct
import zlib
from typing import Any

from playwright.sync_api import Page

# In the browser, which can read the picture already: the commonest colours, and for every pixel the nearest of them.
_REDUCE = """
async (picture) => {
  const image = new Image();
  image.src = `data:image/png;base64,${picture}`;
  await image.decode();
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const pixels = canvas.getImageData(0, 0, width, height).data;
  const colour = (at) => (pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2];
  const counts = new Map();
  for (let at = 0; at < pixels.length; at += 4) counts.set(colour(at), (counts.get(colour(at)) ?? 0) + 1);
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([each]) => each);
  const away = (a, b) => ((a >> 16) - (b >> 16)) ** 2 + (((a >> 8) & 255) - ((b >> 8) & 255)) ** 2
    + ((a & 255) - (b & 255)) ** 2;
  const nearest = new Map(palette.map((each, at) => [each, at]));
  for (const each of counts.keys()) {
    if (nearest.has(each)) continue;
    let best = 0;
    palette.forEach((other, at) => { if (away(each, other) < away(each, palette[best])) best = at; });
    nearest.set(each, best);
  }
  const rows = [];
  for (let y = 0; y < height; y++) {
    rows.push(0); // each row begins with its filter: none
    for (let x = 0; x < width; x++) rows.push(nearest.get(colour((y * width + x) * 4)));
  }
  let text = "";
  for (let at = 0; at < rows.length; at += 32768) text += String.fromCharCode(...rows.slice(at, at + 32768));
  return { width, height, palette, rows: btoa(text) };
}
"""


def with_palette(picture: bytes, blank: Page) -> bytes:
    """Return a PNG of at most 256 colours that looks like `picture`; `blank` is a page without a policy of its own."""
    told: dict[str, Any] = blank.evaluate(_REDUCE, base64.b64encode(picture).decode())
    header = struct.pack(">IIBBBBB", told["width"], told["height"], 8, 3, 0, 0, 0)
    palette = b"".join(colour.to_bytes(3, "big") for colour in told["palette"])
    data = zlib.compress(base64.b64decode(told["rows"]), 9)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
