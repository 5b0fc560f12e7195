"""scikit-learn models of every kind that people bring."""

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tests.serving.cases import (
    FEATURES,
    PROBABILITIES,
    Fitted,
    nullable,
    outcome,
    records,
    table,
    thirds,
    with_gaps,
)

NUMBERS = ["income", "age", "owner"]
NUMERIC = [feature for feature in FEATURES if feature["name"] != "city"]


def _pickled(model: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(model))


FORMATS = {"joblib": joblib.dump, "pickle": _pickled, "skops": skops.io.dump}


def _asked(model: Any, frame: pd.DataFrame, **metadata: Any) -> Fitted:
    """A model fitted on a frame, asked for the first twelve rows of one."""
    rows = frame.head(12)
    probabilities = metadata.setdefault("problemType", PROBABILITIES) == PROBABILITIES
    call = model.predict_proba if probabilities else model.predict
    metadata.setdefault("features", FEATURES)
    return Fitted(model, records(rows), call(rows), metadata)


def _numeric(model: Any, target: Any, **metadata: Any) -> Fitted:
    frame = table()[NUMBERS]
    return _asked(model.fit(frame, target), frame, features=NUMERIC, **metadata)


def _on_array(model: Any, target: Any, **metadata: Any) -> Fitted:
    """A model fitted on an array, asked with lists; it knows no names."""
    values = table()[NUMBERS].to_numpy(dtype=float)
    model.fit(values, target)
    probabilities = metadata.get("problemType", PROBABILITIES) == PROBABILITIES
    call = model.predict_proba if probabilities else model.predict
    return Fitted(model, values[:12].tolist(), call(values[:12]), metadata)


def _encoded(**options: Any) -> ColumnTransformer:
    encoder = OneHotEncoder(**options)
    return ColumnTransformer([("city", encoder, ["city"])], remainder="passthrough")


def logistic_on_an_array() -> Fitted:
    return _on_array(make_pipeline(StandardScaler(), LogisticRegression()), outcome(table()))


def logistic_on_an_array_with_named_features() -> Fitted:
    plain = _on_array(make_pipeline(StandardScaler(), LogisticRegression()), outcome(table()))
    rows = records(table()[NUMBERS].head(12))
    return Fitted(plain.model, rows, plain.expected, {"features": NUMERIC})


def logistic_on_a_frame() -> Fitted:
    return _numeric(make_pipeline(StandardScaler(), LogisticRegression()), outcome(table()))


def three_classes() -> Fitted:
    return _numeric(RandomForestClassifier(5, random_state=0), thirds(table()))


def text_labels() -> Fitted:
    labels = np.array(["low", "middle", "high"])[thirds(table())]
    return _numeric(
        make_pipeline(StandardScaler(), LogisticRegression()), labels, problemType="classification"
    )


def text_labels_as_objects() -> Fitted:
    labels = np.array(["lów", "middle", "high"], dtype=object)[thirds(table())]
    return _numeric(DecisionTreeClassifier(random_state=0), labels, problemType="classification")


def boolean_labels() -> Fitted:
    return _numeric(GaussianNB(), outcome(table()) == 1, problemType="classification")


def without_probabilities() -> Fitted:
    return _numeric(
        make_pipeline(StandardScaler(), SVC()), outcome(table()), problemType="classification"
    )


def linear_regression() -> Fitted:
    return _numeric(LinearRegression(), table()["income"] * 3.7, problemType="regression")


def poisson_regression() -> Fitted:
    model = make_pipeline(StandardScaler(), PoissonRegressor())
    return _numeric(model, table()["age"], problemType="regression")


def regression_of_several_targets() -> Fitted:
    targets = np.column_stack([table()["income"] / 3, table()["age"] * 1.1])
    return _numeric(ExtraTreesRegressor(5, random_state=0), targets, problemType="regression")


def probabilities_of_several_targets() -> Fitted:
    targets = np.column_stack([outcome(table()), thirds(table())])
    fitted = _numeric(RandomForestClassifier(5, random_state=0), targets)
    expected = [[list(one), list(other)] for one, other in zip(*fitted.expected, strict=True)]
    return Fitted(fitted.model, fitted.instances, expected, fitted.metadata)


def labels_of_several_targets() -> Fitted:
    targets = np.column_stack([outcome(table()), thirds(table())])
    model = RandomForestClassifier(5, random_state=0)
    return _numeric(model, targets, problemType="classification")


def one_hot_and_gradient_boosting() -> Fitted:
    model = Pipeline(
        [
            ("encode", _encoded(handle_unknown="ignore", sparse_output=False)),
            ("trees", GradientBoostingClassifier(n_estimators=20, random_state=0)),
        ]
    )
    return _asked(model.fit(table(), outcome(table())), table())


def sparse_one_hot_and_logistic() -> Fitted:
    model = make_pipeline(_encoded(sparse_output=True), LogisticRegression(max_iter=5000, tol=1))
    return _asked(model.fit(table(), outcome(table())), table())


def an_unknown_category() -> Fitted:
    model = make_pipeline(
        _encoded(handle_unknown="ignore", sparse_output=False),
        GradientBoostingClassifier(n_estimators=20, random_state=0),
    )
    strange = table().assign(city="Nowhere")
    return _asked(model.fit(table(), outcome(table())), strange)


def an_infrequent_category() -> Fitted:
    model = make_pipeline(
        _encoded(handle_unknown="infrequent_if_exist", min_frequency=30, sparse_output=False),
        DecisionTreeClassifier(random_state=0),
    )
    strange = table().assign(city="Nowhere")
    return _asked(model.fit(table(), outcome(table())), strange)


def whole_numbers_as_categories() -> Fitted:
    frame = table().assign(city=np.arange(80) % 3)
    features = [f | {"categories": [0, 1, 2]} if f["name"] == "city" else f for f in FEATURES]
    model = make_pipeline(_encoded(sparse_output=False), DecisionTreeClassifier(random_state=0))
    return _asked(model.fit(frame, outcome(table())), frame, features=features)


def gaps_that_are_imputed() -> Fitted:
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    prepare = ColumnTransformer(
        [("numbers", SimpleImputer(add_indicator=True), NUMBERS), ("words", words, ["city"])]
    )
    model = make_pipeline(prepare, GradientBoostingClassifier(n_estimators=9, random_state=0))
    gaps = with_gaps(table())
    return _asked(model.fit(gaps, outcome(table())), gaps, features=nullable(FEATURES))


def gaps_that_are_a_category() -> Fitted:
    """Fitted on a table as pandas reads it: a missing text is NaN."""
    gaps = table().assign(city=with_gaps(table())["city"].astype("str"))
    model = make_pipeline(_encoded(sparse_output=False), DecisionTreeClassifier(random_state=0))
    return _asked(model.fit(gaps, outcome(table())), gaps, features=nullable(FEATURES))


def none_that_is_a_category() -> Fitted:
    """Fitted on a table made in Python: a missing text is None."""
    city = with_gaps(table())["city"]
    frame = table().assign(city=city.astype(object).where(city.notna(), None).astype(object))
    model = make_pipeline(_encoded(sparse_output=False), DecisionTreeClassifier(random_state=0))
    return _asked(model.fit(frame, outcome(table())), frame, features=nullable(FEATURES))


def gaps_that_trees_take() -> Fitted:
    gaps = with_gaps(table())[NUMBERS]
    model = HistGradientBoostingClassifier(max_iter=9, random_state=0)
    features = nullable(NUMERIC)
    return _asked(model.fit(gaps, outcome(table())), gaps, features=features)


def categories_of_pandas() -> Fitted:
    """Trees that took their categories from the column's type."""
    frame = with_gaps(table()).astype({"city": "category"})
    model = HistGradientBoostingClassifier(max_iter=9, min_samples_leaf=5, random_state=0)
    features = nullable(FEATURES)
    return _asked(model.fit(frame, outcome(table())), frame, features=features)


def texts_in_an_array() -> Fitted:
    """Fitted on an array of objects: there are no names, and not all values are numbers."""
    values = table()[["city", "age"]].to_numpy(dtype=object)
    encode = ColumnTransformer([("city", OneHotEncoder(sparse_output=False), [0])])
    model = make_pipeline(encode, LogisticRegression()).fit(values, outcome(table()))
    features = [{"name": "city", "type": "category"}, {"name": "age", "type": "integer"}]
    rows = records(table()[["city", "age"]].head(12))
    expected = model.predict_proba(values[:12])
    return Fitted(model, rows, expected, {"features": features})


def ordinal_with_unknown_values() -> Fitted:
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    prepare = ColumnTransformer([("city", encode, ["city"])], remainder="passthrough")
    model = make_pipeline(prepare, DecisionTreeClassifier(random_state=0))
    strange = table().assign(city="Nowhere")
    return _asked(model.fit(table(), outcome(table())), strange)


def names_with_spaces_and_accents() -> Fitted:
    names = {"income": "net income (€)", "age": "leeftijd—år", "owner": "好", "city": "wóón plaats"}
    frame = table().rename(columns=names)
    features = [feature | {"name": names[feature["name"]]} for feature in FEATURES]
    encoder = ColumnTransformer([("x", OneHotEncoder(), ["wóón plaats"])], remainder="passthrough")
    model = make_pipeline(encoder, DecisionTreeClassifier(random_state=0))
    return _asked(model.fit(frame, outcome(table())), frame, features=features)


def one_feature() -> Fitted:
    frame = table()[["income"]]
    model = DecisionTreeClassifier(random_state=0).fit(frame, outcome(table()))
    return _asked(model, frame, features=FEATURES[:1])


def one_feature_on_an_array() -> Fitted:
    values = table()[["income"]].to_numpy()
    model = LinearRegression().fit(values, table()["age"])
    rows = table()[["income"]].head(12)
    return Fitted(
        model,
        records(rows),
        model.predict(rows.to_numpy()),
        {"features": FEATURES[:1], "problemType": "regression"},
    )


def features_from_the_model_alone() -> Fitted:
    frame = table()[NUMBERS]
    model = LogisticRegression(max_iter=5000, tol=1).fit(frame, outcome(table()))
    fitted = _asked(model, frame)
    return Fitted(model, fitted.instances, fitted.expected, {})


def searched_parameters() -> Fitted:
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [3, 5]}, cv=2)
    return _numeric(search, outcome(table()))


def calibrated_probabilities() -> Fitted:
    return _numeric(CalibratedClassifierCV(GaussianNB(), cv=2), outcome(table()))


def stacked_models() -> Fitted:
    first = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2))]
    return _numeric(StackingClassifier(first, LogisticRegression(), cv=2), outcome(table()))


def a_neural_network() -> Fitted:
    network = MLPClassifier((4,), max_iter=3, tol=10, n_iter_no_change=1, random_state=0)
    return _numeric(make_pipeline(StandardScaler(), network), outcome(table()))


def a_transformed_target() -> Fitted:
    steps = make_pipeline(PolynomialFeatures(2), StandardScaler(), Ridge())
    model = TransformedTargetRegressor(steps, transformer=StandardScaler())
    return _numeric(model, table()["income"].to_numpy() / 7, problemType="regression")


CASES = (
    logistic_on_an_array,
    logistic_on_an_array_with_named_features,
    logistic_on_a_frame,
    three_classes,
    text_labels,
    text_labels_as_objects,
    boolean_labels,
    without_probabilities,
    linear_regression,
    poisson_regression,
    regression_of_several_targets,
    probabilities_of_several_targets,
    labels_of_several_targets,
    one_hot_and_gradient_boosting,
    sparse_one_hot_and_logistic,
    an_unknown_category,
    an_infrequent_category,
    whole_numbers_as_categories,
    gaps_that_are_imputed,
    gaps_that_are_a_category,
    none_that_is_a_category,
    gaps_that_trees_take,
    categories_of_pandas,
    texts_in_an_array,
    ordinal_with_unknown_values,
    names_with_spaces_and_accents,
    one_feature,
    one_feature_on_an_array,
    features_from_the_model_alone,
    searched_parameters,
    calibrated_probabilities,
    stacked_models,
    a_neural_network,
    a_transformed_target,
)
