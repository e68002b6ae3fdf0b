"""Distances of every two of many networks."""

import sys
from functools import partial

import numpy as np
import pytest

from sparse_ref.topology import iou, jaccard_distance, nnstd, pairwise
from sparse_ref.topology.patterns import of_ones


def networks(n=6, seed=3):
    rng = np.random.default_rng(seed)
    shapes = (9, 7), (6, 9)
    return [[of_ones(s, np.flatnonzero(rng.random(s) < 0.3)) for s in shapes] for _ in range(n)]


def test_by_hand():
    masks = [np.array([[1, 1, 0]]), np.array([[1, 0, 0]]), np.array([[0, 0, 1]])]
    expected = [[0, 0.5, 1], [0.5, 0, 1], [1, 1, 0]]
    assert pairwise(masks, jaccard_distance).tolist() == expected


def test_every_entry_is_that_distance():
    nets = networks()
    expected = [[nnstd(a, b).distance for b in nets] for a in nets]
    assert np.array_equal(pairwise(nets, symmetric=False), expected)
    upper = np.triu(expected)
    assert np.array_equal(pairwise(nets), upper + np.triu(upper, 1).T)


def test_the_two_directions_may_differ():
    matrix = pairwise(networks(12), symmetric=False)
    assert not np.array_equal(matrix, matrix.T)


def test_the_diagonal_is_measured():
    assert np.array_equal(pairwise(networks(), iou).diagonal(), np.ones(6))


@pytest.mark.parametrize("n", [0, 1])
def test_of_few_networks(n):
    assert np.array_equal(pairwise(networks(n), workers=3), np.zeros((n, n)))


@pytest.mark.parametrize("symmetric", [True, False])
def test_numbers_do_not_depend_on_the_workers(symmetric):
    pytest.importorskip("joblib")
    nets = networks(9)
    distance = partial(nnstd, output="labeled", tie_break="identity")
    here = pairwise(nets, distance, symmetric=symmetric)
    there = pairwise(nets, distance, symmetric=symmetric, workers=2)
    assert np.array_equal(here, there)


def test_workers_see_values_and_any_mixture_of_dtypes():
    """Arrays of more than a megabyte, which workers map from a file; zeros are stored."""
    pytest.importorskip("joblib")
    rng = np.random.default_rng(17)
    nets = [of_ones((600, 700), np.flatnonzero(rng.random((600, 700)) < 0.5)) for _ in range(3)]
    nets[1] = nets[1].astype(np.float64)
    nets[2].data[::3] = 0
    distance = partial(jaccard_distance, pattern="nonzero")
    assert np.array_equal(pairwise(nets, distance), pairwise(nets, distance, workers=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_is_told_for_every_pair(workers):
    pytest.importorskip("joblib")
    told = []
    pairwise(networks(4), workers=workers, progress=lambda *numbers: told.append(numbers))
    assert told == [(k, 10) for k in range(1, 11)]


def test_a_bar(capsys):
    pytest.importorskip("rich")
    pairwise(networks(3), progress=True)
    assert "100%" in capsys.readouterr().out


def test_what_a_distance_raises_comes_through():
    pytest.importorskip("joblib")
    nets = [[np.ones((2, 3))], [np.ones((3, 3))]]
    for workers in (1, 2):
        with pytest.raises(ValueError, match=r"^nnstd: layers must have the same shape, but"):
            pairwise(nets, workers=workers)


def test_what_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"^pairwise: workers must be at least 1, got 0$"):
        pairwise(networks(2), workers=0)
    with pytest.raises(ValueError, match=r"^pairwise: a topology must have at least one layer"):
        pairwise([[], []])
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ImportError, match=r"^pairwise: more than one worker needs joblib: .*sweep"):
        pairwise(networks(2), workers=2)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"^pairwise: a progress bar needs rich: .*cli"):
        pairwise(networks(2), progress=True)
