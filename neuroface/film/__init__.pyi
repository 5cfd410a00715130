from .agreement import compare_annotations as compare_annotations, plot_agreement as plot_agreement
from .annotation_files import write_annotation as write_annotation
from .correction_page import clock as clock, write_correction_page as write_correction_page
from .faces import (
    DETECTOR as DETECTOR,
    HEIGHT as HEIGHT,
    FaceFinder as FaceFinder,
    box_of as box_of,
    detector_versions as detector_versions,
)
from .frames import Film as Film, open_film as open_film
from .matching import imbalance as imbalance, match_windows as match_windows
from .parts import (
    Part as Part,
    parts_of as parts_of,
    read_parts as read_parts,
    run_clock as run_clock,
    task_of as task_of,
)
from .regressors import (
    CONTENTS as CONTENTS,
    chosen_regressors as chosen_regressors,
    regressors_of_run as regressors_of_run,
    regressors_of_samples as regressors_of_samples,
    regressors_of_windows as regressors_of_windows,
    write_regressors as write_regressors,
)
from .samples import scan as scan
from .stretches import (
    FaceRules as FaceRules,
    complement as complement,
    counts as counts,
    doubt as doubt,
    faces_of_samples as faces_of_samples,
    stretches_of_samples as stretches_of_samples,
)
