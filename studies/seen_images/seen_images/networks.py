"""Networks that decode voxels to latents, as in the publication (Hou 2023), in PyTorch.

Every network maps standardised voxels (n, n_voxels) to (n, n_outputs) and has its own training
loss. Ridge regression is kept as a linear network, so that scripts treat all decoders alike.
"""

import json
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import atomic
from seen_images.latents import LINEAR

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F


class Decoder(nn.Module):
    """A network with a loss, by default the mean squared error, and a layer ``last`` that gives the latents."""

    def loss(self, voxels: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(self(voxels), latents)


class Linear(Decoder):
    def __init__(self, n_voxels: int, n_outputs: int):
        super().__init__()
        self.last = nn.Linear(n_voxels, n_outputs)

    def forward(self, voxels):
        return self.last(voxels)


class ResidualConvolutions(nn.Module):
    """A signal (n, length) through convolutions along it: in and out by kernels of 1, between them one residual block whose
    weights are shared by all its passes."""

    def __init__(
        self,
        channels: int,
        kernel: int,
        convolutions: int,
        passes: int,
        activation,
        last_activation: bool,
    ):
        super().__init__()
        layers = []
        for number in range(convolutions):
            layers.append(nn.Conv1d(channels, channels, kernel, padding=kernel // 2))
            if number < convolutions - 1 or last_activation:
                layers.append(activation())
        self.into, self.block, self.out = (
            nn.Conv1d(1, channels, 1),
            nn.Sequential(*layers),
            nn.Conv1d(channels, 1, 1),
        )
        self.passes = passes

    def forward(self, signal, first=lambda x: x):
        x = first(self.into(signal[:, None]))
        for _ in range(self.passes):
            x = x + self.block(x)
        return self.out(x)[:, 0]


def dense(sizes, activation) -> nn.Sequential:
    """Dense layers of these sizes with an activation between them."""
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


class Convolutional(Decoder):
    """Residual convolutions along the voxels' order, then dense layers; without ``channels`` (MLP) the dense ones alone."""

    def __init__(
        self,
        n_voxels,
        n_outputs,
        *,
        dense_sizes,
        channels=0,
        kernel=0,
        convolutions=0,
        passes=0,
        last_activation=True,
    ):
        super().__init__()
        self.convolutions = None
        if channels:
            self.convolutions = ResidualConvolutions(
                channels, kernel, convolutions, passes, nn.ReLU, last_activation
            )
        self.dense = dense((n_voxels, *dense_sizes, n_outputs), nn.ReLU)

    @property
    def last(self):
        return self.dense[-1]

    def forward(self, voxels):
        return self.dense(voxels if self.convolutions is None else self.convolutions(voxels))


class VariationalDecoder(Decoder):
    """An encoder of voxels whose code is the latents, and a decoder of the code back to voxels.

    Its loss is the error of both, with the code drawn from its posterior; there is no prior. It
    predicts the posterior's mean; the publication scored a draw.
    """

    def __init__(self, n_voxels, n_outputs, *, encoder, decoder):
        super().__init__()
        first, second = encoder
        self.encoder = nn.Sequential(
            nn.Linear(n_voxels, first), nn.LeakyReLU(), nn.Linear(first, second)
        )
        self.last, self.log_variance = nn.Linear(second, n_outputs), nn.Linear(second, n_outputs)
        blocks = []
        for n_in in (n_outputs, decoder, decoder):
            blocks += [nn.Linear(n_in, decoder), nn.BatchNorm1d(decoder), nn.LeakyReLU()]
        self.decoder = nn.Sequential(*blocks, nn.Linear(decoder, n_voxels))

    def forward(self, voxels):
        return self.last(self.encoder(voxels))

    def loss(self, voxels, latents):
        hidden = self.encoder(voxels)
        mean, log_variance = self.last(hidden), self.log_variance(hidden)
        code = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
        return F.mse_loss(self.decoder(code), voxels) + F.mse_loss(code, latents)


class ChebyshevConvolution(nn.Module):
    """Chebyshev graph convolution (Defferrard et al. 2016, NIPS) of one graph, with a largest eigenvalue of 2.

    T₀ = X, T₁ = L̂X, Tₖ = 2L̂Tₖ₋₁ − Tₖ₋₂, each with weights of its own, and one bias. L̂ = L − I is
    :func:`scaled_laplacian`.
    """

    def __init__(self, n_in: int, n_out: int, order: int):
        super().__init__()
        self.weights = nn.ModuleList(nn.Linear(n_in, n_out, bias=False) for _ in range(order))
        self.bias = nn.Parameter(torch.zeros(n_out))
        for weight in self.weights:
            nn.init.xavier_uniform_(weight.weight)

    def forward(self, x, laplacian):
        """``x`` (n, n_nodes, n_in), ``laplacian`` (n_nodes, n_nodes) → (n, n_nodes, n_out)."""
        before, now = None, x
        out = self.weights[0](x)
        for weight in self.weights[1:]:
            before, now = now, laplacian @ now if before is None else 2 * (laplacian @ now) - before
            out = out + weight(now)
        return out + self.bias


def scaled_laplacian(edges: np.ndarray) -> np.ndarray:
    """−D^(−½) A D^(−½) for symmetric edge weights A (n_nodes, n_nodes); degrees count the weights' sizes."""
    edges = edges * (1 - np.eye(len(edges)))
    degree = np.abs(edges).sum(axis=1)
    root = np.divide(1, np.sqrt(degree), out=np.zeros(len(degree)), where=degree > 0)
    return -root[:, None] * edges * root


def edges_of(voxels: np.ndarray, nodes: list[np.ndarray], threshold: float) -> np.ndarray:
    """Correlations (n_nodes, n_nodes) over trials of the nodes' mean voxels; 0 where none is beyond ``threshold``."""
    means = np.stack([voxels[:, columns].mean(axis=1, dtype=np.float64) for columns in nodes])
    r = np.corrcoef(means) * (1 - np.eye(len(nodes)))
    return np.where(np.abs(r) > threshold, np.nan_to_num(r), 0)


class Graph(Decoder):
    """Regions as nodes of a graph, their voxels as features: two Chebyshev convolutions, the mean over nodes, residual
    convolutions along the features, dense layers."""

    def __init__(
        self, n_voxels, n_outputs, *, nodes: list[list[int]], width, orders, channels, dense_size
    ):
        super().__init__()
        self.nodes, self.widest = (
            [torch.as_tensor(columns) for columns in nodes],
            max(map(len, nodes)),
        )
        self.first, self.second = (
            ChebyshevConvolution(n_in, width, order)
            for n_in, order in zip((self.widest, width), orders)
        )
        self.normalization = nn.BatchNorm1d(width)
        self.convolutions = ResidualConvolutions(channels, 3, 1, 2, nn.LeakyReLU, True)
        self.dense = dense((width, dense_size, n_outputs), nn.LeakyReLU)
        self.register_buffer("laplacian", torch.zeros(len(nodes), len(nodes)))

    @property
    def last(self):
        return self.dense[-1]

    def forward(self, voxels):
        features = [
            F.pad(voxels[:, columns], (0, self.widest - len(columns))) for columns in self.nodes
        ]
        x = F.relu(self.first(torch.stack(features, dim=1), self.laplacian))
        change = self.second(x, self.laplacian)
        x = x + F.leaky_relu(self.normalization(change.flatten(0, 1)).view_as(change))
        return self.dense(self.convolutions(x.mean(dim=1), first=F.leaky_relu))


# ---------------------------------------------------------------- by name


def build(
    decoder: str, n_voxels: int, n_outputs: int, options: dict, nodes: list[list[int]] | None = None
) -> Decoder:
    """A decoder by its name ("ridge", "shared", "cnn", "mlp", "vae", "gcn") and options of
    :data:`seen_images.options.PUBLISHED`."""
    if decoder in LINEAR:
        return Linear(n_voxels, n_outputs)
    if decoder == "vae":
        return VariationalDecoder(
            n_voxels, n_outputs, encoder=options["encoder"], decoder=options["decoder"]
        )
    if decoder == "gcn":
        if nodes is None:
            raise ValueError("a graph needs nodes")
        return Graph(
            n_voxels, n_outputs, nodes=nodes, width=options["width"], orders=options["orders"],
            channels=options["channels"], dense_size=options["dense"],
        )  # fmt: skip
    convolutions = {
        k: options[k]
        for k in ("channels", "kernel", "convolutions", "passes", "last_activation")
        if k in options
    }
    return Convolutional(n_voxels, n_outputs, dense_sizes=options["dense"], **convolutions)


def n_parameters(network: Decoder) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def save_decoder(path: Path, network: Decoder, **recipe) -> None:
    """Weights and what :func:`build` needs to make the network again, in one safetensors file."""
    with atomic(path) as partial:
        state = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
        save_file(state, partial, {"recipe": json.dumps(recipe)})


def load_decoder(path: Path) -> Decoder:
    """A network that :func:`save_decoder` wrote, ready to predict."""
    try:
        with safe_open(path, "pt") as file:
            recipe = json.loads(file.metadata()["recipe"])
            state = {name: file.get_tensor(name) for name in file.keys()}
        network = build(**recipe)
        network.load_state_dict(state)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise NeuroFaceError(
            f"{path} is not a decoder of this study ({error}). Delete it and rerun script 3."
        ) from None
    return network.eval()
