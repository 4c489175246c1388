"""The model that the tests of packages package, and its rows."""

from models_data import fitted, wide_rows
from sklearn.ensemble import HistGradientBoostingClassifier

ROWS = wide_rows(400)
MODEL = fitted(HistGradientBoostingClassifier(max_iter=5), ROWS)
