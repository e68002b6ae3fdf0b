"""Figure 4: DNW with a structure that is frozen after k epochs (section 5)."""

from sparse_ref.experiments.evidence import Sample, ordered
from sparse_ref.experiments.recipe import Report, Table
from sparse_ref.experiments.van_gelder_2020 import pictures
from sparse_ref.experiments.van_gelder_2020.networks import DNW, Net, Study
from sparse_ref.experiments.van_gelder_2020.settings import Settings

FEW = 3  # "the first few epochs"


def wanted(settings: Settings) -> list[Net]:
    """Every freezing epoch, and DNW to the end."""
    return [Net(DNW, s, k) for s in settings.frozen for k in (*settings.freezes, None)]


def report(study: Study) -> Report:
    """Accuracy over the freezing epoch."""
    settings = study.settings
    samples = {net: _named(net, study.sample(net)) for net in wanted(settings)}
    rows = [
        (
            "never" if k is None else str(k),
            *(samples[Net(DNW, s, k)].spread for s in settings.frozen),
        )
        for k in (*settings.freezes, None)
    ]
    headings = ("freezing\nepoch", *(f"{100 * s:g} % sparsity" for s in settings.frozen))
    return Report(
        tables=[Table("Test accuracy %, mean ± std over seeds", headings, tuple(rows))],
        claims=[claim for s in settings.frozen for claim in _claims(samples, s, settings)],
        pictures={"figure_4.png": pictures.over_freezing(samples, settings)},
        numbers={"accuracy": [{**net._asdict(), "values": s.values} for net, s in samples.items()]},
    )


def _named(net, sample):
    return sample._replace(name="never" if net.freeze is None else f"k = {net.freeze}")


def _claims(samples, sparsity, settings):
    few = min(settings.freezes, key=lambda k: abs(k - FEW))
    first, middle, last = (samples[Net(DNW, sparsity, k)] for k in (0, few, None))
    at = f"at {100 * sparsity:g} % sparsity"
    return [
        ordered(
            f"{at} a structure frozen after epoch {settings.freezes[1]} is better than that of "
            "the first weights",
            [samples[Net(DNW, sparsity, settings.freezes[1])], first],
        ),
        ordered(
            f"{at} the first {few} epochs with DNW gain more than all others: diminishing returns",
            [
                _gain(f"gain of the first {few}", middle, first),
                _gain("gain of the others", last, middle),
            ],
        ),
        ordered(
            f"{at} it is best to train with DNW to completion: better than {few} epochs of it",
            [last, middle],
        ),
    ]


def _gain(name, later, earlier):
    pairs = zip(later.values, earlier.values, strict=False)
    return Sample(name, tuple(a - b for a, b in pairs))
