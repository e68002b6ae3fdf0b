"""The slow, obvious twin of every fast function. Imports nothing of ours.

Dense arrays, Python loops, one formula a line: what the library does is compared with what these
say. Weights are ``(n_out, n_in)``, examples are rows ``(n, features)``.
"""

import itertools
import math
from fractions import Fraction

import numpy as np

# ---------------------------------------------------------------- csr, selection, kernels, layers


# A number type is given by how many bits its fractions have and its smallest exponent.
PRECISION = {np.dtype(np.float32): (24, -149), np.dtype(np.float64): (53, -1074)}


def nearest(exact, dtype):
    """The number of `dtype` nearest to the Fraction `exact`, ties to even; no overflow."""
    bits, smallest = PRECISION[np.dtype(dtype)]
    size = abs(exact)
    length = size.numerator.bit_length() - size.denominator.bit_length()
    exponent = max(smallest, length - 1 - bits)  # not above the one sought
    while Fraction(2) ** (exponent + bits) <= size:
        exponent += 1
    steps = round(exact / Fraction(2) ** exponent)  # round() of a Fraction takes ties to even
    return np.dtype(dtype).type(float(steps * Fraction(2) ** exponent))


def multiply_add(a, b, c):
    """``a * b + c`` in exact arithmetic, rounded once."""
    return nearest(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)), c.dtype)


def halve(sums):
    """Add the upper half of a list to the lower half until one number is left."""
    sums = list(sums)
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [sums[i] + sums[i + half] for i in range(half)]
    return sums[0]


def lane_dot(a, b):
    """Sum of products: one running sum per lane of 64 bytes, fused, then halved."""
    lanes = min(64 // a.dtype.itemsize, a.size)
    sums = [a[i] * b[i] for i in range(lanes)]
    for k in range(lanes, a.size):
        sums[k % lanes] = multiply_add(a[k], b[k], sums[k % lanes])
    return halve(sums)


def lane_total(a):
    """Sum: one running sum per lane of 64 bytes, then halved."""
    lanes = min(64 // a.dtype.itemsize, a.size)
    sums = [a[i] for i in range(lanes)]
    for k in range(lanes, a.size):
        sums[k % lanes] = sums[k % lanes] + a[k]
    return halve(sums)


def paired_dot(d, x):
    """Sum of products of two rows (tiles, width): two tiles a `lane_dot`, the last alone if odd."""
    total = d.dtype.type(0)
    for t in range(0, len(d), 2):
        total = total + lane_dot(np.concatenate(d[t : t + 2]), np.concatenate(x[t : t + 2]))
    return total


def tile_total(d):
    """Sum of a row (tiles, width): a `lane_total` a tile, added in order."""
    total = d.dtype.type(0)
    for tile in d:
        total = total + lane_total(tile)
    return total


def exceeding(block, start, kept, threshold):
    """Positions from `start` on, not kept, where not |g| <= threshold (any if < 0), and |g|."""
    found = [
        (start + k, abs(g))
        for k, g in enumerate(block)
        if start + k not in kept and (threshold < 0 or not abs(g) <= threshold)
    ]
    return [p for p, _ in found], [g for _, g in found]


def positions(present):
    """Flat positions of the connections of a boolean (n_out, n_in), row after row."""
    n_out, n_in = present.shape
    return [i * n_in + j for i in range(n_out) for j in range(n_in) if present[i, j]]


def restructure(dense, present, drop, grow, values):
    """Weights, pattern and sources after dropping slots and growing flat positions."""
    n_out, n_in = dense.shape
    slot_at = {position: slot for slot, position in enumerate(positions(present))}
    value_at = {position: dense[divmod(position, n_in)] for position in slot_at}
    for slot in drop:
        position = positions(present)[slot]
        del slot_at[position], value_at[position]
    for position, value in zip(grow, values, strict=True):
        slot_at[position], value_at[position] = -1, value
    new, pattern = np.zeros_like(dense), np.zeros((n_out, n_in), bool)
    for position, value in value_at.items():
        new[divmod(position, n_in)], pattern[divmod(position, n_in)] = value, True
    return new, pattern, [slot_at[position] for position in sorted(slot_at)]


def by_input(present):
    """Pointers, rows and slots of the connections, column after column."""
    n_out, n_in = present.shape
    slot_at = {position: slot for slot, position in enumerate(positions(present))}
    pointers, rows, slots = [0], [], []
    for j in range(n_in):
        for i in range(n_out):
            if present[i, j]:
                rows.append(i)
                slots.append(slot_at[i * n_in + j])
        pointers.append(len(rows))
    return pointers, rows, slots


def largest(scores, k):
    """The first k in the order (score descending, index ascending), as ascending indices."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return sorted(order[:k])


def smallest(scores, k):
    """The last k in the same order, as ascending indices."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return sorted(order[len(scores) - k :])


def absent(present, freed=()):
    """Flat positions that are not connected, or whose slot is freed."""
    freed = set(freed)
    taken = {p for slot, p in enumerate(positions(present)) if slot not in freed}
    return [p for p in range(present.size) if p not in taken]


def largest_absent(present, grad, k, freed=()):
    """The k absent positions of largest magnitude of gradient, lower position first on ties."""
    n_in = present.shape[1]
    order = sorted(absent(present, freed), key=lambda p: (-abs(grad[divmod(p, n_in)]), p))
    return sorted(order[:k])


def pack(x, width):
    """Tiles (tiles, features, width) of the rows of x, padded with zeros."""
    n, features = x.shape
    tiles = np.zeros((-(-n // width), features, width), x.dtype)
    for e in range(n):
        for f in range(features):
            tiles[e // width, f, e % width] = x[e, f]
    return tiles


def product(weight, bias, x):
    """``weight @ x[t] + bias`` for each tile: (tiles, n_out, width)."""
    y = np.zeros((x.shape[0], weight.shape[0], x.shape[2]), np.float64)
    for t, i, lane in np.ndindex(*y.shape):
        y[t, i, lane] = bias[i]
        for j in range(weight.shape[1]):
            y[t, i, lane] += float(weight[i, j]) * float(x[t, j, lane])
    return y


def weight_gradient(delta, x):
    """``sum_t delta[t] @ x[t].T``: (n_out, n_in)."""
    grad = np.zeros((delta.shape[1], x.shape[1]), np.float64)
    for i, j in np.ndindex(*grad.shape):
        for t in range(x.shape[0]):
            for lane in range(x.shape[2]):
                grad[i, j] += float(delta[t, i, lane]) * float(x[t, j, lane])
    return grad


def bias_gradient(delta):
    """Sum over all examples: (n_out,)."""
    return np.array([math.fsum(float(d) for d in delta[:, i].flat) for i in range(delta.shape[1])])


def relu(x):
    """``max(x, 0)``."""
    return np.array([max(float(v), 0.0) for v in x.flat]).reshape(x.shape)


def srelu(x, t_l, a_l, tau, a_r):
    """SReLU of one number."""
    t_r = t_l + abs(tau)
    if x >= t_r:
        return t_r + a_r * (x - t_r)
    if x <= t_l:
        return t_l + a_l * (x - t_l)
    return x


def srelu_pullback(x, delta, t_l, a_l, tau, a_r):
    """``delta f'(x)`` of one number, and its parts of the derivatives by the four parameters."""
    t_r = t_l + abs(tau)
    if x >= t_r:
        bend = delta * (1 - a_r)
        return delta * a_r, (bend, 0.0, math.copysign(bend, bend * tau), delta * (x - t_r))
    if x <= t_l:
        return delta * a_l, (delta * (1 - a_l), delta * (x - t_l), 0.0, 0.0)
    return delta, (0.0, 0.0, 0.0, 0.0)


def softmax(logits):
    """Softmax of a list of numbers."""
    top = max(logits)
    shares = [math.exp(v - top) for v in logits]
    return [share / math.fsum(shares) for share in shares]


def cross_entropy(logits, labels):
    """Mean of -log softmax at the label, and its derivative, of rows (n, classes)."""
    n, value, delta = len(labels), 0.0, np.zeros(logits.shape)
    for e in range(n):
        row = [float(v) for v in logits[e]]
        top = max(row)
        value += math.log(math.fsum(math.exp(v - top) for v in row)) + top - row[labels[e]]
        for c, share in enumerate(softmax(row)):
            delta[e, c] = (share - (c == labels[e])) / n
    return value / n, delta


def squared_error(outputs, targets):
    """Mean over examples of half the squared distance, and its derivative, of rows."""
    n, value, delta = len(targets), 0.0, np.zeros(outputs.shape)
    for e in range(n):
        for c in range(outputs.shape[1]):
            error = float(outputs[e, c]) - float(targets[e, c])
            value += error * error / 2 / n
            delta[e, c] = error / n
    return value, delta


def sigmoid(x):
    """Of a number."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def sigmoid_squared_error(outputs, targets, slope_at_output=False):
    """As `squared_error`, of the sigmoids of rows; their slope at the output is the authors'."""
    n, value, delta = len(targets), 0.0, np.zeros(outputs.shape)
    for e in range(n):
        for c in range(outputs.shape[1]):
            y = sigmoid(float(outputs[e, c]))
            error = y - float(targets[e, c])
            value += error * error / 2 / n
            s = sigmoid(y) if slope_at_output else y
            delta[e, c] = error * s * (1 - s) / n
    return value, delta


def backpropagation(weights, biases, x, labels):
    """Loss, and gradients by weights and biases, of an MLP with ReLU between linear layers."""
    activations, sums = [x], []
    for weight, bias in zip(weights, biases, strict=True):
        sums.append(activations[-1] @ weight.T + bias)
        activations.append(np.where(sums[-1] > 0, sums[-1], 0.0))
    loss, delta = cross_entropy(sums[-1], labels)
    by_weight, by_bias = [], []
    for k in reversed(range(len(weights))):
        by_weight.insert(0, delta.T @ activations[k])
        by_bias.insert(0, delta.sum(axis=0))
        delta = (delta @ weights[k]) * (activations[k] > 0)
    return loss, by_weight, by_bias


def tutorial_gradients(weights, biases, x, targets, kept):
    """Loss and gradients, means over the batch, as the code of SET's authors computes them.

    ReLU units, of which `kept` (n, units) are not dropped; sigmoid outputs. The way back does not
    know what was dropped, and takes the sigmoid's slope at its own output.
    """
    inputs, sums = [x], []
    for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        sums.append(inputs[k] @ weight.T + bias)
        if k < len(kept):
            inputs.append(np.where(sums[k] > 0, sums[k], 0.0) * kept[k])
    loss, delta = sigmoid_squared_error(sums[-1], targets, slope_at_output=True)
    by_weight, by_bias = [], []
    for k in reversed(range(len(weights))):
        by_weight.insert(0, delta.T @ inputs[k])
        by_bias.insert(0, delta.sum(axis=0))
        if k:
            delta = (delta @ weights[k]) * (sums[k - 1] > 0)
    return loss, by_weight, by_bias


def tutorial_outputs(weights, biases, x, rate):
    """What they evaluate: every sum behind a dropped layer, its bias too, is scaled down."""
    for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = (x @ weight.T + bias) * (1 - rate if k else 1)
        x = np.where(x > 0, x, 0.0) if k < len(weights) - 1 else x
    return x


def slope(f, at, direction, step=1e-6):
    """Derivative of the number f(at) along a direction, by central differences."""
    return (f(at + step * direction) - f(at - step * direction)) / (2 * step)


# ---------------------------------------------------------------- optimizers and methods


def cosine(initial, stop, step):
    """Half a cosine wave from `initial` at step 0 to 0 at step `stop`."""
    return initial * (1 + math.cos(math.pi * min(step / stop, 1.0))) / 2


def sgd(value, grads, rates, momentum=0.0, nesterov=False, weight_decay=0.0, decay="l2"):
    """A list of numbers after one update for each list of gradients, in Python's floats."""
    value, velocity = [float(w) for w in value], [0.0] * len(value)
    for grad, rate in zip(grads, rates, strict=True):
        for i in range(len(value)):
            g = float(grad[i])
            if decay == "l2":
                g = g + weight_decay * value[i]
            velocity[i] = momentum * velocity[i] + g
            direction = g + momentum * velocity[i] if nesterov else velocity[i]
            shrink = (
                {"l2": 0.0, "decoupled": rate, "unscaled": 1.0}[decay] * weight_decay * value[i]
            )
            value[i] = value[i] - rate * direction - shrink
    return value


def adam(value, grads, rates, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0, decay="l2"):
    """As `sgd`: Kingma and Ba 2015, algorithm 1, with either form of weight decay."""
    value, m, v = [float(w) for w in value], [0.0] * len(value), [0.0] * len(value)
    for t, (grad, rate) in enumerate(zip(grads, rates, strict=True), start=1):
        for i in range(len(value)):
            g = float(grad[i])
            if decay == "l2":
                g = g + weight_decay * value[i]
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            mean, square = m[i] / (1 - beta1**t), v[i] / (1 - beta2**t)
            shrink = (
                {"l2": 0.0, "decoupled": rate, "unscaled": 1.0}[decay] * weight_decay * value[i]
            )
            value[i] = value[i] - rate * mean / (math.sqrt(square) + epsilon) - shrink
    return value


def weakest(weight, present, k):
    """Flat positions of the k connections of smallest magnitude; the higher position on ties."""
    n_in = weight.shape[1]
    order = sorted(positions(present), key=lambda p: (-abs(weight[divmod(p, n_in)]), p))
    return sorted(order[len(order) - k :])


def rigl_sets(weight, present, grad, k, allow=True):
    """The positions a RigL event drops and grows: sort everything, take the ends."""
    n_in, active = weight.shape[1], positions(present)
    if not allow:
        k = min(k, weight.size - len(active))
    dropped = weakest(weight, present, k)
    barred = [p for p in active if p not in dropped] if allow else active
    candidates = [p for p in range(weight.size) if p not in barred]
    candidates.sort(key=lambda p: (-abs(grad[divmod(p, n_in)]), p))
    return dropped, sorted(candidates[:k])


def rigl(weight, present, grad, momentum, k, regrow):
    """Weight, pattern and momentum, all dense, after a RigL event."""
    dropped, grown = rigl_sets(weight, present, grad, k, regrow != "forbid")
    weight, present, momentum = weight.copy(), present.copy(), momentum.copy()
    for p in dropped:
        if not (regrow == "keep" and p in grown):
            at = divmod(p, weight.shape[1])
            weight[at], present[at], momentum[at] = 0, False, 0
    for p in grown:
        present[divmod(p, weight.shape[1])] = True
    return weight, present, momentum


def masked_training(weights, patterns, biases, batches, rate, momentum, weight_decay):
    """Dense momentum SGD with L2 whose weights are multiplied by 0 where nothing is connected."""
    weights, biases = [w.copy() for w in weights], [b.copy() for b in biases]
    of_weights = [np.zeros_like(w) for w in weights]
    of_biases = [np.zeros_like(b) for b in biases]
    losses = []
    for x, labels in batches:
        loss, by_weight, by_bias = backpropagation(weights, biases, x, labels)
        losses.append(loss)
        for k in range(len(weights)):
            masked = (by_weight[k] + weight_decay * weights[k]) * patterns[k]
            of_weights[k] = momentum * of_weights[k] + masked
            of_biases[k] = momentum * of_biases[k] + by_bias[k] + weight_decay * biases[k]
            weights[k] = weights[k] - rate * of_weights[k]
            biases[k] = biases[k] - rate * of_biases[k]
    return weights, biases, losses


# ---------------------------------------------------------------- GGR and the local hybrid


def largest_of_all(candidates, grads, k):
    """The first k of the order (|g| descending, layer, position), as positions of each layer.

    `candidates` holds the positions of each layer that may be chosen.
    """
    every = [(layer, p) for layer, free in enumerate(candidates) for p in free]
    every.sort(key=lambda at: (-abs(grads[at[0]].flat[at[1]]), at[0], at[1]))
    chosen = [[] for _ in candidates]
    for layer, p in every[:k]:
        chosen[layer].append(p)
    return [sorted(positions) for positions in chosen]


def weakest_of_all(weights, presents, k):
    """How many of the k smallest magnitudes of a network each layer holds; higher ones on ties."""
    every = [(layer, p) for layer, present in enumerate(presents) for p in positions(present)]
    every.sort(key=lambda at: (-abs(weights[at[0]].flat[at[1]]), at[0], at[1]))
    counts = [0] * len(weights)
    for layer, _ in every[len(every) - k :]:
        counts[layer] += 1
    return counts


def ggr_sets(weights, presents, grads, n_drops, distribution, insertion, odd_to, forbid):
    """Of each layer: what drops, how many come, which the gradient chooses, what is free."""
    dropped = [weakest(w, p, n) for w, p, n in zip(weights, presents, n_drops, strict=True)]
    free = []
    for present, gone in zip(presents, dropped, strict=True):
        stay = [p for p in positions(present) if forbid or p not in gone]
        free.append([p for p in range(present.size) if p not in stay])
    numbers = list(n_drops)
    if distribution == "global":
        numbers = [len(c) for c in largest_of_all(free, grads, sum(n_drops))]
    best = []
    for layer, number in enumerate(numbers):
        half = number // 2 + (number % 2 if odd_to == "gradient" else 0)
        wanted = {"mixed": half, "gradient": number, "random": 0}[insertion]
        best.append(largest_of_all([free[layer]], [grads[layer]], wanted)[0])
    return dropped, numbers, best, free


# ---------------------------------------------------------------- DSR


def deal_out(shares, total, limits):
    """Integers in proportion to shares, within limits, that sum to total; largest remainder."""
    shares, full = [Fraction(s) for s in shares], []
    while True:
        rest = [k for k in range(len(shares)) if k not in full and shares[k] > 0]
        left = total - sum(limits[k] for k in full)
        parts = {k: left * shares[k] / sum(shares[j] for j in rest) for k in rest}
        over = [k for k in rest if parts[k] > limits[k]]
        if not over:
            break
        full.append(max(over, key=lambda k: parts[k] / limits[k] if limits[k] else math.inf))
    counts = [limits[k] if k in full else math.floor(parts.get(k, 0)) for k in range(len(shares))]
    order = sorted(rest, key=lambda k: (math.floor(parts[k]) - parts[k], k))
    for k in order[: total - sum(counts)]:
        counts[k] += 1
    return counts


def dsr(weights, presents, threshold, target, tolerance, keep_one, exclude, scaling, fraction=None):
    """Of each layer: what drops, how many grow, where they may; and the next threshold."""
    active = [positions(present) for present in presents]
    dropped = []
    for w, act in zip(weights, active, strict=True):
        if fraction is None:
            gone = [p for p in act if abs(w.flat[p]) < threshold]
        else:
            order = sorted(act, key=lambda p, w=w: (-abs(w.flat[p]), p))
            gone = sorted(order[max(0, len(act) - int(fraction * len(act)) - 1) :])
        dropped.append(gone[1:] if keep_one and gone == act else gone)
    pruned = sum(len(gone) for gone in dropped)

    def free(layer):
        barred = [p for p in active[layer] if exclude or p not in dropped[layer]]
        return [p for p in range(presents[layer].size) if p not in barred]

    while True:  # give back the largest until all that drop have a place
        layers = range(len(weights))
        if not scaling:
            crowded = [k for k in layers if len(dropped[k]) > len(free(k))]
            missing = sum(len(dropped[k]) - len(free(k)) for k in crowded[:1])
        else:
            crowded = list(layers)
            takers = [k for k in layers if len(active[k]) > len(dropped[k])]
            missing = sum(len(gone) for gone in dropped) - sum(len(free(k)) for k in takers)
        if missing <= 0:
            break
        every = [
            (-abs(weights[k].flat[p]), k, p)
            for k in crowded[: None if scaling else 1]
            for p in dropped[k]
        ]
        for _, k, p in sorted(every)[:missing]:
            dropped[k].remove(p)
    if scaling:
        kept = [len(act) - len(gone) for act, gone in zip(active, dropped, strict=True)]
        numbers = deal_out(kept, sum(len(gone) for gone in dropped), [len(free(k)) for k in layers])
    else:
        numbers = [len(gone) for gone in dropped]
    factor = 0.5 if pruned > (1 + tolerance) * target else 1
    factor = 2 if pruned < (1 - tolerance) * target else factor
    return dropped, numbers, [free(k) for k in layers], threshold * factor


def dsr_round(kept, total):
    """Shares rounded to the nearest integer, halves to even, as fractions."""
    return [round(Fraction(total * k, sum(kept))) for k in kept]


# ---------------------------------------------------------------- topology


def empty_units(present):
    """Whether each row, and each column, of a boolean array holds nothing."""
    n_out, n_in = present.shape
    rows = [not any(present[i, j] for j in range(n_in)) for i in range(n_out)]
    columns = [not any(present[i, j] for i in range(n_out)) for j in range(n_in)]
    return rows, columns


def downsized(presents):
    """Positions of each layer whose row and whose column hold something."""
    total = 0
    for present in presents:
        rows, columns = empty_units(present)
        total += sum(1 for row in rows for column in columns if not row and not column)
    return total


# ---------------------------------------------------------------- public codes of SET and RigL


def weakest_low(weight, present, k):
    """Flat positions of the k connections of smallest magnitude; the lower position on ties."""
    return sorted(sorted(positions(present), key=lambda p: (abs(weight.flat[p]), p))[:k])


def between_ranks(values, zeta):
    """What the SET authors' sparse code removes of a layer's weights, as indices."""
    v, n = sorted(values), len(values)
    if n == 0:
        return []
    p = min(range(n), key=lambda i: (abs(v[i]), i))
    backwards = v[::-1]
    q = n - min(range(n), key=lambda i: (abs(backwards[i]), i))
    lo, hi = v[int((1 - zeta) * p)], v[int(min(n - 1, q + zeta * (n - q)))]
    return [k for k, w in enumerate(values) if not (w < lo or w > hi)]


def between_ranks_masked(weight, present, zeta):
    """The same in their Keras code, which sorts the masked zeros too: positions removed."""
    masked = [weight.flat[p] if present.flat[p] else 0.0 for p in range(weight.size)]
    return [p for p in between_ranks(masked, zeta) if present.flat[p]]


def weakest_of_each_sign(weight, present, zeta):
    """A fraction of the smallest weights >= 0, and of the negative ones closest to 0."""
    active = positions(present)
    dropped = []
    for side in (
        [p for p in active if weight.flat[p] >= 0],
        [p for p in active if weight.flat[p] < 0],
    ):
        order = sorted(side, key=lambda p: (-abs(weight.flat[p]), p))
        dropped += order[len(side) - int(zeta * len(side)) :]
    return sorted(dropped)


def rigl_of_all(weight, present, grad, k, noise=None):
    """Positions that RigL's TensorFlow codes keep and grow: all positions are sorted by score."""
    size, n = weight.size, int(present.sum())
    scores = [abs(weight.flat[p]) if present.flat[p] else 0 * weight.flat[p] for p in range(size)]
    if noise is not None:
        scores = [score + noise.flat[p] for p, score in enumerate(scores)]
    kept = sorted(range(size), key=lambda p: (-scores[p], p))[: n - k]
    others = [p for p in range(size) if p not in kept]
    grown = sorted(others, key=lambda p: (-abs(grad.flat[p]), p))[:k]
    return sorted(kept), sorted(grown)


def rigl_itop(weight, present, grad, k):
    """Positions that ITOP drops and grows for a count k: its threshold is strict."""
    size, active = weight.size, positions(present)
    magnitudes = [abs(weight.flat[p]) if present.flat[p] else 0 for p in range(size)]
    zeros = size - len(active)
    threshold = sorted(magnitudes)[zeros + k - 1] if k else 0
    kept = [p for p in range(size) if magnitudes[p] > threshold]
    others = [p for p in range(size) if p not in kept]
    order = sorted(others, key=lambda p: (-abs(grad.flat[p]), p))
    return [p for p in active if p not in kept], sorted(order[: len(active) - len(kept)])


def rigl_margins(weight, present, grad, k, allow=True):
    """How far RigL's closest drop and its closest growth were from a tie."""
    dropped, grown = rigl_sets(weight, present, grad, k, allow)
    active = positions(present)
    kept = [abs(weight.flat[p]) for p in active if p not in dropped]
    gone = [abs(weight.flat[p]) for p in dropped]
    barred = [p for p in active if not (allow and p in dropped)] + grown
    rejected = [abs(grad.flat[p]) for p in range(weight.size) if p not in barred]
    best = [abs(grad.flat[p]) for p in grown]
    drop = min(kept) - max(gone) if kept and gone else math.inf
    return drop, (min(best) - max(rejected) if best and rejected else math.inf)


# ---------------------------------------------------------------- SNFS


def snfs_shares(presents, momenta):
    """Mean magnitude of momentum over the connections of each layer, of the sum of all layers'."""
    means = []
    for present, u in zip(presents, momenta, strict=True):
        values = [abs(float(u.flat[p])) for p in positions(present)]
        means.append(math.fsum(values) / len(values) if values else 0.0)
    return [mean / sum(means) if sum(means) else 0.0 for mean in means]


def snfs(weights, presents, momenta, removed, share):
    """Of each layer: what drops and what grows; what does both is in neither list."""
    gone = [weakest(w, p, n) for w, p, n in zip(weights, presents, removed, strict=True)]
    free = []
    for present, dropped in zip(presents, gone, strict=True):
        kept = [p for p in positions(present) if p not in dropped]
        free.append([p for p in range(present.size) if p not in kept])
    numbers = list(removed)
    if share:
        v = snfs_shares(presents, momenta)
        room = [len(places) for places in free]
        willing = sum(n for n, s in zip(room, v, strict=True) if s > 0)
        numbers = deal_out(v, min(sum(removed), willing), room)
        if sum(removed) > willing:
            others = [n if s == 0 else 0 for n, s in zip(removed, v, strict=True)]
            more = deal_out(others, sum(removed) - willing, room)
            numbers = [a + b for a, b in zip(numbers, more, strict=True)]
    out = []
    for u, dropped, places, n in zip(momenta, gone, free, numbers, strict=True):
        best = sorted(places, key=lambda p, u=u: (-abs(u.flat[p]), p))[:n]
        out.append((sorted(set(dropped) - set(best)), sorted(set(best) - set(dropped))))
    return out


def snfs_code(weights, presents, momenta, fraction, adjustment):
    """The same as the authors' code does it, on masks."""
    v, layers = snfs_shares(presents, momenta), range(len(weights))
    counts, sparsities = [int(p.sum()) for p in presents], []
    removed = {}
    for k in layers:
        sparsities.append((presents[k].size - counts[k]) / presents[k].size)
        rate = fraction
        if sparsities[k] < 0.2 and v[k] > 0 and (1 / len(v)) / v[k] < 1:
            rate = min(sparsities[k], fraction)
        removed[k] = math.ceil(rate * counts[k])
    regrowth, residual, mean_residual, sweeps = {}, 9999, 0, 0
    while residual > 0 and sweeps < 1000:
        residual = 0
        for k in layers:
            most = 0.99 * (presents[k].size - counts[k] + removed[k])
            if k not in regrowth:
                regrowth[k] = math.ceil(v[k] * (sum(removed.values()) + adjustment))
            wanted = regrowth[k] + mean_residual
            regrowth[k] = min(wanted, most)
            residual += wanted - most if wanted > most else 0
        mean_residual = residual / len(v)
        sweeps += 1
    out = []
    for k in layers:
        active = positions(presents[k])
        gone = weakest(weights[k], presents[k], removed[k])
        if removed[k] == 0:
            gone = [p for p in active if weights[k].flat[p] == 0]
        kept = [p for p in active if p not in gone]
        score = [0.0 if p in kept else abs(momenta[k].flat[p]) for p in range(presents[k].size)]
        order = sorted(range(len(score)), key=lambda p: (-score[p], p))
        new = set(kept) | set(order[: max(0, math.floor(regrowth[k]))])
        out.append((sorted(set(active) - new), sorted(new - set(active))))
    return out


# ---------------------------------------------------------------- DeepR, Top-KAST


def deepr_step(theta, signs, active, grad, rate, alpha):
    """θ of all positions after one update without noise; grad is by the weight."""
    return [
        t - rate * s * g - rate * alpha if on else t
        for t, s, g, on in zip(theta, signs, grad, active, strict=True)
    ]


def deepr_dormant(theta, active, rule="not_positive"):
    """Positions that go dormant."""
    gone = (lambda t: t < 0) if rule == "negative" else (lambda t: t <= 0)
    return [k for k, on in enumerate(active) if on and gone(theta[k])]


def topkast_sets(theta, n_forward, n_backward):
    """The positions of A and of B: sort everything."""
    order = sorted(range(len(theta)), key=lambda k: (-abs(theta[k]), k))
    return sorted(order[:n_forward]), sorted(order[:n_backward])


def topkast_penalty(theta, forward, backward, density, form="l1"):
    """The penalty of A and, over D, that of the rest of B."""
    parts = [theta[k] for k in forward], [theta[k] for k in backward if k not in forward]
    if form == "l1":
        values = [math.fsum(abs(t) for t in part) for part in parts]
    else:
        values = [math.fsum(t * t for t in part) for part in parts]
        values = [math.sqrt(v) for v in values] if form == "l2_norm" else values
    return values[0] + (values[1] / density if parts[1] else 0.0)


# ---------------------------------------------------------------- ITOP


def itop_pruned(weight, present, n, threshold):
    """Flat positions that go: the n weakest, or all up to the n-th weakest of the whole array."""
    active = positions(present)
    if not threshold:
        return weakest(weight, present, n)
    if n == 0:
        return [p for p in active if weight.flat[p] == 0]
    ascending = sorted(abs(w) for w in weight.flat)
    tau = ascending[weight.size - len(active) + n - 1]
    return [p for p in active if not abs(weight.flat[p]) > tau]


def itop_free(weight, present, dropped, visited):
    """Positions that may grow, and those of them that were never connected."""
    free = [p for p in range(weight.size) if p not in positions(present) or p in dropped]
    return free, [p for p in free if p not in visited]


def splitmix64(seed, number):
    """Output `number` of the generator SplitMix64 (Steele, Lea, Flood 2014), 64 bits."""
    z = (seed + number * 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


# ---------------------------------------------------------------- degrees, stability


def degrees(present):
    """In-degree of each row's unit, out-degree of each column's."""
    rows, columns = present.shape
    entering = [sum(bool(present[i, j]) for j in range(columns)) for i in range(rows)]
    leaving = [sum(bool(present[i, j]) for i in range(rows)) for j in range(columns)]
    return entering, leaving


def pearson(x, y):
    """Of whole numbers or halves, in fractions up to the last root; nan if one is constant."""
    x, y, n = [Fraction(a) for a in x], [Fraction(b) for b in y], len(x)
    mean_x, mean_y = sum(x) / n, sum(y) / n
    both = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    spread = sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y)
    return float(both) / math.sqrt(spread) if spread else math.nan


def mean_ranks(numbers):
    """1 + how many are smaller, + half of how many others are equal."""
    return [
        1 + sum(b < a for b in numbers) + Fraction(sum(b == a for b in numbers) - 1, 2)
        for a in numbers
    ]


def stability(denses, presents, alive):
    """Mean |change| of one layer's weights: of pairs of iterations, then over pairs."""
    pairs = []
    for k in range(1, len(denses)):
        changes = []
        for p in range(denses[k].size):
            both = presents[k - 1].flat[p] and presents[k].flat[p]
            if alive == "masked" or both:
                changes.append(abs(float(denses[k].flat[p]) - float(denses[k - 1].flat[p])))
        pairs.append(changes)
    if alive == "pooled":
        pairs = [[change for changes in pairs for change in changes]]
    means = [math.fsum(changes) / len(changes) for changes in pairs if changes]
    return math.fsum(means) / len(means) if means else math.nan


# ---------------------------------------------------------------- paths


def walks(presents):
    """Every path from an input to an output, as the units it visits."""
    paths = [[j] for j in range(presents[0].shape[1])]
    for present in presents:
        paths = [[*p, i] for p in paths for i in range(len(present)) if present[i, p[-1]]]
    return paths


def counted_walks(presents):
    """Paths from each input (column) to each output (row), counted one by one."""
    counts = np.zeros((presents[-1].shape[0], presents[0].shape[1]), int)
    for path in walks(presents):
        counts[path[-1], path[0]] += 1
    return counts


def effective(presents, mode):
    """The connections on a path from an input to an output, from an input, or to an output."""
    out = [np.zeros(present.shape, bool) for present in presents]
    for k in range(len(presents)):
        first = 0 if mode in ("both", "input") else k
        last = len(presents) if mode in ("both", "output") else k + 1
        for path in walks(presents[first:last]):
            out[k][path[k - first + 1], path[k - first]] = True
    return out


def compressed(presents):
    """Widths and sparsities by the sweep of RigL's code, on (n_in, n_out) masks that shrink."""
    masks = [np.array(present.T) for present in presents]
    masks[0] = masks[0][masks[0].any(axis=1)]
    left = []
    for k in range(len(masks)):
        keep = masks[k].any(axis=0)
        if k + 1 < len(masks):
            keep = keep & masks[k + 1].any(axis=1)
            masks[k + 1] = masks[k + 1][keep]
        left.append(masks[k][:, keep])
    return [left[0].shape[0], *(mask.shape[1] for mask in left)], [
        1 - mask.sum() / mask.size if mask.size else math.nan for mask in left
    ]


# ---------------------------------------------------------------- generators of topologies


def radix_net(systems, widths, direction):
    """Dense 0/1 layers (n_out, n_in): sums of shifted identities, then Kronecker products."""
    units, layers = math.prod(systems[0]), []
    for system in systems:
        value = 1
        for radix in system:
            shifts = [np.roll(np.eye(units), direction * j * value, axis=1) for j in range(radix)]
            ones = np.ones((widths[len(layers)], widths[len(layers) + 1]))
            layers.append(np.kron(ones, sum(shifts)).T)
            value *= radix
    return layers


def erdos_renyi_densities(shapes, density):
    """ε and the densities, exact: the densest layers are complete, as few of them as will do."""
    sizes = [math.prod(shape) for shape in shapes]
    ratios = [Fraction(sum(shape), size) for shape, size in zip(shapes, sizes, strict=True)]
    budget = Fraction(density) * sum(sizes)
    for bound in [math.inf, *sorted(set(ratios), reverse=True)]:
        full = [ratio >= bound for ratio in ratios]
        if all(full):
            return 0, [1] * len(sizes)
        taken = sum(size for size, complete in zip(sizes, full, strict=True) if complete)
        units = sum(sum(s) for s, complete in zip(shapes, full, strict=True) if not complete)
        epsilon = (budget - taken) / units
        densities = [1 if c else epsilon * r for c, r in zip(full, ratios, strict=True)]
        if max(densities) <= 1:
            return epsilon, densities
    return None


def expected_distinct(positions, draws):
    """How many of `positions` come up in that many draws with replacement, on average."""
    return positions * (1 - (1 - 1 / positions) ** draws)


def challenge_inference(layers, x, bias, ceiling):
    """The recurrence of the sparse DNN challenge on dense layers (n_out, n_in)."""
    out = []
    for example in x:
        y = [float(v) for v in example]
        for layer in layers:
            z = [math.fsum(w * v for w, v in zip(row, y, strict=True)) for row in layer]
            y = [0.0 if v == 0 else min(max(v + bias, 0.0), ceiling) for v in z]
        out.append(y)
    return np.array(out)


# ---------------------------------------------------------------- NNSTD, masks, spectra


def edit_distance(one, other):
    """Share of what only one of two sets holds in what either holds; of two empty sets 0."""
    return Fraction(len(one ^ other), len(one | other)) if one | other else Fraction(0)


def input_sets(present, names):
    """What each unit reads; input j goes by ``names[j]``."""
    return [frozenset(names[j] for j in np.flatnonzero(row)) for row in present]


def layer_costs(one, other, order):
    """Edit distances of all units; input ``order[j]`` of `other` is input j of `one`."""
    names = {partner: j for j, partner in enumerate(order)}
    first, second = input_sets(one, range(len(order))), input_sets(other, names)
    return [[edit_distance(a, b) for b in second] for a in first]


def least_mean_cost(costs):
    """Over every way to pair the rows with the columns."""
    n = len(costs)
    pairings = itertools.permutations(range(n))
    return min(sum((costs[i][p[i]] for i in range(n)), Fraction(0)) for p in pairings) / n


def mask_counts(some, others):
    """Positions in both, in at least one, and in exactly one, over the layers of two networks."""
    pairs = [
        (bool(a), bool(b))
        for one, other in zip(some, others, strict=True)
        for a, b in zip(one.flat, other.flat, strict=True)
    ]
    return tuple(sum(rule(a, b) for a, b in pairs) for rule in (min, max, lambda a, b: a != b))


def two_largest_singular_values(present):
    """Of a pattern, by the dense decomposition."""
    values = [*np.linalg.svd(np.array(present, float), compute_uv=False), 0.0, 0.0]
    return values[0], values[1]


# ---------------------------------------------------------------- analysis


def thinned(weights, presents, counts):
    """Dense weights without the `counts[k]` smallest of layer k; of all layers if one number."""
    if isinstance(counts, int):
        counts = weakest_of_all(weights, presents, counts)
    left = []
    for weight, present, count in zip(weights, presents, counts, strict=True):
        values = (weight * present).ravel()
        values[weakest(weight, present, count)] = 0
        left.append(values.reshape(weight.shape))
    return left


def ensemble(outputs, average):
    """Mean over the members of what each says of an example and a class."""
    scores = []
    for member in outputs:
        probabilities = np.array([softmax(logits) for logits in member])
        votes = np.zeros_like(probabilities)
        for example, logits in enumerate(member):
            votes[example, list(logits).index(max(logits))] = 1
        scores.append(
            {
                "softmax": probabilities,
                "logits": member,
                "log_probabilities": np.log(probabilities),
                "vote": votes,
            }[average]
        )
    return sum(scores) / len(scores)


def agreements(outputs):
    """Examples on which each two members have the same first largest output."""
    classes = [[list(logits).index(max(logits)) for logits in member] for member in outputs]
    return [[sum(a == b for a, b in zip(m, n, strict=True)) for n in classes] for m in classes]


def trajectories(denses, presents):
    """By position: a list of values, None where the weight does not exist."""
    found = {}
    for position in range(denses[0].size):
        line = [
            float(dense.flat[position]) if present.flat[position] else None
            for dense, present in zip(denses, presents, strict=True)
        ]
        if any(value is not None for value in line):
            found[position] = line
    return found


# ---------------------------------------------------------------- scores at initialisation


def hessian_product(weights, biases, x, labels, direction, temperature=1.0):
    """Hessian of an MLP's mean cross-entropy by its weights, times a direction.

    By a complex step: the gradient at ``w + i h v`` has the imaginary part ``h H v``, exact to
    rounding for a tiny h. Nothing is conjugated.
    """
    step, n = 1e-30, len(labels)
    moved = [w + 1j * step * v for w, v in zip(weights, direction, strict=True)]
    activations, sums = [x], []
    for weight, bias in zip(moved, biases, strict=True):
        sums.append(activations[-1] @ weight.T + bias)
        activations.append(np.where(sums[-1].real > 0, sums[-1], 0))
    delta = np.zeros(sums[-1].shape, complex)
    for e in range(n):
        z = sums[-1][e] / temperature
        shares = np.exp(z - max(z.real))
        delta[e] = shares / shares.sum()
        delta[e, labels[e]] -= 1
        delta[e] /= n * temperature
    products = []
    for k in reversed(range(len(moved))):
        products.insert(0, (delta.T @ activations[k]).imag / step)
        if k:
            delta = (delta @ moved[k]) * (sums[k - 1].real > 0)
    return products


def path_flows(weights, biases):
    """R, and of each weight the products of magnitudes over all paths through it, in R."""
    weights, biases = [abs(w) for w in weights], [abs(b) for b in biases]
    units = [weights[0].shape[1], *(len(w) for w in weights)]
    flows, everything = [np.zeros(w.shape) for w in weights], 0.0
    for start in range(len(units)):  # from an input, or from the bias of a unit
        for path in itertools.product(*map(range, units[start:])):
            flow = biases[start - 1][path[0]] if start else 1.0
            steps = list(zip(range(start, len(weights)), path, path[1:], strict=False))
            for k, j, i in steps:
                flow *= weights[k][i, j]
            for k, j, i in steps:
                flows[k][i, j] += flow
            everything += flow
    return everything, flows


def synflow_masks(weights, kept_counts):
    """Masks after rounds that leave so many, of equal flows the first; scores by dense products."""
    masks = [np.ones(w.shape, bool) for w in weights]
    for n_kept in kept_counts:
        masked = [abs(w) * m for w, m in zip(weights, masks, strict=True)]
        flows = []
        for k, w in enumerate(masked):
            before, behind = np.ones(masked[0].shape[1]), np.ones(len(masked[-1]))
            for earlier in masked[:k]:
                before = earlier @ before
            for later in reversed(masked[k + 1 :]):
                behind = later.T @ behind
            flows.append(np.where(masks[k], w * np.outer(behind, before), -1.0))
        masks = pooled_masks(flows, n_kept)
    return masks


def pooled_masks(scores, n_kept):
    """Where the `n_kept` largest scores of all arrays are, of equal ones the first."""
    order = sorted(
        ((-s, k, i) for k, part in enumerate(scores) for i, s in enumerate(part.flat)),
    )
    masks = [np.zeros(part.shape, bool) for part in scores]
    for _, k, i in order[:n_kept]:
        masks[k].flat[i] = True
    return masks


def snip_masks(weights, biases, x, labels, kept_counts, frozen):
    """Masks after rounds of SNIP on masked dense weights; a removed one may come back or not."""
    masks = [np.ones(w.shape, bool) for w in weights]
    for n_kept in kept_counts:
        masked = [w * m for w, m in zip(weights, masks, strict=True)]
        _, grads, _ = backpropagation(masked, biases, x, labels)
        scores = [abs(w * g) for w, g in zip(weights, grads, strict=True)]
        if frozen:
            scores = [np.where(m, s, -1.0) for s, m in zip(scores, masks, strict=True)]
        masks = pooled_masks(scores, n_kept)
    return masks


# ---------------------------------------------------------------- DNW, edge-popup


def dnw_mask(weight, density):
    """True at the ``n - int((1 - density) n)`` largest of a layer, one after the other."""
    n = weight.size
    order = sorted(range(n), key=lambda at: (-abs(weight.flat[at]), at))
    mask = np.zeros(n, bool)
    for at in order[: n - int((1 - density) * n)]:
        mask[at] = True
    return mask.reshape(weight.shape)


def dnw_training(weight, density, batches, rate, momentum):
    """One linear layer without bias, squared error, every weight trained straight through."""
    weight = [[float(w) for w in row] for row in weight]
    slow = [[0.0] * len(row) for row in weight]
    for x, targets in batches:
        mask = dnw_mask(np.array(weight), density)
        n, (rows, columns) = len(x), mask.shape
        for i in range(rows):
            errors = []
            for e in range(n):
                y = sum(weight[i][j] * x[e, j] for j in range(columns) if mask[i, j])
                errors.append((y - targets[e, i]) / n)
            for j in range(columns):
                grad = sum(errors[e] * x[e, j] for e in range(n))
                slow[i][j] = momentum * slow[i][j] + grad
                weight[i][j] -= rate * slow[i][j]
    return weight


# ---------------------------------------------------------------- pruning


def pruned_exactly(weight, present, k):
    """The mask after the k smallest magnitudes have gone; of equals the last in order go."""
    places = [p for p in np.ndindex(weight.shape) if present[p]]
    order = sorted(range(len(places)), key=lambda i: (abs(weight[places[i]]), -i))
    after = present.copy()
    for i in order[:k]:
        after[places[i]] = False
    return after


def pruned_by_google(weight, present, p):
    """``prune_by_percent_once`` of google-research/lottery-ticket-hypothesis."""
    ordered = sorted(abs(w) for w, here in zip(weight.flat, present.flat, strict=True) if here)
    cutoff = ordered[int(np.round(p * len(ordered)))]
    return present & ~(np.abs(weight) <= cutoff)


def pruned_by_open_lth(weights, presents, p, ignored=()):
    """The sparse global strategy of facebookresearch/open_lth: the masks after it."""
    k = int(np.ceil(p * sum(present.sum() for present in presents)))
    layers = [i for i in range(len(weights)) if i not in ignored]
    pool = [np.abs(weights[i][presents[i]]) for i in layers]
    threshold = np.sort(np.concatenate(pool))[k]
    return [
        presents[i] & (np.abs(weights[i]) > threshold) if i in layers else presents[i]
        for i in range(len(weights))
    ]


def pruned_by_tfmot(weight, sparsity):
    """The mask that tfmot makes of a weight whose masked entries are zeros."""
    k = int(max(np.round(np.float32(weight.size) * (np.float32(1) - np.float32(sparsity))), 1))
    threshold = np.sort(np.abs(weight).reshape(-1))[::-1][k - 1]
    return np.abs(weight) >= threshold


def channel_norms(weight, q, axis, block):
    """Norm of every channel of a dense weight with zeros where nothing is."""
    n = weight.shape[axis] // block
    channels = (
        weight[c] if axis == 0 else weight[:, c * block : (c + 1) * block] for c in range(n)
    )
    rules = {
        1: lambda v: sum(v),
        2: lambda v: math.sqrt(sum(x * x for x in v)),
        np.inf: max,
        -np.inf: min,
    }
    return [rules[q]([abs(float(x)) for x in channel.flat]) for channel in channels]


def histogram_threshold(magnitudes, sparsity, nbins):
    """TF contrib's threshold of a layer, its masked zeros among the magnitudes."""
    top = max(magnitudes)
    counts = [0] * nbins
    for size in magnitudes:
        counts[min(nbins - 1, math.floor(nbins * (size / top)))] += 1
    below = sum(sum(counts[: i + 1]) / len(magnitudes) < sparsity for i in range(nbins))
    return below / nbins * top


def contrib_masks(weights, sparsities, nbins, decay):
    """The masks of one layer that TF contrib makes, update by update, of these weights."""
    threshold, masks = 0.0, []
    for weight, sparsity in zip(weights, sparsities, strict=True):
        now = histogram_threshold(np.abs(weight).reshape(-1), sparsity, nbins)
        threshold = now * (1 - decay) + threshold * decay
        masks.append(np.abs(weight) > threshold)
    return masks


def quadrant(initial, final, present, percent):
    """Zhou et al.'s ``large_init_large_final`` on dense arrays: the mask, without ties."""
    sides = []
    for weight in (initial, final):
        score = np.abs(weight).astype(float)
        score[~present] = -9999
        sides.append(score)
    size, alive = present.size, present.sum()
    target = ((size - alive) + alive * (percent / 100)) / size * 100

    def count(percentile):
        bounds = [np.percentile(score, percentile) for score in sides]
        stay = (sides[0] >= bounds[0]) & (sides[1] >= bounds[1])
        return size - stay.sum()

    low, high = 0.0, target
    found = None
    while found is None:
        middle = (low + high) / 2
        if count(middle) == int(size * target / 100):
            found = middle
        elif high - low < 1e-4:
            found = high
        elif count(middle) > int(size * target / 100):
            high = middle
        else:
            low = middle
    mask = np.ones(present.shape, bool)
    for score in sides:
        order = np.argsort(score.reshape(-1), kind="stable")
        mask.reshape(-1)[order[: int(size * found / 100)]] = False
    return mask
