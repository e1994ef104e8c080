"""The learners as scikit-learn estimators, for arrays of a user's own: they check what they get."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gingham.attributes.fitted_voters import MultiVoter, MultiVotes, SingleVoter, Votes
from gingham.attributes.measures import check_finite
from gingham.attributes.multi_learner import MultiLearner
from gingham.attributes.single_learner import SingleLearner
from gingham.attributes.space import Floats
from gingham.errors import InputError, MissingExtraError, ShapeError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        assert_all_finite,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError("scikit-learn", extra="study", purpose="an estimator") from error


class _Estimator(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    voter_: SingleVoter | MultiVoter

    def _features(self, X: ArrayLike, *, reset: bool = False) -> NDArray[Any]:
        """Validate (N, D) features: finite, float32 or float64 (float16 becomes float32)."""
        if not reset:
            check_is_fitted(self)
        if getattr(X, "dtype", None) == np.float16:
            X = np.asarray(X, dtype=np.float32)
        checked: NDArray[Any] = validate_data(
            self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False
        )
        check_finite(checked)
        return checked

    def _given(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._features(X, reset=True), np.asarray(y)

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Return the look: (N, d) unit rows of X's precision, whose dot product is similarity."""
        X = self._features(X)
        looks: NDArray[np.floating] = self.voter_.look(X).astype(X.dtype)
        return looks

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return (N, V) calibrated probabilities of `classes_`, unknown or not."""
        X = self._features(X)
        return self.voter_.vote(X).probabilities


class AttributeClassifier(ClassifierMixin, _Estimator, SingleLearner):  # type: ignore[misc]
    """Learn the values of one attribute from a few examples; `SingleLearner` says how.

    Parameters
    ----------
    blocks : sequence of (layer name, first column, end column), from the input to the head, or None
        for one block
    layers : "auto" (weighted by cross-validation) or the names of layers to join evenly
    neighbours : how many of the nearest examples vote
    shrinkage : ridge penalty, relative to the mean squared length of an example; with layers "auto"
        the least one, which noisy labels raise
    folds : the most folds of the cross-validation
    unknown_sigmas : an image is unknown where the log of its distance from what the examples look
        like, in the deepest quarter of the blocks, lies this many standard deviations above the
        held-out examples' mean
    random_state : seed of the folds

    Attributes
    ----------
    classes_ : (V,) the values
    layers_ : names of the layers used; `layer_weights_` maps them to their share
    penalty_ : the ridge penalty used
    layer_accuracy_ : held-out accuracy of each layer alone, by name; empty if not measured
    cv_accuracy_, cv_macro_f1_ : mean over `folds_` folds, nan if `folds_` is 0
    contradictions_ : list of `DoubtedRow`
    voter_ : `gingham.attributes.fitted_voters.SingleVoter`, all it takes to answer
    """

    voter_: SingleVoter

    def _given(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        X = self._features(X, reset=True)
        if y is None:
            raise InputError("fit requires y to be passed, but the target y is None")
        given: NDArray[Any] = column_or_1d(y, warn=True)
        if given.dtype.kind == "f":
            assert_all_finite(given, input_name="y")
        if given.shape != (len(X),):
            raise ShapeError("y", expected=f"({len(X)},)", got=given.shape)
        check_classification_targets(given)
        return X, given

    def vote(self, X: ArrayLike, k_evidence: int = 5) -> Votes:
        """Let the examples vote on (N, D) features, in chunks of bounded memory.

        Raises
        ------
        InputError
            For NaN or infinity.
        """
        X = self._features(X)
        return self.voter_.vote(X, k_evidence)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the (N,) best values; unlike `vote` it never answers unknown."""
        best = self.predict_proba(X).argmax(axis=1)
        values: NDArray[Any] = self.classes_[best]
        return values


class MultiAttributeClassifier(_Estimator, MultiLearner):
    """Learn which of several values an image has, from examples that may leave some unsaid.

    `MultiLearner` says how.

    Parameters
    ----------
    blocks, layers, shrinkage, folds, unknown_sigmas, random_state : see `AttributeClassifier`

    Attributes
    ----------
    classes_ : (V,) names of the values
    assumed_ : values that no example is said to lack; for them, examples known for other values
        only are taken to lack it
    layers_, layer_weights_, layer_accuracy_ : see `AttributeClassifier`
    cv_accuracy_ : share of known entries that held-out examples get right, nan if `folds_` is 0
    cv_macro_f1_ : mean over the values of F1 on the known entries
    contradictions_ : examples that share a group or all features, one said to have a value and the
        other not
    voter_ : `gingham.attributes.fitted_voters.MultiVoter`, all it takes to answer
    """

    voter_: MultiVoter

    def vote(self, X: ArrayLike, k_evidence: int = 5) -> MultiVotes:
        """Say which values (N, D) features have; see `AttributeClassifier.vote`."""
        X = self._features(X)
        return self.voter_.vote(X, k_evidence)

    def predict(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Return (N, V) bool; unlike `vote` it never answers unknown."""
        return self.vote(X).present
