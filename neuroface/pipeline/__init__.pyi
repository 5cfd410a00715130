from .backend import (
    HAS_GPU as HAS_GPU,
    TrainingProgress as TrainingProgress,
    assigned_values as assigned_values,
    compiled as compiled,
    fused as fused,
    gpu_bytes as gpu_bytes,
    gradient_of as gradient_of,
    keras as keras,
    set_random_seed as set_random_seed,
)
from .checklist import (
    Checklist as Checklist,
    memory_of_processes as memory_of_processes,
)
from .delimited_tables import (
    one_line as one_line,
    read_delimited_table as read_delimited_table,
    read_header as read_header,
)
from .demo_data import begin_demo as begin_demo
from .derivative import (
    BidsName as BidsName,
    holds_results as holds_results,
    map_name as map_name,
    mask_name as mask_name,
)
from .files import (
    PARTIAL as PARTIAL,
    atomic as atomic,
    create_npy as create_npy,
    open_npy as open_npy,
    read_json as read_json,
    read_table as read_table,
    write_json as write_json,
    write_npy as write_npy,
    write_table as write_table,
)
from .manifest import check_command as check_command
from .progress import UnitName as UnitName, note_progress as note_progress
from .provenance import fingerprint as fingerprint, sha256 as sha256
from .report import Section as Section, save_figure as save_figure
from .script import errors_in_one_line as errors_in_one_line, run_script as run_script
from .settings import (
    StudySettings as StudySettings,
    did_you_mean as did_you_mean,
    experiment_text as experiment_text,
    fine as fine,
    load_settings as load_settings,
    replaced as replaced,
)
from .stage import Stage as Stage
from .stamp import Rules as Rules, only_more as only_more
from .study import Step as Step, Study as Study
from .text_tables import numbers as numbers, read_text_table as read_text_table
from .units import all_exist as all_exist
