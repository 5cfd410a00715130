"""The command ``python -m neuroface BIDS_DIR OUT participant|group``; see :mod:`neuroface.face_study.bids_app`."""

from neuroface.face_study import app_command

if __name__ == "__main__":
    app_command()
