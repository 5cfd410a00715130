"""A polynomial network of degree 2 on the mean volume of a window, with a gate for each voxel.

The logit of a window with mean over time m is

    Σ_j a_j (g ⊙ u_j) · m  +  Σ_k s_k ((h ⊙ v_k) · m + o_k)²  +  b,

a polynomial network (Livni et al. 2014, NeurIPS; Blondel et al. 2016, ICML) in which all units of a path
share the gates g or h of the voxels. No pooling joins voxels, so places are kept. A small penalty on the
squares of gates and weights acts as a group lasso over voxels (Hoff 2017, Comput. Stat. Data Anal.
115:186), and gates that start near 0 also favour few voxels (Woodworth et al. 2020, COLT).
"""

from neuroface.decoding.closed_form import Square, linear_plus, set_parameters
from neuroface.decoding.layers import GatedDense
from neuroface.decoding.network import classifier, window_input
from neuroface.decoding.second_order import Parameters
from neuroface.pipeline import keras

import numpy as np

layers = keras.layers
FIRST_GATE = 0.1
FIRST_WEIGHT_SD = 0.01


def polynomial_network(
    n_voxels: int,
    window_trs: int,
    mask: np.ndarray,
    *,
    linear_units: int = 4,
    quadratic_units: int = 8,
    linear_penalty: float = 0.01,
    quadratic_penalty: float = 0.001,
) -> keras.Model:
    """A linear and a quadratic path, each with gates of voxels; both read the mean over time.

    Parameters
    ----------
    linear_units : units of the linear path. One would be enough to express it; several learn faster.
    quadratic_units : directions of the quadratic path.
    linear_penalty, quadratic_penalty : of the squares of gates and weights of a path.
    """
    windows = window_input(n_voxels, window_trs)
    mean = layers.Flatten()(
        layers.AveragePooling2D((1, window_trs), name="mean_over_time")(windows)
    )
    linear = _gated(linear_units, linear_penalty, "gated_linear_path", use_bias=False)(mean)
    directions = _gated(quadratic_units, quadratic_penalty, "gated_directions")(mean)
    quadratic = Square(name="second_order_path")(directions)
    return classifier(windows, layers.Concatenate()([linear, quadratic]))


def _gated(units: int, penalty: float, name: str, use_bias: bool = True) -> GatedDense:
    return GatedDense(
        units,
        first_gate=FIRST_GATE,
        kernel_initializer=keras.initializers.RandomNormal(stddev=FIRST_WEIGHT_SD),
        kernel_regularizer=keras.regularizers.L2(penalty),
        use_bias=use_bias,
        name=name,
    )


def without_gates(network: keras.Model) -> keras.Model:
    """The same function of the window as a network of :func:`neuroface.decoding.closed_form.linear_plus`.

    Gates are multiplied into the weights, and the units of the linear path are added up. Attributions
    of the result are exact, and whole runs are predicted from projections of volumes.
    """
    _, n_voxels, window_trs, _ = network.input_shape
    strengths, intercept = network.get_layer("logit").get_weights()
    linear, directions = (
        network.get_layer(name) for name in ("gated_linear_path", "gated_directions")
    )
    of_mean = linear.gated_kernel() @ strengths[: linear.units, 0]
    plain = linear_plus(
        n_voxels, window_trs, np.ones((n_voxels, 1, 1), bool), units=directions.units
    )
    set_parameters(
        plain,
        Parameters(
            weights=np.repeat(of_mean[:, None] / window_trs, window_trs, axis=1),
            directions=directions.gated_kernel(),
            offsets=np.asarray(directions.bias),
            strengths=strengths[linear.units :, 0],
            intercept=float(intercept[0]),
        ),
    )
    return plain
