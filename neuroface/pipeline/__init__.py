"""How any script runs: settings, stages, stamps, files, worker processes, the log and the report.

Code belongs here if a script of any study needs it and it is not about brains. This room imports no
other room; every room and every script may import it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "backend": [
            "HAS_GPU",
            "assigned_values",
            "compiled",
            "fused",
            "gpu_bytes",
            "gradient_of",
            "keras",
            "set_random_seed",
        ],
        "delimited_tables": ["one_line", "read_delimited_table", "read_header"],
        "checklist": ["Checklist"],
        "files": [
            "PARTIAL",
            "atomic",
            "create_npy",
            "open_npy",
            "read_json",
            "read_table",
            "write_json",
            "write_npy",
            "write_table",
        ],
        "manifest": ["check_command"],
        "provenance": ["fingerprint", "sha256"],
        "report": ["Section", "save_figure"],
        "script": ["run_script"],
        "settings": ["SettingsModel", "did_you_mean"],
        "stage": ["Stage"],
        "stamp": ["Rules", "only_more"],
        "study": ["Step", "Study"],
        "text_tables": ["numbers", "read_text_table"],
    },
)
