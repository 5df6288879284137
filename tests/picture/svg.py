"""Turns the text of a terminal, with its colours (SGR escapes), into an SVG that needs nothing from outside.

Reads standard input, writes standard output; its argument says what is in the picture. The machine's own name and its user's are left out of it.
"""

import getpass
import html
import re
import socket
import sys

COLOURS = {30: "#484f58", 31: "#ff7b72", 32: "#3fb950", 33: "#d29922", 34: "#58a6ff", 35: "#bc8cff", 36: "#39c5cf",
           37: "#b1bac4", 90: "#6e7681", 91: "#ffa198", 92: "#56d364", 93: "#e3b341", 94: "#79c0ff", 95: "#d2a8ff",
           96: "#56d4dd", 97: "#f0f6fc"}
CELL, LINE, EDGE = 8.4, 19, 16


def spans(line):
    """Yields (text, style) of one line."""
    style = {}
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        found = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if not found:
            if part:
                yield part, dict(style)
            continue
        for code in [int(code or 0) for code in found[1].split(";")]:
            if code == 0:
                style = {}
            elif code == 1:
                style["font-weight"] = "bold"
            elif code == 2:
                style["opacity"] = "0.7"
            elif code in (22, 39):
                style.pop("font-weight" if code == 22 else "fill", None)
            elif code in COLOURS:
                style["fill"] = COLOURS[code]


def main():
    text = sys.stdin.read()
    # The machine on which the picture is made, and its user, are nobody's business.
    host, user = socket.gethostname(), getpass.getuser()
    text = re.sub(rf"\b{re.escape(user)}@{re.escape(host)}\b", "oncall@laptop", text).replace(f"on {host}", "on laptop")
    text = re.sub(r"\x1b\[(?![0-9;]*m)[0-9;?]*[A-Za-z]", "", text)
    lines = text.rstrip().splitlines()
    while lines and re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip() == "$":
        lines.pop()
    width = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) * CELL + 2 * EDGE
    height = len(lines) * LINE + 2 * EDGE
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}"'
          f' role="img" aria-label="{html.escape(sys.argv[1])}">')
    print(f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>')
    print(f'<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="14" fill="#c9d1d9">')
    for row, line in enumerate(lines):
        y = EDGE + LINE * (row + 0.75)
        column = 0
        for part, style in spans(line):
            attributes = "".join(f' {name}="{value}"' for name, value in style.items())
            # Each run of text gets its place and its length, so that no font can shift the columns.
            print(f'<text x="{EDGE + column * CELL:.1f}" y="{y:.1f}" textLength="{len(part) * CELL:.1f}"'
                  f' xml:space="preserve"{attributes}>{html.escape(part)}</text>')
            column += len(part)
    print("</g></svg>")


main()
