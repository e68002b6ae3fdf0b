"""Recipe: SET against a fixed random topology and a dense network, on 2,000 images.

References
----------
The code and results that SET's authors published with the tutorial "Scalable Deep Learning: from
theory to practice" (ECML-PKDD 2019), folder ``Tutorial-ECMLPKDD-2019-Scalable-Deep-Learning`` of
github.com/dcmocanu/sparse-evolutionary-artificial-neural-networks; the method is that of Mocanu et
al. (2018), Nature Communications 9:2383.

As in that code
---------------
* 784-1000-1000-1000-10, ReLU, sigmoid outputs, squared error with the derivative of the sigmoid
  taken at its own output; sparse layers by ``13 (n_in + n_out)`` draws with replacement, the output
  layer too; weights N(0, 0.1²), biases 0.
* Batches of 40; momentum 0.9; 0.0002 of every weight and bias comes off at every step, whatever the
  learning rate; gradients are means over the batch, the rate is 0.05.
* The dense code adds its weight gradients up where it averages those of biases, at rate 0.001: here
  0.04 for weights and 0.001 for biases.
* Dropout 0.2 without scaling: see `sparse_ref.layers.unscaled_dropout`.
* Examples: NumPy's legacy shuffle with seed 0 of the training and then of the test images.
* SET replaces connections of every layer after every epoch but the last; accuracy is measured
  before it does.

Departures
----------
* float32; the code computes in float64.
* Other random streams: the code's seeds 0-4 and ours are five trainings each, not the same five.

Not verified
------------
* The dense and the fixed network's programs were read as copies in another folder of the repository
  (``SET-MLP-P/models``, which name the tutorial), not in the tutorial's own.
* The code shuffles an ``.npz`` of Fashion-MNIST; that its images stand in the order of the original
  files is assumed.
* Which settings made the published results is not stated beside them; taken is what the programs
  say.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sparse_ref import plots
from sparse_ref.experiments.config import parse
from sparse_ref.experiments.evidence import Sample, near, ordered, percent
from sparse_ref.experiments.legacy_shuffle import shuffled
from sparse_ref.experiments.recipe import Context, Figure, Images, Report, Table
from sparse_ref.experiments.runner import Data
from sparse_ref.experiments.sweep import Job, Outcome

EPSILON, SUBSET_SEED, BATCH_SIZE = 13, 0, 40
SET, FIXED, DENSE = "SET", "fixed", "dense"
NETWORKS = (SET, FIXED, DENSE)


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    train: int = 2000
    test: int = 1000
    hidden: int = 1000
    epochs: int = 400
    seeds: int = 5


SETTINGS = {
    "smoke": Settings(train=200, test=200, hidden=60, epochs=3, seeds=2),
    "laptop": Settings(),
    "paper": Settings(),
}

# Fractions of the 1,000 test images, by seed 0 ... 4: the files of ``Pretrained_results``.
PUBLISHED = {
    SET: Sample("published", (0.826, 0.836, 0.831, 0.812, 0.823)),
    FIXED: Sample("published", (0.811, 0.809, 0.798, 0.811, 0.801)),
    DENSE: Sample("published", (0.823, 0.818, 0.817, 0.822, 0.819)),
}
PUBLISHED_BEST = {SET: 0.8372, FIXED: 0.8162, DENSE: 0.8400}  # means of the best epochs' accuracies
SIMILAR = 0.015  # a standard error of one accuracy on 1,000 images is 1.2 points


def learning_curves(context: Context) -> Report:
    """Train the three networks with five seeds and compare them after the last epoch."""
    settings = SETTINGS[context.scale]
    images = context.images("fashion-mnist")
    seeds = context.seed_numbers(settings.seeds, first=0)
    jobs = [_job(name, settings, images.name, seed) for name in NETWORKS for seed in seeds]
    outcomes = context.train(jobs, {"data": _subset(images, settings)})
    ended = {
        name: [o for o in outcomes if o.job.name == name and not o.failure] for name in NETWORKS
    }
    return _report(ended, settings)


def _subset(images: Images, settings: Settings) -> Data:
    parts, sizes = (images.train, images.test), (settings.train, settings.test)
    orders = shuffled(SUBSET_SEED, [len(y) for _, y in parts])
    pairs = zip(parts, orders, sizes, strict=True)
    train, test = ((x[order[:n]], y[order[:n]]) for (x, y), order, n in pairs)
    return Data(train, None, test)


def _job(name: str, settings: Settings, data: str, seed: int) -> Job:
    sizes = [784, *[settings.hidden] * 3, 10]
    draws = [EPSILON * (a + b) for a, b in pairwise(sizes)]
    positions = sum(a * b for a, b in pairwise(sizes))
    sparse = {"density": min(1.0, sum(draws) / positions), "distribution": draws}
    model = {
        "sizes": sizes,
        **({"density": None} if name == DENSE else sparse),
        "draw": "with_replacement",
        "initialisation": "set",
        "dropout": 0.2,
        "dropout_rule": "mocanu_code",
        "loss": "sigmoid_squared_error_mocanu_code",
    }
    optimizer = {
        # A sum over the batch at 0.001 is a mean at 0.04; biases are averaged, at 0.001.
        "learning_rate": 0.001 * BATCH_SIZE if name == DENSE else 0.05,
        "bias_factor": 1 / BATCH_SIZE if name == DENSE else 1.0,
        "schedule": "constant",
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.0002,
        "decay": "unscaled",
    }
    evolves = {
        "name": "set",
        "convention": "set-dcmocanu",
        "options": {"drop_fraction": 0.3, "grow_std": 0.1},
    }
    config = {
        "data": {"name": data, "validation": 0.0},
        "model": model,
        "method": (evolves if name == SET else {"name": "static"}) | {"until": 1.0},
        "optimizer": optimizer,
        "epochs": settings.epochs,
        "batch_size": BATCH_SIZE,
        "seed": seed,
    }
    return Job(name, parse(config, "set_tutorial"), curve=True)


def _report(ended: dict[str, list[Outcome]], settings: Settings) -> Report:
    final = {name: _sample(name, group, -1) for name, group in ended.items()}
    best = {name: _sample(name, group, None) for name, group in ended.items()}
    curves = {
        name: np.array([o.curve["test"] for o in group]) for name, group in ended.items() if group
    }
    title = f"{settings.train:,} training images"
    return Report(
        tables=[_table(ended, final, best)],
        claims=_claims(final),
        pictures={"learning_curves.png": plots.learning_curves({title: curves}, "test accuracy")},
        notes=_notes(settings),
        numbers={
            "final": {name: sample.values for name, sample in final.items()},
            "best": {name: sample.values for name, sample in best.items()},
            "curves": curves,
            "published_final": {name: sample.values for name, sample in PUBLISHED.items()},
            "published_best_mean": PUBLISHED_BEST,
        },
    )


def _sample(name, group, epoch):
    """Accuracies at an epoch; None: at each training's best one."""
    curves = [outcome.curve["test"] for outcome in group]
    return Sample(name, tuple(float(c.max() if epoch is None else c[epoch]) for c in curves))


def _table(ended, final, best):
    headings = (
        "network",
        "connections\nmean",
        "last epoch %\npublished",
        "last epoch %\nhere",
        "best epoch %\npublished",
        "best epoch %\nhere",
        "training\nseconds",
    )
    rows = [
        (
            name,
            f"{np.mean([sum(o.connections[1]) for o in group]):,.0f}" if group else "–",
            percent(PUBLISHED[name].values),
            percent(final[name].values),
            f"{100 * PUBLISHED_BEST[name]:.2f}",
            percent(best[name].values),
            f"{np.mean([o.seconds for o in group]):.1f}" if group else "–",
        )
        for name, group in ended.items()
    ]
    return Table("Test accuracy, mean ± standard deviation over seeds", headings, tuple(rows))


def _claims(final):
    claims = [
        ordered(f"{a} ends above {b} (published {_means(a, b)})", [final[a], final[b]])
        for a, b in ((SET, FIXED), (SET, DENSE), (DENSE, FIXED))
    ]
    return claims + [
        near(
            f"{name} ends at {percent(PUBLISHED[name].values)} %", sample, PUBLISHED[name], SIMILAR
        )
        for name, sample in final.items()
    ]


def _means(a, b):
    return " and ".join(f"{100 * PUBLISHED[name].mean:.2f} %" for name in (a, b))


def _notes(settings):
    notes = ["the best epoch is chosen by the test images themselves, as in the published files"]
    if settings != Settings():
        notes.append(
            f"reduced: {settings.train:,} training images, {settings.hidden} hidden units a layer, "
            f"{settings.epochs} epochs; published: 2,000, 1,000, 400"
        )
    return notes


FIGURES = {
    "learning_curves": Figure(
        "SET, a fixed random topology and a dense network on 2,000 images of Fashion-MNIST",
        "Mocanu et al., ECML-PKDD 2019 tutorial, published results",
        learning_curves,
    )
}
