"""Paths through a network of images, number by number. Imports nothing of ours.

A network is a list of steps, each a tuple of a name and what belongs to it::

    "conv", present (filters, channels / groups, kh, kw) bool, stride, padding, groups
    "linear", present (n_out, n_in) bool
    "pool", size            windows side by side
    "flatten",
    "norm", radius          local response normalisation
    "residual", body, shortcut

Every position of every channel is a node, those of the padding too, and a node for the channel as a
whole is joined to them all both ways. A path is found by walking.
"""


class Walk:
    """Edges, and for each weight the edges that each of its connections makes."""

    def __init__(self, shape, steps):
        self.edges, self.weights, self.made, self.places = set(), [], [], 0
        self.whole = {}  # (place, channel): its positions
        first, _ = place = self.place(), shape
        self.inputs = self.nodes(place)
        last = self.add(steps, place)
        self.outputs = self.nodes(last)
        self.first = first
        for (number, channel), positions in self.whole.items():
            for node in positions:
                self.edges.add((("whole", number, channel), node))
                self.edges.add((node, ("whole", number, channel)))

    def place(self):
        self.places += 1
        return self.places - 1

    def node(self, number, channel, *position):
        node = (number, channel, *position)
        self.whole.setdefault((number, channel), set()).add(node)
        return node

    def nodes(self, place):
        number, shape = place
        if len(shape) == 1:
            return [self.node(number, j) for j in range(shape[0])]
        channels, height, width = shape
        return [
            self.node(number, c, y, x)
            for c in range(channels)
            for y in range(height)
            for x in range(width)
        ]

    def add(self, steps, place):
        for step in steps:
            if step[0] == "residual":
                body, aside = self.add(step[1], place), self.add(step[2], place)
                after = self.place(), body[1]
                for branch in (body, aside):
                    self.edges |= set(zip(self.nodes(branch), self.nodes(after), strict=True))
                place = after
            else:
                place = getattr(self, step[0])(place, *step[1:])
        return place

    def conv(self, place, present, stride, padding, groups):
        number, (_, height, width) = place
        filters, share, kh, kw = present.shape
        rows = (height + 2 * padding - kh) // stride + 1
        columns = (width + 2 * padding - kw) // stride + 1
        after, edges = self.place(), {}
        for f in range(filters):
            for j in range(share):
                for r in range(kh):
                    for s in range(kw):
                        if not present[f, j, r, s]:
                            continue
                        channel, of_tap = f // (filters // groups) * share + j, set()
                        for y in range(rows):
                            for x in range(columns):
                                at = y * stride + r - padding, x * stride + s - padding
                                to = self.node(after, f, y, x)
                                of_tap.add((self.node(number, channel, *at), to))
                        edges[f, j, r, s] = of_tap
        return self.weight(present, edges, (after, (filters, rows, columns)))

    def linear(self, place, present):
        number, _ = place
        after, edges = self.place(), {}
        for i in range(present.shape[0]):
            for j in range(present.shape[1]):
                if present[i, j]:
                    edges[i, j] = {(self.node(number, j), self.node(after, i))}
        return self.weight(present, edges, (after, (present.shape[0],)))

    def weight(self, present, edges, after):
        self.weights.append((present, edges))
        self.made.append(after)
        for some in edges.values():
            self.edges |= some
        return after

    def pool(self, place, size):
        number, (channels, height, width) = place
        after = self.place(), (channels, height // size, width // size)
        for _, c, y, x in self.nodes(after):
            for r in range(size):
                for s in range(size):
                    source = self.node(number, c, y * size + r, x * size + s)
                    self.edges.add((source, self.node(after[0], c, y, x)))
        return after

    def flatten(self, place):
        after = self.place(), (len(self.nodes(place)),)
        self.edges |= set(zip(self.nodes(place), self.nodes(after), strict=True))
        return after

    def norm(self, place, radius):
        number, shape = place
        after = self.place(), shape
        for _, c, y, x in self.nodes(after):
            for k in range(c - radius, c + radius + 1):
                if 0 <= k < shape[0]:
                    source = self.node(number, k, y, x)
                    self.edges.add((source, self.node(after[0], c, y, x)))
        return after


def effective(shape, steps, mode):
    """Masks of the effective connections of each weight, and the units on a path.

    Units: of the inputs, then of each weight what it makes; channels, or numbers.
    """
    walk = Walk(shape, steps)
    forwards, backwards = {}, {}
    for source, target in walk.edges:
        forwards.setdefault(source, []).append(target)
        backwards.setdefault(target, []).append(source)
    reached, leading = _met(walk.inputs, forwards), _met(walk.outputs, backwards)

    masks = []
    for present, edges in walk.weights:
        mask = present.copy()
        for place, some in edges.items():
            fed = any(source in reached for source, _ in some)
            read = any(target in leading for _, target in some)
            mask[place] = (fed or mode == "output") and (read or mode == "input")
        masks.append(mask)

    units = []
    for number, made in [(walk.first, shape), *walk.made]:
        alive = []
        for c in range(made[0]):
            node = next(iter(walk.whole.get((number, c), [None])))
            fed, read = node in reached or mode == "output", node in leading or mode == "input"
            alive.append(fed and read)
        units.append(alive)
    return masks, units


def _met(nodes, edges):
    """All nodes that can be walked to."""
    met, ways = set(nodes), list(nodes)
    while ways:
        for node in edges.get(ways.pop(), []):
            if node not in met:
                met.add(node)
                ways.append(node)
    return met
