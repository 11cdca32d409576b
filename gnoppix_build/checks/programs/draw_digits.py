# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws digits as a page would show them, and prints the image. Source: pgm(5).

Argument: the digits. They are drawn with a round pen along lines and arcs, so that no font and no
library is needed.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

Point = tuple[float, float]

UNIT: Final = 4
PEN: Final = 2.0
MARGIN: Final = 24
STEP: Final = 8.4 * UNIT


def arc(x: float, y: float, across: float, down: float, turns: tuple[int, int]) -> list[Point]:
    """Give points of an ellipse around a centre, between two angles in degrees."""
    first, last = turns
    angles = [math.radians(first + (last - first) * each / 24) for each in range(25)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


# The strokes of each digit in a box of 6 by 10, with `y` downwards.
STROKES: Final[dict[str, list[list[Point]]]] = {
    "0": [arc(3, 5, 2.6, 4.6, (0, 360))],
    "1": [[(1.2, 2.2), (3.2, 0.4), (3.2, 9.6)]],
    "2": [[*arc(3, 3, 2.6, 2.6, (200, 380)), (0.5, 9.6), (5.7, 9.6)]],
    "3": [arc(2.8, 2.8, 2.4, 2.4, (210, 450)), arc(2.8, 7.2, 2.6, 2.4, (270, 510))],
    "4": [[(4.3, 9.6), (4.3, 0.4), (0.3, 6.8), (5.9, 6.8)]],
    "5": [[(5.2, 0.4), (1.1, 0.4), (0.8, 4.9), *arc(2.8, 6.6, 2.7, 3.0, (220, 495))]],
    "6": [
        arc(3, 6.7, 2.5, 2.9, (0, 360)),
        [(4.6, 0.4), *arc(5.2, 6.7, 4.7, 5.6, (240, 180))],
    ],
    "7": [[(0.4, 0.4), (5.6, 0.4), (2.2, 9.6)]],
    "8": [arc(3, 2.7, 2.2, 2.3, (0, 360)), arc(3, 7.2, 2.6, 2.4, (0, 360))],
    "9": [
        arc(3, 3.3, 2.5, 2.9, (0, 360)),
        [(1.4, 9.6), *arc(0.8, 3.3, 4.7, 5.6, (60, 0))],
    ],
}


def points_of(stroke: Sequence[Point]) -> Iterator[Point]:
    """Give points of a stroke so close that a pen leaves no gap."""
    for (x, y), (next_x, next_y) in pairwise(stroke):
        count = max(1, int(math.hypot(next_x - x, next_y - y) * UNIT * 2))
        for each in range(count + 1):
            part = each / count
            yield x + (next_x - x) * part, y + (next_y - y) * part


def draw(digits: str) -> bytes:
    """Give the image, black on white."""
    width, height = int(len(digits) * STEP) + 2 * MARGIN, 10 * UNIT + 2 * MARGIN
    pixels = bytearray(b"\xff" * width * height)
    for place, digit in enumerate(digits):
        for stroke in STROKES[digit]:
            for x, y in points_of(stroke):
                dot(pixels, width, (MARGIN + place * STEP + x * UNIT, MARGIN + y * UNIT))
    return b"P5 %d %d 255\n" % (width, height) + bytes(pixels)


def dot(pixels: bytearray, width: int, centre: Point) -> None:
    """Put the pen down once."""
    x, y = centre
    for row in range(int(y - PEN), int(y + PEN) + 2):
        for column in range(int(x - PEN), int(x + PEN) + 2):
            if math.hypot(column - x, row - y) <= PEN:
                pixels[row * width + column] = 0


sys.stdout.buffer.write(draw(sys.argv[1]))
