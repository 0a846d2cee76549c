"""What python-escpos sends for the contents of tests/peer.rs: one JSON object in the named file, name to hexadecimal bytes."""

import json
import sys
import timeit

from escpos.constants import QR_ECLEVEL_M
from escpos.printer import Dummy


def made(fill):
    printer = Dummy()
    fill(printer)
    return printer.output.hex()


def plain(p):
    p.text("Hello\nWorld\n")


def looks(p):
    p.set(align="center", bold=True, double_width=True, double_height=True)
    p.text("Tea House\n")
    p.set(align="right", bold=True, normal_textsize=True)
    p.text("Total\n")
    p.set(align="left", bold=False, normal_textsize=True)
    p.text("end\n")


def latin(p):
    p.charcode("CP1252")
    p.text("Käse 5 € Größe\n")


def qr(p):
    p.set(align="center")
    p.qr("https://example.com/r/00000018", native=True, size=6, ec=QR_ECLEVEL_M)


def barcode(p):
    p.barcode("{B00000018", "CODE128", 64, 2, "BELOW", "A", align_ct=True, function_type="B", check=False)


def cut(p):
    p.text("paid\n")
    p.cut(mode="PART")


def drawer(p):
    p.cashdraw(2)


def chinese(p):
    # python-escpos has no double-byte mode of its own: its users send it raw.
    p._raw(b"\x1c&")
    p._raw("小王茶馆\n金额 128.50\n".encode("gb18030"))


def receipt(p):
    """The receipt of benches/src/devices.rs."""
    p.set(align="center", bold=True, double_width=True, double_height=True)
    p.text("Tea House\n")
    p.set(align="center", bold=False, normal_textsize=True)
    p.text("100 Nanjing East Road\n")
    p.set(align="left")
    p.text("-" * 48 + "\n")
    for n in range(14):
        p.text(f"Line {n:02}".ljust(36) + "112233445566\n")
    p.text("-" * 48 + "\n")
    p.set(bold=True)
    p.text("TOTAL".ljust(42) + "128.50\n")
    p.cut(mode="PART")


if "--time" in sys.argv:
    best = min(timeit.repeat(lambda: made(receipt), number=20, repeat=20)) / 20
    print(round(best * 1e6))
    sys.exit()

contents = (plain, looks, latin, qr, barcode, cut, drawer, chinese)
# Not to standard output: python-escpos talks there.
with open(sys.argv[1], "w", encoding="ascii") as out:
    json.dump({f.__name__: made(f) for f in contents}, out)
