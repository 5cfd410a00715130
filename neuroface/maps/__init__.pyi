from .files import (
    average_file as average_file,
    brain_map_file as brain_map_file,
    contrast_file as contrast_file,
    reference_file as reference_file,
)
from .glm import effect_of_run as effect_of_run
from .group import (
    ALPHA as ALPHA,
    contrasts_of as contrasts_of,
    variance_smoother as variance_smoother,
)
from .map_test import (
    Explained as Explained,
    GroupTestSettings as GroupTestSettings,
    MapTest as MapTest,
    choose_test as choose_test,
)
from .parcel_maps import write_parcel_maps as write_parcel_maps
from .people import (
    average_people as average_people,
    average_person as average_person,
    contrasts_to_test as contrasts_to_test,
    files_of_test as files_of_test,
    find_maps as find_maps,
    groups_of_maps as groups_of_maps,
    mean_files as mean_files,
    people_with as people_with,
    write_test as write_test,
)
from .region_bold import describe_courses as describe_courses, region_courses as region_courses
from .regions import random_regions as random_regions
from .relabelling_files import Relabelling as Relabelling
from .report import (
    describe_correlations as describe_correlations,
    describe_regions as describe_regions,
    describe_seeds as describe_seeds,
    describe_tests as describe_tests,
    lead as lead,
)
from .seeds import (
    spread_file as spread_file,
    spread_rows as spread_rows,
    write_spread as write_spread,
)
from .surface import (
    load_hemispheres as load_hemispheres,
    place_hemispheres as place_hemispheres,
    project as project,
)
from .surface_figures import (
    COLOURS as COLOURS,
    GLASS_SHARE as GLASS_SHARE,
    animate_surfaces as animate_surfaces,
    draw_glass_brain as draw_glass_brain,
    draw_surfaces as draw_surfaces,
    opacity as opacity,
    surface_pictures as surface_pictures,
    symmetric_scale as symmetric_scale,
)
from .surface_maps import write_surface_maps as write_surface_maps
from .tables import (
    correlation_rows as correlation_rows,
    peak_table as peak_table,
    plot_shares as plot_shares,
    read_people as read_people,
    read_reference as read_reference,
    share_rows as share_rows,
)
