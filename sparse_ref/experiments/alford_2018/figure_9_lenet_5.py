"""Figure 9, LeNet-5 on MNIST: accuracy at fixed channels and at fixed connections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparse_ref.experiments.alford_2018 import pictures
from sparse_ref.experiments.alford_2018.figure_9 import ALMOST, EQUAL, LAST, accuracy, named
from sparse_ref.experiments.alford_2018.lenet_5 import XNET, Net5, config, has_radix
from sparse_ref.experiments.alford_2018.networks import DENSE, RADIX, RANDOM, parts
from sparse_ref.experiments.evidence import Sample, near, ordered, percent
from sparse_ref.experiments.recipe import Context, Report, Table
from sparse_ref.experiments.sweep import Job, Outcome

FEWER = ((1, 0.5), (1, 0.1), (1, 0.05), (1, 0.01))  # channels fixed
WIDER = ((2, 0.5), (10, 0.1))  # connections fixed
FREE = 0.05  # density through which LeNet-5 "loses only one percent accuracy"

Place = tuple[int, float]  # how many times as wide, density
Found = Mapping[Net5, Sequence[Outcome]]  # the trainings that ended


@dataclass(frozen=True)
class Settings:
    """What differs between scales."""

    data: str = "mnist"
    images: int | None = None  # for training; None: all 55,000
    epochs: int = 18  # 9,900 steps; the authors' program takes 10,000
    seeds: int = 10
    fewer: tuple[Place, ...] = FEWER
    wider: tuple[Place, ...] = WIDER
    structured: tuple[Place, ...] = ((1, 0.1), (2, 0.5))  # of which there are others than random
    last: int = LAST  # epochs whose accuracies are averaged
    tested: int | None = None  # test images; None: all

    @property
    def nets(self) -> list[Net5]:
        """Every network, from dense to sparse, then wider and wider."""
        every = [Net5(DENSE)]
        for place in (*self.fewer, *self.wider):
            every.append(Net5(RANDOM, *place))
            if place in self.structured:
                every.append(Net5(RADIX if has_radix(*place) else XNET, *place))
        return every


SETTINGS = {
    "smoke": Settings(
        "fashion-mnist", 200, 1, 1, ((1, 0.1), (1, 0.05)), ((2, 0.5),), last=1, tested=100
    ),
    "laptop": Settings(images=20_000, epochs=3, seeds=2, wider=((2, 0.5),), last=1),
    "paper": Settings(),
}


def run(context: Context) -> Report:
    """Train all networks and compare them."""
    settings = SETTINGS[context.scale]
    images = context.images(settings.data)
    seeds = context.seed_numbers(settings.seeds)
    # The widest first: a worker that is left with them would keep everybody waiting.
    order = sorted(settings.nets, key=lambda net: -net.connections * net.times)
    cells = [(net, seed) for net in order for seed in seeds]
    jobs = [_job(net, seed, settings, images.name) for net, seed in cells]
    data = parts(images, settings.images, settings.tested)
    found: dict[Net5, list[Outcome]] = {net: [] for net in settings.nets}
    for (net, _), outcome in zip(cells, context.train(jobs, {"data": data}), strict=True):
        found[net] += [] if outcome.failure else [outcome]
    return report(found, settings, images.name)


def _job(net: Net5, seed: int, settings: Settings, data: str) -> Job:
    wide = "" if net.times == 1 else f" x{net.times}"
    whole = config(net, settings.epochs, seed, data)
    return Job(f"{net.kind}{wide}", whole, curve=True, start=net.start(seed))


def report(found: Found, settings: Settings, data: str) -> Report:
    """What the trainings came to."""
    samples = {
        net: Sample(named(net), tuple(accuracy(outcome, settings.last) for outcome in outcomes))
        for net, outcomes in found.items()
    }
    titles = "channels fixed: LeNet-5", "connections fixed: k times the second convolution"
    return Report(
        tables=[_table(found, samples, data)],
        claims=_claims(samples, settings),
        pictures={"figure_9_lenet_5.png": pictures.accuracies(samples, titles)},
        notes=_notes(settings, data),
        numbers={
            "accuracy": [
                {**net._asdict(), "values": list(sample.values)} for net, sample in samples.items()
            ]
        },
    )


def _table(found, samples, data):
    rows = []
    for net, sample in samples.items():
        group = found[net]
        counts = [sum(outcome.connections[1]) for outcome in group]
        rows.append(
            (
                net.kind,
                f"{net.times}",
                f"{net.density:g}",
                f"{sum(counts) / len(counts):,.0f}" if counts else "–",
                f"{100 * net.published:.2f}" if net.published else "",
                percent(sample.values),
                f"{sum(o.seconds for o in group) / len(group):.0f}" if group else "–",
            )
        )
    headings = (
        "network",
        "times\nas wide",
        "density",
        "connections",
        "published\n%",
        "here\n%",
        "training\nseconds",
    )
    return Table(
        f"Test accuracy of LeNet-5 on {data}, mean ± standard deviation over seeds; connections "
        "with those of the first and the last layer, which are dense; seconds of one core",
        headings,
        tuple(rows),
    )


def _claims(samples, settings):
    dense = samples[Net5(DENSE)]
    fewer, wider = (
        [samples[Net5(RANDOM, *place)] for place in places]
        for places in (settings.fewer, settings.wider)
    )
    through = samples[Net5(RANDOM, 1, FREE)]
    return [
        ordered(
            "accuracy falls with the density if the channels are fixed", [dense, *fewer], "paired"
        ),
        near("it loses only one percent accuracy through 95 % sparsity", through, dense, ALMOST),
        *(
            near("sparse versions perform very well at fixed connections", sample, dense, ALMOST)
            for sample in wider
        ),
        *(
            near(
                f"{net.kind}s of channels are equal in performance to random nets (not tested in "
                "the paper)",
                sample,
                samples[net._replace(kind=RANDOM)],
                EQUAL,
            )
            for net, sample in samples.items()
            if net.kind in (RADIX, XNET)
        ),
    ]


def _notes(settings, data):
    notes = [
        f"trained on {data}; the second convolution and the layer after it are sparse",
        "RadiX-Nets and X-Nets of whole kernels are ours, not verified: the paper has random nets "
        "only on LeNet-5, and no rule for convolutions",
        "weight decay is on convolutions and biases too; in the authors' program it is on weights "
        "of fully connected layers only; the paper's part on CIFAR-10 is left out",
    ]
    paper = SETTINGS["paper"]
    if settings != paper:
        images = f"{settings.images:,}" if settings.images else "all"
        notes.append(
            f"reduced: {images} training images, {settings.epochs} epochs ({paper.epochs} at scale "
            f"paper), {settings.seeds} seeds unless asked otherwise ({paper.seeds}), widths up to "
            f"{max(times for times, _ in settings.wider)} ({paper.wider[-1][0]}); the accuracy is "
            "that after the last epoch"
        )
    return notes
