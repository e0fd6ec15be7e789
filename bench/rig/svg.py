"""Line plots as SVG: both axes by powers of ten."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 150, 40, 46
COLOURS = ("#1668b8", "#c2541b", "#3d8b37", "#7a4ea3", "#8a6d00")


def decades(values):
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def short(value):
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return "%g%s" % (value / size, unit)
    return "%g" % value


class Plot:
    """Text in, text out: lines are {name: [(x, y), ..]}, all above 0."""

    def __init__(self, title, x_title, y_title, lines):
        self.title, self.x_title, self.y_title, self.lines = title, x_title, y_title, lines
        points = [point for line in lines.values() for point in line]
        self.x = decades([x for x, _ in points])
        self.y = decades([y for _, y in points])

    def place(self, x, y):
        across = (math.log10(x) - self.x[0]) / (self.x[1] - self.x[0])
        up = (math.log10(y) - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    @staticmethod
    def text(x, y, text, anchor="middle", more=""):
        return '<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>' % (x, y, anchor, more, escape(text))

    def grid(self):
        for power in range(self.x[0], self.x[1] + 1):
            x, bottom = self.place(10.0 ** power, 10.0 ** self.y[0])
            yield '<path class="grid" d="M%.1f %.1fV%.1f"/>' % (x, bottom, TOP)
            yield self.text(x, bottom + 16, short(10.0 ** power))
        for power in range(self.y[0], self.y[1] + 1):
            left, y = self.place(10.0 ** self.x[0], 10.0 ** power)
            yield '<path class="grid" d="M%.1f %.1fH%.1f"/>' % (left, y, WIDTH - RIGHT)
            yield self.text(left - 6, y + 4, short(10.0 ** power), "end")

    def line(self, number, name, points):
        colour = COLOURS[number % len(COLOURS)]
        placed = [self.place(x, y) for x, y in points]
        yield '<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (
            colour, " ".join("%.1f,%.1f" % point for point in placed))
        for (x, y), (_, value) in zip(placed, points):
            yield '<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %.4g</title></circle>' % (
                x, y, colour, escape(name), value)
        y = TOP + 10 + 18 * number
        yield '<path stroke="%s" stroke-width="2" d="M%d %dh16"/>' % (colour, WIDTH - RIGHT + 10, y - 4)
        yield self.text(WIDTH - RIGHT + 30, y, name, "start")

    def svg(self):
        parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" '
                 'font-size="11">' % (WIDTH, HEIGHT),
                 "<style>.grid{stroke:#ddd;fill:none}</style>",
                 '<rect width="100%" height="100%" fill="white"/>',
                 self.text(LEFT, 20, self.title, "start", ' font-size="14" font-weight="bold"'),
                 self.text(LEFT, 34, self.y_title, "start"),
                 self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, self.x_title)]
        parts += self.grid()
        for number, (name, points) in enumerate(self.lines.items()):
            parts += self.line(number, name, points)
        return "\n".join(parts + ["</svg>", ""])
