"""Sizes and step sizes of the networks: the published ones of NSD, and a study's differences."""

from typing import Any

# From the notebooks of the publication (Hou 2023). The MLP is the CNN without its convolutions; it
# was not published.
PUBLISHED: dict[str, dict[str, object]] = {
    "image:cnn": {
        "channels": 64, "kernel": 11, "convolutions": 2, "passes": 2, "last_activation": True, "dense": (512, 512),
        "learning_rate": 5e-4, "batch_size": 256,
    },
    "image:vae": {"encoder": (512, 256), "decoder": 4096, "learning_rate": 5e-4, "batch_size": 256},
    "image:gcn": {
        "width": 512, "orders": (4, 3), "channels": 16, "dense": 1024, "threshold": 0.5, "learning_rate": 1e-3,
        "batch_size": 64,
    },
    "image:mlp": {"dense": (512, 512), "learning_rate": 5e-4, "batch_size": 256},
    "text:cnn": {
        "channels": 64, "kernel": 7, "convolutions": 3, "passes": 3, "last_activation": False, "dense": (1024, 2048),
        "learning_rate": 1e-4, "batch_size": 16,
    },
}  # fmt: skip


def options_of(decoder: str, differences: dict[str, dict[str, object]]) -> dict[str, Any]:
    """The published options of a network, with a study's differences.

    Raises
    ------
    ValueError
        If an option is not of the published option's type.
    """
    options: dict[str, Any] = dict(PUBLISHED[decoder])
    value: Any
    for name, value in differences.get(decoder, {}).items():
        kind = type(options[name])
        value = (
            tuple(value)
            if kind is tuple and isinstance(value, list)
            else float(value)
            if kind is float
            else value
        )
        if type(value) is not kind or (
            kind is not bool and min(value if kind is tuple else (value,)) <= 0
        ):
            raise ValueError(
                f"DECODER_OPTIONS: {decoder!r}: {name} = {value!r}: it must be like the default, {options[name]!r}"
            )
        options[name] = value
    return options
