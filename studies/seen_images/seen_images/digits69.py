"""Write the data of the seen digits ("69", van Gerven et al. 2010) as plain tables for ``DATASET = "table"``.

``python -m seen_images.digits69 digit69_28x28.mat FOLDER``. The file holds 100 handwritten sixes and
nines of 28 × 28 pixels and one response of 3,092 voxels of V1 to V3 to each, 90 for training and 10
for testing (van Gerven, de Lange & Heskes 2010, Neural Computation 22:3127).
"""

import sys
from pathlib import Path

from neuroface.pipeline import write_npy, write_table
from seen_images.drawings import write_picture

import numpy as np
import pandas as pd
from scipy.io import loadmat

WORDS = {1: "six", 2: "nine"}


def main():
    if len(sys.argv) != 3:
        sys.exit("error: Run: python -m seen_images.digits69 digit69_28x28.mat FOLDER")
    write_tables(Path(sys.argv[1]), Path(sys.argv[2]))


def write_tables(file: Path, folder: Path) -> None:
    """The tables that :mod:`seen_images.table_source` describes."""
    content = loadmat(file)
    betas = np.concatenate([content["fmriTrn"], content["fmriTest"]]).astype(np.float32)
    flat = np.concatenate([content["stimTrn"], content["stimTest"]])
    pictures = flat.reshape(-1, 28, 28).transpose(0, 2, 1)  # stored by columns
    labels = np.concatenate([content["labelTrn"], content["labelTest"]]).ravel()
    digit = [WORDS[label] for label in labels]
    images = [f"digit-{number:03d}" for number in range(len(betas))]
    split = np.where(np.arange(len(betas)) < len(content["fmriTrn"]), "train", "test")
    for image, picture in zip(images, pictures):
        write_picture(folder / "images" / f"{image}.png", np.repeat(picture[..., None], 3, axis=2))
    captions = [f"a handwritten {word}" for word in digit]
    write_npy(folder / "betas.npy", betas)
    write_table(folder / "voxels.tsv", pd.DataFrame({"roi": ["V1-V3"] * betas.shape[1]}))
    write_table(folder / "captions.tsv", pd.DataFrame({"image": images, "caption": captions}))
    write_table(folder / "attributes.tsv", pd.DataFrame({"image": images, "digit": digit}))
    write_table(folder / "trials.tsv", pd.DataFrame({"image": images, "split": split}))
    print(f"  {len(images)} images and responses of {betas.shape[1]:,} voxels in {folder}")


if __name__ == "__main__":
    main()
