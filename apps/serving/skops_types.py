"""Types of scikit-learn and the standard library that skops does not list among those it trusts.

All of them only hold what training found; none runs what a file says. `functools.partial` is
among them because skops looks at the function in it by that function's own name.
"""

_LOSSES = (
    "AbsoluteError", "ExponentialLoss", "HalfBinomialLoss", "HalfGammaLoss", "HalfMultinomialLoss",
    "HalfPoissonLoss", "HalfSquaredError", "HalfTweedieLoss", "HalfTweedieLossIdentity",
    "HuberLoss", "PinballLoss",
)  # fmt: skip
_LINKS = (
    "HalfLogitLink", "IdentityLink", "Interval", "LogLink", "LogitLink", "MultinomialLogit",
)  # fmt: skip
_METRICS = (
    "ChebyshevDistance64", "EuclideanDistance64", "ManhattanDistance64", "MinkowskiDistance64",
)  # fmt: skip

TRUSTED = (
    *(f"sklearn._loss.loss.{name}" for name in _LOSSES),
    *(f"sklearn._loss._loss.Cy{name}" for name in _LOSSES),
    *(f"sklearn._loss.link.{name}" for name in _LINKS),
    *(f"sklearn.metrics._dist_metrics.{name}" for name in _METRICS),
    "functools.partial",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)
