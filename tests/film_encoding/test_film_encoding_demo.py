"""Film and brain: the demo's films and its synthetic visual cortex against what they should be."""

from neuroface import NeuroFaceError
from neuroface.bold import on_screen, read_stretches
from neuroface.pipeline import read_json, read_table

import nibabel as nib
import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor
from scipy.signal import convolve2d

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
filters = pytest.importorskip(
    "skimage.filters", reason="Gabor filters need scikit-image: make film-encoding"
)

from film_encoding import demo, demo_cortex, demo_film  # noqa: E402
from film_encoding.film_frames import SampledFilm  # noqa: E402

FILMS, SEED = {"one": 24, "two": 20}, 3


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film-demo") / "dataset"
    assert demo.write_demo(folder, SEED, FILMS, n_people=2)
    return folder


def shots_of(film: str) -> list[demo_film.Shot]:
    number = list(FILMS).index(film) + 1
    return demo_film.draw_shots(np.random.default_rng([SEED, number]), FILMS[film] * demo.TR_S)


def test_the_file_shows_what_was_drawn(written):
    film, shots = SampledFilm(written / "stimuli" / "one.mp4"), shots_of("one")
    assert (
        film.end_s == pytest.approx(24 * demo.TR_S, abs=0.11) and film.file_end_s > film.end_s + 3
    )
    times = film.times_s[[0, 60, 150, 290]]
    for time_s, frame in zip(times, film.frames_at(times, 28)):
        drawn, _ = demo_film.draw_frame(shots, time_s, 28, 28)
        assert (
            np.abs(frame.astype(float) - drawn).mean() < 12
        )  # another size, and a codec in between


def test_the_second_film_has_no_constant_rate(written):
    steps = np.diff(SampledFilm(written / "stimuli" / "two.mp4").times_s).round(3)
    assert set(steps) == {0.1, 0.2}


def test_the_annotation_is_where_faces_are_drawn(written):
    stretches = read_stretches([("face", written / "stimuli" / "task-one_face-annotation.1D")])
    times = np.arange(0, 24 * demo.TR_S, 0.31)
    drawn = [(demo_film.draw_frame(shots_of("one"), t, 32, 32)[1] == 1).any() for t in times]
    np.testing.assert_array_equal(on_screen(times, stretches).astype(bool), drawn)
    with np.load(written / "stimuli" / "one_things.npz") as stored:
        faces = (stored["labels"] == 1).any(axis=(1, 2))
        np.testing.assert_array_equal(faces, on_screen(stored["times_s"], stretches).astype(bool))


def test_oriented_energy_is_that_of_gabor_filters():
    grey = np.random.default_rng(0).random((2, 48, 48)).astype(np.float32)
    found = list(demo_cortex.oriented_energies(grey))
    for scale, cycles in enumerate(demo_cortex.CYCLES_PER_PIXEL):
        kernel = filters.gabor_kernel(cycles, theta=np.pi / 4, bandwidth=1.2)
        expected = (
            np.abs(convolve2d(grey[1] - grey[1].mean(), kernel - kernel.mean(), mode="same")) ** 2
        )
        np.testing.assert_allclose(
            found[scale * demo_cortex.ORIENTATIONS + 1][1],
            expected,
            atol=1e-6 + 1e-3 * expected.max(),
        )


def test_voxels_follow_what_their_region_says():
    """A face on the left: fusiform voxels that look there answer, and nothing in the cuneus does; a shape drives only
    voxels that follow faces and shapes.
    """
    follows = ["oriented energy", "motion", "faces", "faces", "nothing", "faces and shapes"]
    follows = np.array(follows)
    tuning = demo_cortex.Tuning(np.random.default_rng(1), np.array(["left a"] * 6), follows, 32)
    tuning.place = np.array(
        [[0.5, 0.5], [0.5, 0.5], [0.2, 0.5], [0.8, 0.5], [0.5, 0.5], [0.2, 0.5]]
    )
    frames, labels = np.full((4, 32, 32, 3), 0.5, np.float32), np.zeros((4, 32, 32), np.uint8)
    frames[1:, :, ::4], labels[2:, 8:24, 2:12] = 1, 1
    response = tuning.respond(frames, labels)
    assert (
        response[1, 0] > response[0, 0] and response[1, 1] > 0 == response[2, 1]
    )  # edges; the change at frame 1 alone
    assert (
        response[2, 2] > 3 * response[2, 3] >= 0
        and not response[:2, 2:4].any()
        and not response[:, 4].any()
    )
    np.testing.assert_allclose(response[:, 5], response[:, 2])
    of_shape = tuning.respond(frames, 2 * labels)
    assert not of_shape[:, 2:4].any() and of_shape[2, 5] == pytest.approx(response[2, 2])


def test_a_person_whose_regions_are_shifted_has_the_responses_of_the_neighbours():
    voxels = np.zeros((4, 3, 2), dtype=bool)
    voxels[1:3] = True
    source = demo_cortex.moved(voxels, np.array([1, 0, 0]))
    positions = np.argwhere(voxels)
    for voxel, from_voxel in zip(positions, source):
        before = voxel - [1, 0, 0]
        expected = np.flatnonzero((positions == before).all(axis=1))
        assert from_voxel == (expected[0] if len(expected) else -1)
    assert not demo_cortex.person_shift(42, 1).any()
    assert np.abs(demo_cortex.person_shift(42, 2)).sum() == 1


def test_some_shapes_have_the_colour_of_skin_and_no_label_of_faces():
    shots = demo_film.draw_shots(np.random.default_rng(2), 2000.0)
    shapes = [shot for shot in shots if shot.thing == "shape"]
    skin = [shot for shot in shapes if shot.colour == demo_film.SKIN]
    share = demo_film.SKIN_SHARE
    error = np.sqrt(share * (1 - share) / len(shapes))
    assert abs(len(skin) / len(shapes) - share) < 3 * error
    frame, labels = demo_film.draw_frame(skin, skin[0].onset_s, 48, 48)
    assert (labels == 2).any() and not (labels == 1).any()
    inside = frame[labels == 2] / 255
    np.testing.assert_allclose(np.median(inside, axis=0), demo_film.SKIN, atol=0.01)


def test_the_haemodynamic_response_is_nilearns_regressor():
    n, tr = 60, demo.TR_S
    looks = np.arange(n * demo_cortex.STEPS_PER_TR) * tr / demo_cortex.STEPS_PER_TR
    neural = ((looks >= 20) & (looks < 32)).astype(np.float32)[:, None]
    ours = demo_cortex.bold_response(neural, tr, n)[:, 0]
    theirs = compute_regressor(
        np.array([[20.0], [12.0], [1.0]]), "spm", np.arange(n) * tr, oversampling=50
    )[0][:, 0]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.995 and ours.std() == pytest.approx(1, abs=1e-4)


def test_a_run_begins_before_its_film_and_people_differ(written):
    truth, regions = read_json(written / "truth.json"), read_table(written / "atlas.tsv")
    assert sum(truth["voxels"].values()) == np.count_nonzero(
        nib.load(written / "atlas.nii.gz").dataobj
    )
    assert set(truth["voxels"]) == set(regions["name"])
    series = []
    for person in (1, 2):
        stem = written / f"sub-{person:02d}" / "func" / f"sub-{person:02d}_task-one"
        events = read_table(stem.with_name(f"{stem.name}_events.tsv"))
        image = nib.load(stem.with_name(f"{stem.name}_bold.nii.gz"))
        first = int(round(events["onset"][0] / demo.TR_S))
        assert image.header.get_zooms()[3] == pytest.approx(demo.TR_S)
        values = np.asarray(image.dataobj)[
            np.asarray(nib.load(written / "atlas.nii.gz").dataobj) > 0
        ].astype(float)
        assert (values[:, :first] == 1000).all() and values[:, first:].std() > 5
        series.append(values[:, first : first + 24])
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(*series)])
    atlas = np.asarray(nib.load(written / "atlas.nii.gz").dataobj)
    nothing = np.isin(atlas[atlas > 0], regions["index"][regions["follows"] == "nothing"])
    assert 0.1 < r[~nothing].mean() < 0.6  # they share the film, and have noise of their own
    assert abs(r[nothing].mean()) < 0.06


def test_another_seed_does_not_pass_for_this_data_set(written):
    assert not demo.write_demo(written, SEED, FILMS, n_people=2)
    with pytest.raises(NeuroFaceError, match=f"was written with seed {SEED}; SEED is 4"):
        demo.write_demo(written, 4, FILMS)
