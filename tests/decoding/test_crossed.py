"""Standard errors where people and moments differ, against analysis of variance and planted effects."""

from neuroface.decoding.crossed import crossed_error

import numpy as np
import pytest
from scipy import stats

EXCESS = np.array([0.1, -0.1, 0.3, -0.1])


def error_of(values, groupings, weights):
    return crossed_error(values, groupings, weights).error


def test_a_grouping_that_is_the_same_for_all_windows_does_not_count():
    same = np.zeros(4)
    moments = np.arange(4)
    assert error_of(EXCESS, (moments, same), np.ones(4)) == error_of(EXCESS, (moments,), np.ones(4))
    assert error_of(EXCESS, (same, same), np.ones(4)) == 0


def test_windows_that_belong_to_people_and_to_no_common_moment_vary_over_people():
    """Each moment has one viewer: what varies over moments is within people, and is not added to them."""
    people = np.array([0, 0, 1, 1, 2, 2])
    values = np.array([1.0, 2.0, 4.0, 3.0, 8.0, 6.0])
    means = np.array([1.5, 3.5, 7.0])
    assert error_of(values, (np.arange(6), people), np.ones(6)) == pytest.approx(
        means.std(ddof=1) / np.sqrt(3)
    )


def test_the_variance_over_moments_and_people_is_that_of_analysis_of_variance():
    """Crossed and balanced: (MS of moments + MS of people − MS of the rest) / n, up to the finite numbers' factors."""
    rng = np.random.default_rng(3)
    n_people, n_moments = 7, 5
    table = (
        rng.standard_normal((n_people, n_moments))
        + rng.standard_normal((n_people, 1))
        + rng.standard_normal(n_moments)
    )
    n = table.size
    of_people, of_moments = (
        table.mean(axis=1).var(ddof=1) / n_people,
        table.mean(axis=0).var(ddof=1) / n_moments,
    )
    expected = of_people + of_moments - table.var(ddof=1) / n
    person, moment = np.indices(table.shape).reshape(2, -1)
    assert error_of(table.ravel(), (moment, person), np.ones(n)) ** 2 == pytest.approx(expected)


@pytest.mark.parametrize(
    "films", [1, 4]
)  # all people see one film, or each film has viewers of its own
def test_the_error_is_right_where_people_and_moments_differ(films):
    """Planted effects of people and of moments on the excess loss: estimated error against that of 2,000 studies."""
    rng = np.random.default_rng(films)
    viewers, moments = 16 // films, 30
    film, viewer, event = np.indices((films, viewers, moments)).reshape(3, -1)
    groupings = film * moments + event, film * viewers + viewer
    means, errors = [], []
    for _ in range(2000):
        of_moments, of_people = (
            0.4 * rng.standard_normal(films * moments),
            0.4 * rng.standard_normal(films * viewers),
        )
        excess = of_moments[groupings[0]] + of_people[groupings[1]] + rng.standard_normal(len(film))
        means.append(excess.mean())
        errors.append(error_of(excess, groupings, np.ones(len(film))))
    assert np.sqrt(np.mean(np.square(errors))) / np.std(means) == pytest.approx(1, abs=0.1)
    by_moment = 0.4**2 / (films * moments) + 1 / len(
        film
    )  # what the variance over moments alone estimates
    assert np.sqrt(by_moment) / np.std(means) < 0.85


@pytest.mark.parametrize(("n_films", "n_people"), [(4, 2), (4, 8), (10, 4), (12, 12)])
def test_intervals_cover_the_truth_where_people_see_all_films(n_films, n_people):
    """Films and people differ by the same amount. The wider one of two intervals, over films or people, covers less."""
    rng = np.random.default_rng(n_films * n_people)
    film, person = np.indices((n_films, n_people)).reshape(2, -1)
    covered, wider = [], []
    for _ in range(1500):
        table = rng.standard_normal((n_films, 1)) + rng.standard_normal(n_people)
        values = (table + 0.5 * rng.standard_normal(table.shape)).ravel()
        found = crossed_error(values, (film, person), np.ones(len(values)))
        covered.append(abs(values.mean()) <= stats.t.ppf(0.975, found.freedom) * found.error)
        halves = []
        for group in (film, person):
            each = np.bincount(group, values) / np.bincount(group)
            halves.append(stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
        wider.append(abs(values.mean()) <= max(halves))
    assert 0.93 < np.mean(covered) < 0.98
    if n_films == n_people == 12:
        assert np.mean(wider) < 0.92


def test_a_weighted_mean_counts_each_film_once():
    values, film = np.array([1.0, 3.0, 4.0, 9.0]), np.array([0, 0, 1, 2])
    each = np.array([2.0, 4.0, 9.0])
    found = crossed_error(values, (film,), 1 / np.bincount(film)[film])
    assert found == pytest.approx((each.std(ddof=1) / np.sqrt(3), 2))
