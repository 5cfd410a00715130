"""The command ``python -m neuroface.manifest``; see :mod:`neuroface.pipeline.manifest`."""

from neuroface.pipeline import check_command

if __name__ == "__main__":
    check_command()
