"""Reads frames (one in hexadecimal a line) with pyiso8583 and writes what it understood, one JSON object a line.

The table is written from the public field formats (channels.md, section 1.2), not from the channel's dialect file. "again" says
whether pyiso8583 makes the same bytes of what it read.
"""
import json
import sys

import iso8583


def fixed(digits, **more):
    return {"data_enc": "b", "len_enc": "bcd", "len_type": 0, "max_len": digits, "len_count": "nibbles", "desc": "", **more}


def digits(length_bytes, most):
    return {"data_enc": "b", "len_enc": "bcd", "len_type": length_bytes, "max_len": most, "len_count": "nibbles",
            "right_pad": "0", "desc": ""}


def text(most, length_bytes=0):
    return {"data_enc": "ascii", "len_enc": "bcd", "len_type": length_bytes, "max_len": most, "desc": ""}


def binary(most, length_bytes=0):
    return {"data_enc": "b", "len_enc": "bcd", "len_type": length_bytes, "max_len": most, "desc": ""}


SPEC = {
    "h": binary(11), "t": binary(2), "p": binary(8), "1": binary(8),
    "2": digits(1, 19), "3": fixed(6), "4": fixed(12), "11": fixed(6), "12": fixed(6), "13": fixed(4), "14": fixed(4),
    "15": fixed(4), "22": fixed(3, right_pad="0"), "23": fixed(3, left_pad="0"), "25": fixed(2), "26": fixed(2),
    "32": digits(1, 11), "35": digits(1, 37), "36": digits(2, 104), "37": text(12), "38": text(6), "39": text(2),
    "41": text(8), "42": text(15), "44": text(25, 1), "48": digits(2, 322), "49": text(3), "52": binary(8), "53": fixed(16),
    "54": text(20, 2), "55": binary(255, 2), "59": binary(600, 2), "60": digits(2, 17), "61": digits(2, 29),
    "62": binary(512, 2), "63": text(163, 2), "64": binary(8),
}

for line in sys.stdin:
    frame = bytes.fromhex(line.strip())
    length, payload = int.from_bytes(frame[:2], "big"), frame[2:]
    assert length == len(payload), "the length in front is not the frame's"
    fields, _ = iso8583.decode(payload, SPEC)
    again, _ = iso8583.encode(dict(fields), SPEC)
    fields["again"] = bytes(again) == payload
    print(json.dumps(fields))
