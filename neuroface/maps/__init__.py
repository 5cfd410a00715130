"""Maps of people and of the group: tests, the GLM, regions, surfaces, figures.

Code belongs here if it works on maps in the brain's space. This room imports the rooms above it
(``pipeline``, ``bold``, ``decoding``, ``attribution``); ``timeline`` and the scripts may import it.
A new statistic across people belongs in ``group.py``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "files": ["average_file", "brain_map_file", "contrast_file", "reference_file"],
        "glm": ["effect_of_run"],
        "group": ["ALPHA", "contrasts_of"],
        "map_test": ["MapTest", "choose_test"],
        "people": [
            "average_people",
            "average_person",
            "contrasts_to_test",
            "find_maps",
            "groups_of_maps",
            "people_with",
            "write_test",
        ],
        "regions": ["random_regions"],
        "relabelling_files": ["Relabelling"],
        "report": [
            "describe_correlations",
            "describe_regions",
            "describe_seeds",
            "describe_tests",
            "lead",
        ],
        "seeds": ["spread_file", "spread_rows", "write_spread"],
        "surface": ["load_hemispheres", "project"],
        "surface_figures": [
            "animate_surfaces",
            "draw_glass_brain",
            "draw_surfaces",
            "surface_pictures",
            "symmetric_scale",
        ],
        "tables": [
            "correlation_rows",
            "peak_table",
            "plot_shares",
            "read_people",
            "read_reference",
            "share_rows",
        ],
    },
)
