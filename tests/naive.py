"""The slow, obvious twin of every fast function. Imports nothing of ours.

Dense arrays, Python loops, one formula a line: what the library does is compared with what these
say. Weights are ``(n_out, n_in)``, examples are rows ``(n, features)``.
"""

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
            shrink = rate * weight_decay * value[i] if decay == "decoupled" else 0.0
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
            shrink = rate * weight_decay * value[i] if decay == "decoupled" else 0.0
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
